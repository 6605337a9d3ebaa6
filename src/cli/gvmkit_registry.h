#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "cli/common.h"
#include "registry/server/audit_log.h"
#include "registry/server/metadata.h"
#include "s3/settings.h"

namespace cli {

// The sub-commands of gvmkit-registry. Each sets `action` when it is chosen.
void add_serve(CLI::App& app, Action& action);
void add_user(CLI::App& app, Action& action);
void add_token(CLI::App& app, Action& action);
void add_repo(CLI::App& app, Action& action);
void add_block(CLI::App& app, Action& action);
void add_gc(CLI::App& app, Action& action);
void add_fsck(CLI::App& app, Action& action);
void add_migrate(CLI::App& app, Action& action);

// Where a registry's data are.
struct Place {
    std::filesystem::path data;
    std::string db;
};

// --data and --db of a command beside serve.
void add_place(CLI::App& command, Place& place);
// --db
void add_db(CLI::App& command, std::string& db);

// --audit-log
void add_audit_log(CLI::App& command, std::filesystem::path& file);

// Tells an audit log what a command has done, and which user of the machine has called it.
class Audit {
public:
    // `file` is empty where there is none. Throws base::Error where it cannot be opened; so make this before anything is changed.
    explicit Audit(const std::filesystem::path& file) {
        if (!file.empty()) log_.emplace(file);
    }
    void tell(const char* event, const nlohmann::ordered_json& details);

private:
    std::optional<registry::server::AuditLog> log_;
};

// The metadata of a place. Throws base::Error.
std::unique_ptr<registry::server::Metadata> open_metadata(const Place& place);

// The options that say where the chunks are. `before`: what their names have between the dashes and --store, --s3-endpoint and so on.
void add_store_options(CLI::App& command, s3::Place& place, const std::string& before = "");

}  // namespace cli
