#include <ctime>
#include <iostream>
#include <memory>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/untrusted_text.h"
#include "cli/gvmi_commands.h"
#include "cli/registry_http.h"
#include "registry/manifest.h"
#include "registry/pull.h"
#include "registry/settings.h"
#include "registry/signature.h"

namespace cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxManifest = 1 << 20;

struct Arguments {
    std::string image;
    std::string hash;
    std::string file = "manifest.json";
    registry::ManifestMetadata metadata;
    unsigned days = 90;
    std::vector<std::string> urls;
    std::string key;
    std::string certificates;
    std::string passphrase_file;
    std::string algorithm = "sha256";
    std::string authorities;
    bool is_unsigned = false;
};

// The places of the parts of a signed manifest, all Base64.
std::string text_path(const std::string& file) {
    return file + ".base64";
}
std::string signature_path(const std::string& file) {
    return file + ".sig";
}
std::string certificates_path(const std::string& file) {
    return file + ".cert";
}

Json read_manifest(const std::string& text, const std::string& path) {
    return base::with_context(path, [&text] {
        (void)base::parse_json(text);  // its errors, and its limit of depth
        Json manifest = Json::parse(text);
        registry::check_manifest(manifest);
        return manifest;
    });
}

int create(const Arguments& arguments) {
    const registry::Settings settings = registry_settings();
    registry::ImageSource source = registry::resolve_image(arguments.image, settings.url, registry_http(), registry_reader(settings));
    if (!arguments.hash.empty()) {
        const std::string hash = arguments.hash.starts_with("sha3:") ? arguments.hash.substr(5) : arguments.hash;
        if (!source.sha3.empty() && source.sha3 != hash) {
            throw base::Error(arguments.image + ": its hash is " + source.sha3 + ", not " + hash);
        }
        source.sha3 = hash;
    }
    if (source.sha3.empty()) throw base::Error(arguments.image + ": a URL does not tell the hash; give it by --hash");
    registry::ManifestMetadata metadata = arguments.metadata;
    if (metadata.name.empty()) metadata.name = source.tag.empty() ? source.file_name : source.tag;
    constexpr std::time_t kDay = 86400;
    const std::time_t now = std::time(nullptr);
    const Json manifest = registry::make_manifest(source.url, source.sha3, metadata, now, now + arguments.days * kDay);
    base::replace_file(arguments.file, manifest.dump(2) + "\n");
    std::cout << arguments.file << ": " << source.url << ", sha3:" << source.sha3 << "\n";
    return 0;
}

int add_outbound(const Arguments& arguments) {
    Json manifest = read_manifest(base::read_file(arguments.file, kMaxManifest), arguments.file);
    registry::add_outbound(manifest, arguments.urls);
    base::replace_file(arguments.file, manifest.dump(2) + "\n");
    std::cout << arguments.file << ": " << manifest["compManifest"]["net"]["inet"]["out"].dump(-1, ' ', true) << "\n";
    return 0;
}

int sign(const Arguments& arguments) {
    const std::string text = base::read_file(arguments.file, kMaxManifest);
    registry::check_manifest_time(read_manifest(text, arguments.file), std::time(nullptr));
    std::optional<std::filesystem::path> passphrase;
    if (!arguments.passphrase_file.empty()) passphrase = arguments.passphrase_file;
    const registry::SignedManifest result =
        registry::sign_manifest(text, arguments.key, arguments.certificates, passphrase, arguments.algorithm);
    const std::string signer = registry::verify_manifest(result, {});
    base::replace_file(text_path(arguments.file), result.manifest);
    base::replace_file(signature_path(arguments.file), result.signature);
    base::replace_file(certificates_path(arguments.file), result.certificates);
    std::cout << "signed by " << base::escape(signer) << "; the demand's properties, each the text of a file:\n"
              << "golem.srv.comp.payload               " << text_path(arguments.file) << "\n"
              << "golem.srv.comp.payload.sig           " << signature_path(arguments.file) << "\n"
              << "golem.srv.comp.payload.sig.algorithm " << result.algorithm << " (itself)\n"
              << "golem.srv.comp.payload.cert          " << certificates_path(arguments.file) << "\n";
    return 0;
}

int verify(const Arguments& arguments) {
    const std::string text = base::read_file(arguments.file, kMaxManifest);
    registry::check_manifest_time(read_manifest(text, arguments.file), std::time(nullptr));
    if (arguments.is_unsigned) {
        std::cout << arguments.file << ": valid\n";
        return 0;
    }
    registry::SignedManifest parts;
    parts.manifest = registry::base64_encode(text);
    parts.signature = base::read_file(signature_path(arguments.file), kMaxManifest);
    parts.certificates = base::read_file(certificates_path(arguments.file), kMaxManifest);
    parts.algorithm = arguments.algorithm;
    if (base::read_file(text_path(arguments.file), 2 * kMaxManifest) != parts.manifest) {
        throw base::Error(text_path(arguments.file) + " is another text than " + arguments.file + "; sign it again");
    }
    std::optional<std::filesystem::path> authorities;
    if (!arguments.authorities.empty()) authorities = arguments.authorities;
    const std::string signer = base::with_context(arguments.file, [&] { return registry::verify_manifest(parts, authorities); });
    std::cout << arguments.file << ": valid, signed by " << base::escape(signer)
              << (authorities ? "" : " (their certificate was not checked: --authorities)") << "\n";
    return 0;
}

using Shared = std::shared_ptr<Arguments>;

// A sub-command of `manifest` that does `body`.
CLI::App* add(CLI::App* command, const char* name, const char* help, Action& chosen, const Shared& arguments,
              int (*body)(const Arguments&)) {
    CLI::App* sub = command->add_subcommand(name, help);
    sub->callback([&chosen, arguments, body] { chosen = [arguments, body] { return body(*arguments); }; });
    return sub;
}

void add_create(CLI::App* command, Action& chosen, const Shared& arguments) {
    CLI::App* sub = add(command, "create", "Writes a manifest for an image", chosen, arguments, create);
    sub->add_option("IMAGE", arguments->image, "USER/REPOSITORY:TAG, a hash, a URL, or hash:sha3:HEX:URL")->required()->type_name("NAME");
    sub->add_option("-o,--output", arguments->file, "The file to write")->type_name("FILE")->capture_default_str();
    sub->add_option("--hash", arguments->hash, "The image's SHA3-224; needed with a URL");
    sub->add_option("--name", arguments->metadata.name, "The application's name; by default the image's");
    sub->add_option("--description", arguments->metadata.description, "What it is");
    sub->add_option("--app-version", arguments->metadata.version, "Its semantic version")->capture_default_str();
    sub->add_option("--author", arguments->metadata.authors, "Who made it; repeatable")->take_all()->allow_extra_args(false);
    sub->add_option("--homepage", arguments->metadata.homepage, "Where to read about it");
    sub->add_option("--days", arguments->days, "How long it is valid")->check(CLI::Range(1, 36500))->capture_default_str();
}

}  // namespace

void add_manifest_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("manifest", "Makes, signs and checks payload manifests");
    command->footer("Example: gvmi manifest create golem/alpine:latest && gvmi manifest add-outbound https://api.example.org");
    command->require_subcommand(1);
    const auto arguments = std::make_shared<Arguments>();
    add_create(command, chosen, arguments);

    CLI::App* outbound = add(command, "add-outbound", "Lets commands reach URLs", chosen, arguments, add_outbound);
    outbound->add_option("URL", arguments->urls, "http, https, tcp or udp")->required();
    outbound->add_option("-m,--manifest", arguments->file, "The manifest")->type_name("FILE")->capture_default_str();

    CLI::App* signing = add(command, "sign", "Signs a manifest: MANIFEST.base64, .sig and .cert beside it", chosen, arguments, sign);
    signing->add_option("-k,--key", arguments->key, "The private key, PEM")->type_name("FILE")->required();
    signing->add_option("-c,--certificates", arguments->certificates, "The key's certificate and its issuers', PEM, in any order")
        ->type_name("FILE")
        ->required();
    signing
        ->add_option("--passphrase-file", arguments->passphrase_file, "The file with the key's passphrase; by default you are asked for it")
        ->type_name("FILE");

    CLI::App* verifying = add(command, "verify", "Checks a manifest and its signature as a provider does", chosen, arguments, verify);
    verifying->add_option("-a,--authorities", arguments->authorities, "Trusted certificates, PEM")->type_name("FILE");
    verifying->add_flag("--unsigned", arguments->is_unsigned, "Check the manifest alone");

    for (CLI::App* sub : {signing, verifying}) {
        sub->add_option("-m,--manifest", arguments->file, "The manifest")->type_name("FILE")->capture_default_str();
        sub->add_option("--algorithm", arguments->algorithm, "The digest")->capture_default_str();
    }
}

}  // namespace cli
