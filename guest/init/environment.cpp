#include "init/environment.h"

#include <algorithm>

#include "init/status.h"

namespace init {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string_view name_of(std::string_view entry) {
    return entry.substr(0, entry.find('='));
}

std::vector<std::string>::iterator find(std::vector<std::string>& entries, std::string_view name) {
    return std::find_if(entries.begin(), entries.end(), [&](const std::string& entry) { return name_of(entry) == name; });
}

}  // namespace

std::vector<std::string> last_of_each(const std::vector<std::string>& entries) {
    std::vector<std::string> result;
    for (const std::string& entry : entries) {
        const auto same = find(result, name_of(entry));
        if (same != result.end())
            *same = entry;
        else
            result.push_back(entry);
    }
    return result;
}

std::vector<std::string> environment(const google::protobuf::RepeatedPtrField<std::string>& env, const std::string& home,
                                     const std::string& hostname) {
    std::vector<std::string> result = last_of_each({env.begin(), env.end()});
    const std::string defaults[] = {cat({"PATH=", kDefaultPath}), cat({"HOME=", home}), cat({"HOSTNAME=", hostname})};
    for (const std::string& entry : defaults) {
        if (find(result, name_of(entry)) == result.end()) result.push_back(entry);
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
