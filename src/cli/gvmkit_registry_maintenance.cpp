#include <chrono>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/hex.h"
#include "base/size.h"
#include "cli/gvmkit_registry.h"
#include "registry/descriptor.h"
#include "registry/server/maintenance.h"
#include "registry/server/migrate.h"
#include "registry/server/server.h"
#include "registry/server/storage.h"

namespace cli {
namespace {

struct Arguments {
    Place place;
    s3::Place store;
    std::filesystem::path audit_log;
    std::string hash, reason;
    double keep_days = 30;
    unsigned grace = 5;
    bool quick = false, repair = false;
};

CLI::App* with_place(CLI::App* command, Arguments& arguments) {
    add_place(*command, arguments.place);
    return command;
}

struct Registry {
    std::unique_ptr<registry::server::Metadata> metadata;
    std::unique_ptr<registry::server::Storage> storage;
};

// For gc and fsck, which look at the chunks, wherever the metadata are.
Registry open_registry(const Arguments& arguments) {
    if (arguments.place.data.empty()) throw base::Error("--data is missing");
    return {.metadata = open_metadata(arguments.place),
            .storage = registry::server::open_storage({.data = arguments.place.data, .s3 = arguments.store})};
}

int collect(const Arguments& arguments) {
    using registry::server::Age;
    Audit audit(arguments.audit_log);
    const Registry opened = open_registry(arguments);
    const registry::server::Time now = std::time(nullptr);
    const auto tell = [&audit](const registry::server::Event& event) { audit.tell(event.name.c_str(), event.details); };
    const uint64_t tags = registry::server::remove_old_tags(*opened.metadata, Age::expired, now, tell) +
                          registry::server::remove_old_tags(*opened.metadata, Age::not_kept, now, tell);
    if (tags > 0) std::cout << "removed " << tags << " tags whose time is over or that no rule keeps\n";
    const uint64_t expired = registry::server::remove_expired_uploads(*opened.metadata, now);
    const auto collected = registry::server::collect_garbage(
        *opened.metadata, *opened.storage, registry::server::expiry(arguments.keep_days), std::chrono::seconds(arguments.grace));
    std::cout << "removed " << collected.uploads + expired << " uploads without a tag, and " << collected.chunks << " chunks of "
              << base::format_size(collected.bytes) << "\n";
    if (collected.objects > 0) std::cout << "removed " << collected.objects << " objects of images to which no client is sent\n";
    return 0;
}

int check(const Arguments& arguments) {
    const Registry opened = open_registry(arguments);
    uint64_t problems = 0;
    const auto note = [](const std::string& text) { std::cout << text << "\n"; };
    registry::server::check_registry(*opened.metadata, *opened.storage,
                                     {.read = !arguments.quick, .repair = arguments.repair, .note = note},
                                     [&problems](const std::string& text) {
                                         problems++;
                                         std::cout << text << "\n";
                                     });
    if (problems > 0) throw base::Error(std::to_string(problems) + " problems");
    std::cout << "no errors found\n";
    return 0;
}

int set_blocked(const Arguments& arguments, bool blocked) {
    if (!base::is_hex(arguments.hash, 56) && !base::is_hex(arguments.hash, 64))
        throw base::Error("bad hash: an image's SHA3-224 has 56 lower-case hex digits, a chunk's or descriptor's SHA-256 has 64");
    Audit audit(arguments.audit_log);
    const std::unique_ptr<registry::server::Metadata> metadata = open_metadata(arguments.place);
    if (blocked) {
        metadata->block(arguments.hash, arguments.reason);
        audit.tell("block", {{"hash", arguments.hash}, {"reason", arguments.reason}});
        return 0;
    }
    if (!metadata->unblock(arguments.hash)) throw base::Error(arguments.hash + " is not blocked");
    audit.tell("unblock", {{"hash", arguments.hash}});
    return 0;
}

int list_blocked(const Arguments& arguments) {
    const std::unique_ptr<registry::server::Metadata> metadata = open_metadata(arguments.place);
    for (const auto& [hash, reason] : metadata->blocked())
        std::cout << hash << "\t" << reason << "\n";
    return 0;
}

void move(const registry::server::Location& from, const registry::server::Location& to) {
    const registry::server::Migrated done = registry::server::migrate(from, to);
    std::cout << "copied " << done.copied << " chunks of " << base::format_size(done.bytes) << ", " << done.there << " were there; "
              << done.rows << " rows; all compared\n";
}

}  // namespace

void add_migrate(CLI::App& app, Action& action) {
    struct Places {
        registry::server::Location from, to;
    };
    const auto places = std::make_shared<Places>();
    CLI::App* migrate = app.add_subcommand(
        "migrate", "Copy a registry to another folder, data base or store, and compare; after a break the same command goes on");
    migrate->add_option("--data", places->from.store.data, "The registry's folder")->required()->check(CLI::ExistingDirectory);
    add_db(*migrate, places->from.db);
    add_store_options(*migrate, places->from.store.s3);
    migrate->add_option("--to-data", places->to.store.data, "The new one's folder; made if it is missing")->required()->type_name("DIR");
    migrate->add_option("--to-db", places->to.db, "postgres://USER@HOST/NAME: the new one's data base; by default SQLite in its folder");
    add_store_options(*migrate, places->to.store.s3, "to-");
    migrate->callback([places, &action] {
        action = [places] {
            move(places->from, places->to);
            return 0;
        };
    });
}

void add_block(CLI::App& app, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* block = app.add_subcommand("block", "Hashes of images, chunks or descriptors that are neither accepted nor served");
    block->require_subcommand(1);
    CLI::App* add = with_place(block->add_subcommand("add", "Block a hash, at once"), *arguments);
    add->add_option("HASH", arguments->hash)->required();
    add->add_option("--reason", arguments->reason, "A note for the list");
    add_audit_log(*add, arguments->audit_log);
    add->callback([arguments, &action] { action = [arguments] { return set_blocked(*arguments, true); }; });
    CLI::App* remove = with_place(block->add_subcommand("delete", "Unblock a hash"), *arguments);
    remove->add_option("HASH", arguments->hash)->required();
    add_audit_log(*remove, arguments->audit_log);
    remove->callback([arguments, &action] { action = [arguments] { return set_blocked(*arguments, false); }; });
    CLI::App* list = with_place(block->add_subcommand("list", "List the blocked hashes with their reasons"), *arguments);
    list->callback([arguments, &action] { action = [arguments] { return list_blocked(*arguments); }; });
}

void add_gc(CLI::App& app, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* gc =
        with_place(app.add_subcommand("gc", "Remove old uploads without a tag, and chunks that no image uses; safe while the server runs"),
                   *arguments);
    add_audit_log(*gc, arguments->audit_log);
    gc->add_option("--keep-anonymous", arguments->keep_days, "Days that an upload without a tag is kept")
        ->check(CLI::Range(0.0, 1e6))
        ->capture_default_str();
    gc->add_option("--grace", arguments->grace, "Seconds between finding a chunk that no image uses and removing it, if none uses it then")
        ->check(CLI::Range(0, 86'400))
        ->capture_default_str();
    add_store_options(*gc, arguments->store);
    gc->callback([arguments, &action] { action = [arguments] { return collect(*arguments); }; });
}

void add_fsck(CLI::App& app, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* fsck =
        with_place(app.add_subcommand("fsck", "Check that every image is complete and intact; exits with 1 after an error"), *arguments);
    fsck->add_flag("--quick", arguments->quick, "Check only that the chunks exist, without reading them");
    fsck->add_flag("--repair", arguments->repair, "Remove broken chunks, and let their images be uploaded again");
    add_store_options(*fsck, arguments->store);
    fsck->callback([arguments, &action] { action = [arguments] { return check(*arguments); }; });
}

}  // namespace cli
