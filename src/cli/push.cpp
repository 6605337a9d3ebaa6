#include "cli/push.h"

#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/size.h"
#include "cli/common.h"
#include "cli/registry_http.h"
#include "cli/sdk_lines.h"
#include "cli/transfer_progress.h"
#include "gvmi/image.h"
#include "registry/api.h"
#include "registry/push.h"
#include "registry/sdk_lines.h"

namespace cli {
namespace {

// What --push calls an image: IMAGE without a transport. A file has a path and no such name.
std::string name_of(const std::string& image) {
    std::error_code error;
    if (std::filesystem::exists(image, error)) throw base::Error("--push: IMAGE is a file; say USER/REPOSITORY:TAG by --push-to");
    for (const std::string_view transport : {"docker-daemon:", "docker://"}) {
        if (image.starts_with(transport)) return image.substr(transport.size());
    }
    return image;
}

// For scripts; the keys are those of `gvmkit-build` 0.3.
void write_info(const std::string& path, const PushPlan& plan, const registry::DescribedImage& image) {
    nlohmann::json info = {{"repoInfo", nullptr},
                           {"imagePath", image.image.string()},
                           {"imageDescrPath", image.descriptor_path.string()},
                           {"hash", image.descriptor_hash}};
    if (plan.name) {
        info["repoInfo"] = {
            {"url", plan.settings.url}, {"user", plan.name->user}, {"repo", plan.name->repository}, {"tag", plan.name->tag}};
    }
    std::cout << " * Writing info to " << path << std::endl;
    base::replace_file(path, info.dump(2) + "\n");
}

// A registry takes any file; a provider does not.
void warn_of_no_image(const std::filesystem::path& path) {
    try {
        (void)gvmi::read_image(path);
    } catch (const base::Error& e) {
        print_message("warning", std::string(e.what()) + "; no provider will start it");
    }
}

void say(const std::string& line) {
    std::cout << line << std::endl;
}

std::chrono::seconds ttl_of(const PushArguments& arguments) {
    if (arguments.ttl.empty()) return {};
    const std::chrono::seconds ttl = base::parse_duration(arguments.ttl);
    if (ttl < std::chrono::minutes(1)) throw base::Error(arguments.ttl + " is too short for --ttl: a minute is the least");
    return ttl;
}

registry::DescribedImage describe(const PushArguments& arguments, const std::filesystem::path& image,
                                  const std::optional<registry::Descriptor>& known, bool progress) {
    // A push can be resumed, so an interrupt may end the program at once.
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        (void)std::signal(signal, SIG_DFL);
    TransferProgress line("hashing", progress);
    return registry::load_or_compute_descriptor(
        image, arguments.chunk_size, say, [&line](uint64_t done, uint64_t total) { line.show(done, total); }, known);
}

void push_described(const PushArguments& arguments, const PushPlan& plan, const registry::DescribedImage& described, bool progress) {
    warn_of_no_image(described.image);
    say("Uploading image to golem registry: " + plan.settings.url);
    registry::PushSummary summary;
    {
        TransferProgress line("uploading", progress);
        registry::PushOptions options{.url = plan.settings.url,
                                      .workers = arguments.workers,
                                      .name = plan.name,
                                      .login = plan.login,
                                      .make_private = arguments.make_private};
        options.ttl = ttl_of(arguments);
        options.say = say;
        options.connection = registry_http();
        options.progress = [&line](uint64_t done, uint64_t total) { line.show(done, total); };
        summary = registry::push_image(described, options);
    }
    say(" -- uploaded " + std::to_string(summary.sent_chunks) + " of " + std::to_string(described.descriptor.chunks.size()) + " chunks, " +
        base::format_size(summary.sent_bytes) + " of " + base::format_size(described.descriptor.size));
    if (!summary.expires.empty()) say(std::string(" -- expires at ").append(summary.expires));
    if (!arguments.ttl.empty() && summary.expires.empty()) {
        print_message("warning", plan.name ? "this registry does not know --ttl: the image stays until it is deleted"
                                           : "--ttl has no effect: the registry had this image before, or does not know the option");
    }
}

// How to use what was pushed. A private image has a link only for those who ask for one.
void print_use(const PushPlan& plan, const registry::DescribedImage& described) {
    const std::string& sha3 = described.descriptor.sha3;
    registry::Api api(plan.settings.url, registry_http());
    const bool is_private = plan.name && !api.find_image("tag", plan.name->text());
    if (!is_private) say(" -- download link: " + plan.settings.url + "/download/" + described.descriptor_hash);
    say("image hash: " + sha3);
    if (plan.name) say("image tag: " + plan.name->text());
    if (is_private) {
        const std::string tag = plan.name->text();
        // golem-js sends no login.
        std::cout << "yapapi:   " << registry::sdk_lines(registry::with_login(plan.settings.url, plan.login->user), tag, sha3).yapapi
                  << "\ngolem-js: a manifest by gvmi manifest create " << tag << ", which has a link in it\n";
    } else {
        std::cout << sdk_lines(plan.settings.url, plan.name ? plan.name->text() : "", sha3);
    }
}

}  // namespace

void add_push_options(CLI::App& app, PushArguments& arguments) {
    const std::string group = "Registry";
    app.add_flag("--push", arguments.push, "Push the image as USER/REPOSITORY:TAG, the name of IMAGE; with --nologin it needs no name")
        ->group(group);
    app.add_option("--push-to", arguments.push_to, "Push the image as USER/REPOSITORY:TAG")->group(group);
    app.add_flag("--nologin", arguments.nologin, "Push anonymously; such an image has no tag and may expire")->group(group);
    app.add_flag("--private", arguments.make_private, "Make USER/REPOSITORY private first: its images are found with a login alone")
        ->group(group);
    app.add_option("--ttl", arguments.ttl, "Let the registry remove the image after this time, such as 12h or 7d")
        ->type_name("TIME")
        ->group(group);
    app.add_option("-d,--direct-file-upload", arguments.direct_file, "Push this .gvmi without converting anything")
        ->type_name("FILE")
        ->group(group);
    app.add_flag("--login", arguments.login.login, "Ask for user and access token, check them, and store them in a file of mode 0600")
        ->group(group);
    app.add_flag("--login-check", arguments.login.check, "Check the stored login")->group(group);
    app.add_flag("--logout", arguments.login.logout, "Delete the stored login")->group(group);
    app.add_flag("--allow-http", arguments.login.allow_http,
                 "Send a token by plain http to other machines, too; anybody on the way can read it")
        ->group(group);
    app.add_option("--upload-chunk-size", arguments.chunk_size, "Bytes; by default it depends on the image's size")
        ->check(CLI::Range(uint64_t{1} << 12, uint64_t{1} << 30))
        ->group(group);
    app.add_option("--upload-workers", arguments.workers, "Chunks sent at once")
        ->check(CLI::Range(1, 64))
        ->capture_default_str()
        ->group(group);
    app.add_option("--extra-json-info-path", arguments.info_path, "Write names and hashes to this file, as JSON")
        ->type_name("FILE")
        ->group(group);
}

void check_push_usage(const PushArguments& arguments, const std::string& image) {
    if (arguments.login.any()) return;
    if (arguments.nologin && !arguments.push_to.empty()) {
        throw CLI::ValidationError("Options --push-to and --nologin are incompatible");
    }
    if (arguments.make_private && (arguments.nologin || !pushes(arguments)))
        throw CLI::ValidationError("--private needs a push with a name: --push or --push-to");
    if (!arguments.ttl.empty() && !pushes(arguments)) throw CLI::ValidationError("--ttl is for a push: --push or --push-to is missing");
    if (image.empty() && arguments.direct_file.empty()) throw CLI::RequiredError("IMAGE");
    if (arguments.push && !arguments.nologin && arguments.push_to.empty() && image.empty()) {
        throw CLI::ValidationError("--push takes the name from IMAGE, which is missing: use --push-to, or --nologin");
    }
}

PushPlan plan_push(const PushArguments& arguments, const std::string& image) {
    PushPlan plan;
    (void)ttl_of(arguments);  // before an image is made
    plan.settings = registry_settings();
    if (!pushes(arguments) || arguments.nologin) return plan;
    plan.name = registry::parse_full_reference(arguments.push_to.empty() ? name_of(image) : arguments.push_to);
    std::cout << "Logging in to golem registry: " << plan.settings.url << std::endl;
    plan.login = login_for(plan.settings, plan.name->user, arguments.login.allow_http);
    return plan;
}

bool pushes(const PushArguments& arguments) {
    return arguments.push || !arguments.push_to.empty();
}

std::string push_full_image(const PushArguments& arguments, PushPlan plan, const std::filesystem::path& image,
                            const std::optional<registry::Descriptor>& known, bool progress) {
    if (plan.name) plan.name->tag += "-full";
    const registry::DescribedImage described = describe(arguments, image, known, progress);
    push_described(arguments, plan, described, progress);
    return registry::Api(plan.settings.url, registry_http()).image_info("hash", described.descriptor.sha3).url;
}

void finish_push(const PushArguments& arguments, const PushPlan& plan, const std::filesystem::path& image,
                 const std::optional<registry::Descriptor>& known, bool progress) {
    const registry::DescribedImage described = describe(arguments, image, known, progress);
    if (pushes(arguments)) {
        push_described(arguments, plan, described, progress);
        print_use(plan, described);
    }
    if (!arguments.info_path.empty()) write_info(arguments.info_path, plan, described);
}

}  // namespace cli
