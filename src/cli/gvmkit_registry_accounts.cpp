#include <ctime>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "base/duration.h"
#include "base/error.h"
#include "base/size.h"
#include "cli/gvmkit_registry.h"
#include "registry/server/metadata.h"
#include "registry/server/names.h"
#include "registry/server/tokens.h"

namespace cli {
namespace {

using registry::server::Metadata;

struct Arguments {
    Place place;
    std::filesystem::path audit_log;
    std::string user, text;
    std::string quota;
    int64_t id = 0;
    std::string immutable_tags, keep_younger;
    std::optional<uint64_t> keep;
    bool make_private = false, make_public = false, end_links = false;
};

// A nested sub-command on a registry; `run` gets the registry's database, and where it changes something the audit log.
template <typename Run>
CLI::App* add_command(CLI::App& parent, const char* name, const char* help, const std::shared_ptr<Arguments>& arguments, Action& action,
                      Run run) {
    CLI::App* command = parent.add_subcommand(name, help);
    constexpr bool kChanges = std::is_invocable_v<Run, Metadata&, const Arguments&, Audit&>;
    add_place(*command, arguments->place);
    if constexpr (kChanges) add_audit_log(*command, arguments->audit_log);
    command->callback([arguments, &action, run] {
        action = [arguments, run] {
            Audit audit(arguments->audit_log);
            const std::unique_ptr<Metadata> metadata = open_metadata(arguments->place);
            if constexpr (kChanges) {
                run(*metadata, *arguments, audit);
            } else {
                run(*metadata, *arguments);
            }
            return 0;
        };
    });
    return command;
}

std::string day(registry::server::Time time) {
    char text[sizeof "2026-01-01"];
    std::tm parts{};
    const time_t seconds = time;
    (void)std::strftime(text, sizeof text, "%F", ::gmtime_r(&seconds, &parts));
    return text;
}

void require(bool found, const std::string& what) {
    if (!found) throw base::Error("there is no " + what);
}

void set_user(Metadata& metadata, const Arguments& arguments, Audit& audit) {
    registry::server::check_name(arguments.user, "user name");
    std::optional<uint64_t> quota;
    if (!arguments.quota.empty()) quota = base::parse_size(arguments.quota);
    metadata.add_user(arguments.user, quota, std::time(nullptr));
    audit.tell("user-set", {{"account", arguments.user}, {"quota", quota ? nlohmann::ordered_json(*quota) : nlohmann::ordered_json()}});
}

void list_users(Metadata& metadata, const Arguments&) {
    for (const auto& user : metadata.users())
        std::cout << user.name << "\t" << base::format_size(user.used) << "\t"
                  << (user.quota ? base::format_size(*user.quota) : "server's quota") << "\n";
}

void create_token(Metadata& metadata, const Arguments& arguments, Audit& audit) {
    const std::string token = registry::server::new_token();
    require(metadata.add_token(arguments.user, registry::server::token_hash(token), arguments.text, std::time(nullptr)),
            "user " + arguments.user);
    audit.tell("token-created", {{"account", arguments.user}, {"note", arguments.text}});
    std::cout << token << "\n";
}

void list_tokens(Metadata& metadata, const Arguments& arguments) {
    for (const auto& token : metadata.tokens(arguments.user))
        std::cout << token.id << "\t" << day(token.created) << "\t" << token.note << "\n";
}

void list_images(Metadata& metadata, const Arguments& arguments) {
    constexpr size_t kLimit = 100'000;
    for (const auto& image : metadata.search(arguments.text, kLimit)) {
        std::cout << image.name.user << "/" << image.name.repository << ":" << image.name.tag << "\t" << image.sha3 << "\t"
                  << base::format_size(image.size) << "\t" << day(image.changed) << "\t" << image.uses << " uses\n";
    }
}

// "USER/REPOSITORY" is all of its tags.
void delete_image(Metadata& metadata, const Arguments& arguments, Audit& audit) {
    registry::server::Name name = registry::server::parse_name(arguments.text);
    if (arguments.text.find(':') == std::string::npos) name.tag.clear();
    require(metadata.remove_tags(name) > 0, "image " + arguments.text);
    audit.tell("delete", {{"image", registry::server::full_name(name)}});
}

registry::server::RuleChanges rule_changes(const Arguments& arguments, nlohmann::ordered_json& details) {
    registry::server::RuleChanges changes;
    if (!arguments.immutable_tags.empty()) {
        changes.immutable = arguments.immutable_tags == "on";
        details["immutable_tags"] = *changes.immutable;
    }
    if (arguments.keep) {
        changes.keep = arguments.keep;
        details["keep"] = *arguments.keep;
    }
    if (!arguments.keep_younger.empty()) {
        changes.keep_younger = arguments.keep_younger == "0" ? 0 : base::parse_duration(arguments.keep_younger).count();
        details["keep_younger_than"] = *changes.keep_younger;
    }
    return changes;
}

void set_repository(Metadata& metadata, const Arguments& arguments, Audit& audit) {
    const registry::server::Name name = registry::server::parse_name(arguments.text);
    if (arguments.text.find(':') != std::string::npos) throw base::Error("bad USER/REPOSITORY: a tag alone cannot be set");
    nlohmann::ordered_json details = {{"image", registry::server::full_name({name.user, name.repository, {}})}};
    const registry::server::RuleChanges changes = rule_changes(arguments, details);
    const bool has_rules = changes.immutable || changes.keep || changes.keep_younger;
    if (!arguments.make_private && !arguments.make_public && !arguments.end_links && !has_rules)
        throw base::Error("nothing to set: give --private, --public, --end-links, --immutable-tags, --keep or --keep-younger-than");
    require(metadata.find_user(name.user).has_value(), "user " + name.user);
    if (has_rules) metadata.set_rules({name.user, name.repository, {}}, changes);
    if (arguments.make_private || arguments.make_public) {
        metadata.set_private(name.user, name.repository, arguments.make_private);
        details["private"] = arguments.make_private;
    }
    if (arguments.end_links) {
        require(metadata.end_links(name.user, name.repository), "repository " + arguments.text);
        details["links_ended"] = true;
    }
    audit.tell("repository-set", details);
}

}  // namespace

void add_user(CLI::App& app, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* user = app.add_subcommand("user", "Who may tag images");
    user->require_subcommand(1);
    CLI::App* add = add_command(*user, "add", "Add a user, or change the quota of one", arguments, action, set_user);
    add->add_option("NAME", arguments->user)->required();
    add->add_option("--quota", arguments->quota,
                    "The most that the images of the user's tags may take, such as 10GiB; by default the server's --user-quota");
    add_command(*user, "list", "List all users with their usage and quota", arguments, action, list_users);
    add_command(*user, "delete", "Delete a user with all tokens and tags", arguments, action,
                [](Metadata& metadata, const Arguments& a, Audit& audit) {
                    require(metadata.remove_user(a.user), "user " + a.user);
                    audit.tell("user-deleted", {{"account", a.user}});
                })
        ->add_option("NAME", arguments->user)
        ->required();
}

void add_token(CLI::App& app, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* token = app.add_subcommand("token", "The access tokens that users log in with");
    token->require_subcommand(1);
    CLI::App* create = add_command(*token, "create", "Print a new token, which cannot be shown again", arguments, action, create_token);
    create->add_option("USER", arguments->user)->required();
    create->add_option("--note", arguments->text, "What it is for");
    add_command(*token, "list", "List a user's tokens: number, date and note", arguments, action, list_tokens)
        ->add_option("USER", arguments->user)
        ->required();
    CLI::App* revoke = add_command(*token, "revoke", "Revoke a token at once", arguments, action,
                                   [](Metadata& metadata, const Arguments& a, Audit& audit) {
                                       require(metadata.remove_token(a.user, a.id), "token " + std::to_string(a.id) + " of " + a.user);
                                       audit.tell("token-revoked", {{"account", a.user}, {"token", a.id}});
                                   });
    revoke->add_option("USER", arguments->user)->required();
    revoke->add_option("NUMBER", arguments->id)->required();
}

void add_repo(CLI::App& app, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* repo = app.add_subcommand("repo", "The tagged images");
    repo->require_subcommand(1);
    add_command(*repo, "list", "List all tags: hash, size, date and uses", arguments, action, list_images)
        ->add_option("TEXT", arguments->text, "Only names that contain this");
    CLI::App* set =
        add_command(*repo, "set", "Say who sees a repository, and which of its tags are kept", arguments, action, set_repository);
    set->add_option("USER/REPOSITORY", arguments->text)->required();
    CLI::Option* only_user = set->add_flag("--private", arguments->make_private, "Only its user sees it; it is made if it is missing");
    set->add_flag("--public", arguments->make_public, "Everybody sees it")->excludes(only_user);
    set->add_flag("--end-links", arguments->end_links, "Links to its images that were given before hold no longer");
    set->add_option("--immutable-tags", arguments->immutable_tags, "Whether a tag that is there keeps its image; it can be deleted")
        ->check(CLI::IsMember({"on", "off"}));
    set->add_option("--keep", arguments->keep, "Remove tags but for so many that were set last; 0 ends this rule")
        ->check(CLI::Range(0, 1'000'000));
    set->add_option("--keep-younger-than", arguments->keep_younger,
                    "Remove tags that were set longer ago, such as 30d, unless --keep keeps them; 0 ends this rule")
        ->type_name("TIME");
    add_command(*repo, "delete", "Delete a tag, or a repository with all its tags", arguments, action, delete_image)
        ->add_option("USER/REPOSITORY[:TAG]", arguments->text)
        ->required();
}

}  // namespace cli
