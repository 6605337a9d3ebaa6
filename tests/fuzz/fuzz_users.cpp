// A stranger's /etc/passwd and /etc/group, and the image's User: three texts, each but the last ended by a zero byte. Any bytes give a user
// or an error with a place, and the user is the one that a second, slower reading of the rules in container/users.h gives.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "container/users.h"

namespace {

using Fields = std::vector<std::string>;

Fields split(const std::string& text, char separator) {
    Fields parts(1);
    for (const char c : text) {
        if (c == separator) {
            parts.emplace_back();
        } else {
            parts.back().push_back(c);
        }
    }
    return parts;
}

// The lines' fields, padded to `count`.
std::vector<Fields> table(const std::string& text, size_t count) {
    const std::string blanks = " \t\r\v\f";
    std::vector<Fields> result;
    for (std::string line : split(text, '\n')) {
        while (!line.empty() && blanks.find(line.back()) != std::string::npos)
            line.pop_back();
        while (!line.empty() && blanks.find(line.front()) != std::string::npos)
            line.erase(0, 1);
        if (line.empty() || line[0] == '#') continue;
        Fields fields = split(line, ':');
        fields.resize(std::max(fields.size(), count));
        result.push_back(std::move(fields));
    }
    return result;
}

std::optional<uint64_t> number(const std::string& text, uint64_t largest) {
    const std::string digits = text.substr(text.starts_with('+') ? 1 : 0);
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
    uint64_t value = 0;
    for (const char c : digits) {
        value = value * 10 + static_cast<uint64_t>(c - '0');
        if (value > largest) return std::nullopt;
    }
    return value;
}

constexpr uint64_t kInUser = 0x7fffffff;
constexpr uint64_t kInFile = 0xfffffffe;

std::optional<uint64_t> field_number(const std::string& text) {
    return text.empty() ? 0 : number(text, kInFile);
}

struct Model {
    std::optional<container::Identity> identity;  // none: an error

    Model(const std::string& user, const std::string& passwd, const std::string& group) {
        const size_t colon = user.find(':');
        const std::string name = user.substr(0, colon).empty() ? "0" : user.substr(0, colon);
        const std::string wanted = colon == std::string::npos ? "" : user.substr(colon + 1);
        container::Identity found;
        std::string entry;
        if (!find_entry(name, passwd, found, entry)) return;
        const std::vector<Fields> groups = table(group, 4);
        if (!wanted.empty() && !find_group(wanted, groups, found)) return;
        found.groups = {found.gid};
        for (const Fields& line : groups) {
            const Fields members = split(line[3], ',');
            const bool listed = wanted.empty() && !entry.empty() && std::find(members.begin(), members.end(), entry) != members.end();
            const auto gid = field_number(line[2]);
            if (listed && gid && std::find(found.groups.begin(), found.groups.end(), *gid) == found.groups.end())
                found.groups.push_back(static_cast<gid_t>(*gid));
        }
        identity = found;
    }

    static bool find_entry(const std::string& name, const std::string& passwd, container::Identity& found, std::string& entry) {
        const auto uid = number(name, kInUser);
        for (const Fields& line : table(passwd, 7)) {
            if (uid ? number(line[2], kInFile) != uid : line[0] != name) continue;
            const auto entry_uid = field_number(line[2]);
            const auto entry_gid = field_number(line[3]);
            if (!entry_uid || !entry_gid) return false;
            found.uid = static_cast<uid_t>(*entry_uid);
            found.gid = static_cast<gid_t>(*entry_gid);
            if (!line[5].empty()) found.home = line[5];
            entry = line[0];
            return true;
        }
        if (uid) found.uid = static_cast<uid_t>(*uid);
        return uid.has_value();
    }

    static bool find_group(const std::string& wanted, const std::vector<Fields>& groups, container::Identity& found) {
        const auto given = number(wanted, kInUser);
        if (given) found.gid = static_cast<gid_t>(*given);
        if (given) return true;
        for (const Fields& line : groups) {
            if (line[0] != wanted) continue;
            const auto gid = field_number(line[2]);
            if (gid) found.gid = static_cast<gid_t>(*gid);
            return gid.has_value();
        }
        return false;
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const size_t first = std::min(text.find('\0'), size);
    const size_t second = std::min(text.find('\0', first + 1), size);
    const std::string user = text.substr(0, first);
    const std::string passwd = first < size ? text.substr(first + 1, second - first - 1) : "";
    const std::string group = second < size ? text.substr(second + 1) : "";
    const container::UserLookup lookup = container::find_user(user, passwd, group);
    const Model model(user, passwd, group);
    if (lookup.error.empty() != model.identity.has_value()) std::abort();
    if (!lookup.error.empty()) {
        constexpr size_t kLongest = 400;  // whatever the files say
        const bool placed = lookup.error.starts_with("/etc/passwd ") || lookup.error.starts_with("/etc/group ");
        if (!placed || lookup.error.size() > kLongest) std::abort();
        return 0;
    }
    const container::Identity& identity = lookup.identity;
    const container::Identity& expected = *model.identity;
    if (identity.uid != expected.uid || identity.gid != expected.gid || identity.home != expected.home ||
        identity.groups != expected.groups)
        std::abort();
    return 0;
}
