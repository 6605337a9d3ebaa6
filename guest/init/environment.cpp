#include "init/environment.h"

#include <algorithm>

#include "init/status.h"

namespace init {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace

std::vector<std::string> environment(const google::protobuf::RepeatedPtrField<std::string>& env, const std::string& home,
                                     const std::string& hostname) {
    std::vector<std::string> result;
    const auto name_of = [](std::string_view entry) { return entry.substr(0, entry.find('=')); };
    const auto find = [&](std::string_view name) {
        return std::find_if(result.begin(), result.end(), [&](const std::string& entry) { return name_of(entry) == name; });
    };
    for (const std::string& entry : env) {
        const auto same = find(name_of(entry));
        if (same != result.end())
            *same = entry;
        else
            result.push_back(entry);
    }
    const std::string defaults[] = {cat({"PATH=", kDefaultPath}), cat({"HOME=", home}), cat({"HOSTNAME=", hostname})};
    for (const std::string& entry : defaults) {
        if (find(name_of(entry)) == result.end()) result.push_back(entry);
    }
    return result;
}

std::string value_of(const std::vector<std::string>& environment, std::string_view name) {
    for (const std::string& entry : environment) {
        if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') return entry.substr(name.size() + 1);
    }
    return "";
}

}  // namespace init
