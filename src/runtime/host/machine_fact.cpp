#include "runtime/host/machine_fact.h"

#include "base/atomic_file.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"

namespace runtime {
namespace {

constexpr uint64_t kFactLimit = 64 << 10;

}  // namespace

bool recall_fact(const std::filesystem::path& file, const std::string& key, const std::function<void(const nlohmann::json&)>& read) {
    try {
        if (!std::filesystem::exists(file)) return false;
        const nlohmann::json json = base::parse_json(base::read_file(file, kFactLimit));
        if (json.at("key").get<std::string>() != key) return false;
        read(json);
        return true;
    } catch (const std::exception& e) {  // ours, the JSON library's and std::filesystem's
        spdlog::warn("{} cannot be read, so it is made anew: {}", file.string(), e.what());
        return false;
    }
}

void keep_fact(const std::filesystem::path& file, const std::string& key, nlohmann::json json) {
    try {
        json["key"] = key;
        std::filesystem::create_directories(file.parent_path());
        base::replace_file(file, base::to_text(json) + "\n");
    } catch (const std::exception& e) {  // ours and std::filesystem's
        spdlog::warn("{} cannot be written: {}", file.string(), e.what());
    }
}

}  // namespace runtime
