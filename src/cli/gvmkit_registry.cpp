#include "cli/gvmkit_registry.h"

#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/duration.h"
#include "base/error.h"
#include "base/log.h"
#include "base/size.h"
#include "base/trimmed.h"
#include "cli/common.h"
#include "registry/server/open_metadata.h"
#include "registry/server/server.h"

namespace cli {

namespace {

struct ServeArguments {
    registry::server::ServeOptions options;
    std::vector<std::string> public_urls, proxies;
    std::string link_ttl = "12h";
    std::string user_quota, max_image, min_free, anonymous_quota, min_chunk, upstream_quota, redirect;
    std::filesystem::path webhook_secret;
};

void check_upstream(const std::string& url) {
    if (!url.empty() && !url.starts_with("http://") && !url.starts_with("https://"))
        throw base::Error("bad --upstream " + url + ": it begins neither with http:// nor with https://");
}

void read_webhook_secret(registry::server::WebhookOptions& options, const std::filesystem::path& file) {
    constexpr size_t kMostUrls = 16;
    constexpr size_t kLongest = 4096;
    if (options.urls.empty()) return;
    if (options.urls.size() > kMostUrls) throw base::Error("more than 16 --webhook");
    options.secret = base::trimmed(base::read_file(file, kLongest), " \t\r\n");
    if (options.secret.empty()) throw base::Error(file.native() + " is empty: it must hold the webhooks' secret");
}

// One for each scheme, without slashes at the end.
void set_public_urls(registry::server::PublicUrls& urls, const std::vector<std::string>& given) {
    for (std::string url : given) {
        while (url.ends_with('/'))
            url.pop_back();
        const bool https = url.starts_with("https://");
        if (!https && !url.starts_with("http://"))
            throw base::Error("bad --public-url " + url + ": it begins neither with http:// nor with https://");
        std::string& place = https ? urls.https : urls.http;
        if (!place.empty()) throw base::Error("two --public-url with the same scheme");
        place = url;
    }
}

void set_size(uint64_t& value, const std::string& text) {
    if (!text.empty()) value = base::parse_size(text);
}

}  // namespace

void add_db(CLI::App& command, std::string& db) {
    command
        .add_option(
            "--db", db,
            "postgres://USER@HOST/NAME: keep users, tags and uploads in this PostgreSQL data base, which several servers may use. By "
            "default they are in the folder, in SQLite")
        ->envname("GVMKIT_REGISTRY_DB");
}

void add_audit_log(CLI::App& command, std::filesystem::path& file) {
    command.add_option("--audit-log", file, "Append a line of JSON to this file for what is done; - is standard output")
        ->type_name("FILE")
        ->envname("GVMKIT_REGISTRY_AUDIT_LOG");
}

void Audit::tell(const char* event, const nlohmann::ordered_json& details) {
    if (!log_) return;
    nlohmann::ordered_json all = {{"uid", ::getuid()}};
    all.update(details);
    log_->tell({.name = event, .details = std::move(all)});
}

void add_place(CLI::App& command, Place& place) {
    command.add_option("--data", place.data, "The registry's folder")->check(CLI::ExistingDirectory);
    add_db(command, place.db);
}

std::unique_ptr<registry::server::Metadata> open_metadata(const Place& place) {
    if (place.data.empty() && place.db.empty()) throw base::Error("neither --data nor --db is given");
    return registry::server::open_metadata(place.data, place.db);
}

void add_store_options(CLI::App& command, s3::Place& place, const std::string& before) {
    const auto name = [&before](const char* rest) { return "--" + before + rest; };
    CLI::Option* store =
        command.add_option(name("store"), place.url,
                           "s3://BUCKET or s3://BUCKET/PREFIX: keep the images' chunks there, and not in the folder. The keys come from "
                           "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from the AWS tools' file");
    command.add_option(name("s3-endpoint"), place.endpoint, "The store's http(s)://HOST[:PORT]; by default Amazon's of the region")
        ->needs(store);
    command.add_option(name("s3-region"), place.region, "The store's region; by default AWS_REGION, AWS_DEFAULT_REGION or us-east-1")
        ->needs(store);
    command.add_flag(name("s3-path-style"), place.path_style, "Ask for HOST/BUCKET/KEY instead of BUCKET.HOST/KEY")->needs(store);
}

void add_serve(CLI::App& app, Action& action) {
    const auto arguments = std::make_shared<ServeArguments>();
    auto& options = arguments->options;
    CLI::App* serve = app.add_subcommand("serve", "Answer clients until SIGTERM or SIGINT");
    serve->add_option("--data", options.store.data, "The folder for all of the registry's data; made if it is missing")
        ->required()
        ->type_name("DIR");
    add_db(*serve, options.db);
    add_store_options(*serve, options.store.s3);
    auto* redirect = serve
                         ->add_option("--redirect", arguments->redirect,
                                      "Send downloads of images that are asked for often to the store, where such images may take this "
                                      "much once more; needs --store")
                         ->needs("--store");
    serve
        ->add_option("--s3-public-endpoint", options.store.s3.public_endpoint,
                     "The http(s)://HOST[:PORT] by which clients reach the store; by default that of --s3-endpoint")
        ->needs(redirect);
    serve->add_option("--listen", options.http.listen, "HOST:PORT or [IPV6]:PORT; port 0 is a free one")->capture_default_str();
    serve
        ->add_option("--public-url", arguments->public_urls,
                     "The registry's address from outside; one with http:// and one with https:// may be given. By default the address of "
                     "each request")
        ->expected(1)
        ->take_all();
    auto* certificate = serve->add_option("--tls-certificate", options.http.certificate, "PEM file with the certificate and its chain")
                            ->check(CLI::ExistingFile);
    auto* key = serve->add_option("--tls-key", options.http.key, "PEM file with its key")->check(CLI::ExistingFile)->needs(certificate);
    certificate->needs(key);
    serve->add_option("--user-quota", arguments->user_quota,
                      "The most that the images of a user's tags may take, unless the user has a quota (100GiB)");
    serve->add_option("--max-image", arguments->max_image, "The largest image that is accepted (64GiB)");
    serve->add_option("--min-free", arguments->min_free, "Free disk space below which nothing is accepted (1GiB)");
    serve->add_option("--anonymous-quota", arguments->anonymous_quota,
                      "The most that uploads may take in all for which nobody has logged in (50GiB)");
    serve->add_option("--min-chunk", arguments->min_chunk, "The smallest chunk of an image that has several (64KiB)");
    serve
        ->add_option("--proxy", arguments->proxies,
                     "ADDRESS or ADDRESS/BITS of a proxy: what its X-Forwarded-For names last is the client. This machine itself always "
                     "counts as one")
        ->expected(1)
        ->take_all();
    serve
        ->add_option("--hourly-pushes", options.limits.hourly_pushes,
                     "Images that one address may push in an hour; this machine itself is not limited")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    serve
        ->add_option(
            "--timeout", options.http.timeout,
            "Seconds that a silent connection is kept and that a request's head may take; a body may take longer only at 4 KiB/s or more")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
    serve->add_option("--link-ttl", arguments->link_ttl, "Time for which a link to a private image holds, such as 90m, 12h or 7d")
        ->capture_default_str();
    serve->add_flag("--read-only", options.limits.read_only,
                    "Serve images and refuse everything else, with 503 and Retry-After, and change nothing; while `migrate` moves them");
    serve->add_option("--keep-anonymous", options.keep_anonymous_days, "Days after which an upload without a tag is removed")
        ->check(CLI::Range(0.0, 1e6))
        ->capture_default_str();
    add_audit_log(*serve, options.audit_log);
    auto* webhook = serve
                        ->add_option("--webhook", options.webhooks.urls,
                                     "URL that gets a POST of JSON for each image that was pushed, tagged or deleted; up to 16 of them")
                        ->expected(1)
                        ->take_all();
    auto* secret =
        serve->add_option("--webhook-secret-file", arguments->webhook_secret, "File with the text that the POSTs are signed with")
            ->check(CLI::ExistingFile)
            ->needs(webhook);
    webhook->needs(secret);
    auto* upstream = serve->add_option("--upstream", options.mirror.upstream,
                                       "URL of a registry: what is not here is fetched there once, compared with its hash, and kept");
    serve->add_option("--upstream-quota", arguments->upstream_quota, "The most that the images take which are fetched there (100GiB)")
        ->needs(upstream);
    serve->add_option("--docs", options.docs, "A folder of pages to offer below /docs/, such as ./dev docs makes")
        ->check(CLI::ExistingDirectory)
        ->type_name("DIR");
    serve->callback([arguments, &action] {
        action = [arguments] {
            registry::server::ServeOptions options = arguments->options;
            set_public_urls(options.urls, arguments->public_urls);
            for (const std::string& network : arguments->proxies)
                options.http.proxies.push_back(registry::server::parse_network(network));
            options.urls.documents = !options.docs.empty();
            options.urls.tls = !options.http.certificate.empty();
            set_size(options.limits.user_quota, arguments->user_quota);
            set_size(options.limits.image_size, arguments->max_image);
            set_size(options.limits.min_free, arguments->min_free);
            set_size(options.limits.anonymous_quota, arguments->anonymous_quota);
            set_size(options.limits.min_chunk, arguments->min_chunk);
            options.limits.link_seconds = base::parse_duration(arguments->link_ttl).count();
            set_size(options.mirror.quota, arguments->upstream_quota);
            set_size(options.redirect_quota, arguments->redirect);
            check_upstream(options.mirror.upstream);
            read_webhook_secret(options.webhooks, arguments->webhook_secret);
            registry::server::serve(options);
            return 0;
        };
    });
}

}  // namespace cli

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): outside of run only a wrong option throws
    CLI::App app("A Golem image registry that you host yourself.");
    cli::describe(app, "gvmkit-registry serve --data /var/lib/gvmkit-registry --listen 0.0.0.0:8080");
    app.require_subcommand(1);
    cli::Action action;
    cli::add_serve(app, action);
    cli::add_user(app, action);
    cli::add_token(app, action);
    cli::add_repo(app, action);
    cli::add_block(app, action);
    cli::add_gc(app, action);
    cli::add_fsck(app, action);
    cli::add_migrate(app, action);
    return cli::run(app, argc, argv, [&] {
        base::log_to_stderr("gvmkit-registry");  // standard output is for what was asked, such as a token
        return action();
    });
}
