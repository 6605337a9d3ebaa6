#include "init/users.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace init {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const size_t end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

// A uid or gid: up to 2^31 - 1, as in Docker.
std::optional<uint32_t> number(std::string_view text) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (value > static_cast<uint32_t>(std::numeric_limits<int32_t>::max())) return std::nullopt;
    return value;
}

}  // namespace

Result<Identity> find_user(std::string_view user, std::string_view passwd, std::string_view group) {
    const size_t colon = user.find(':');
    std::string_view user_part = user.substr(0, colon);
    const std::string_view group_part = colon == std::string_view::npos ? "" : user.substr(colon + 1);
    if (user_part.empty()) user_part = "0";

    Identity identity;
    std::string_view name;
    const std::optional<uint32_t> uid = number(user_part);
    bool found = false;
    for (const std::string_view line : split(passwd, '\n')) {
        const auto fields = split(line, ':');  // name:password:uid:gid:comment:home:shell
        if (fields.size() < 6 || !number(fields[2]) || !number(fields[3])) continue;
        if (uid ? number(fields[2]) != uid : fields[0] != user_part) continue;
        name = fields[0];
        identity.uid = *number(fields[2]);
        identity.gid = *number(fields[3]);
        if (!fields[5].empty()) identity.home = fields[5];
        found = true;
        break;
    }
    if (!found) {
        if (!uid) return bad_request({"the image's User \"", user, "\": its /etc/passwd has no user \"", user_part, "\""});
        identity.uid = *uid;
    }

    const std::optional<uint32_t> gid = number(group_part);
    bool group_found = false;
    for (const std::string_view line : split(group, '\n')) {
        const auto fields = split(line, ':');  // name:password:gid:members
        if (fields.size() < 4 || !number(fields[2])) continue;
        if (group_part.empty()) {
            const auto members = split(fields[3], ',');
            if (found && std::find(members.begin(), members.end(), name) != members.end()) identity.groups.push_back(*number(fields[2]));
        } else if (!gid && !group_found && fields[0] == group_part) {
            identity.gid = *number(fields[2]);
            group_found = true;
        }
    }
    if (gid)
        identity.gid = *gid;
    else if (!group_part.empty() && !group_found)
        return bad_request({"the image's User \"", user, "\": its /etc/group has no group \"", group_part, "\""});
    return identity;
}

}  // namespace init
