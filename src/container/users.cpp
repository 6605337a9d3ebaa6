#include "container/users.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <unordered_set>

namespace container {
namespace {

constexpr uint32_t kLargestInUser = std::numeric_limits<int32_t>::max();       // as in Docker
constexpr uint32_t kLargestInFile = std::numeric_limits<uint32_t>::max() - 1;  // the largest that is a uid for the kernel
constexpr size_t kLongestShown = 100;                                          // of a field in an error: the file may be one long line

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\v\f";
    const size_t start = std::min(text.find_first_not_of(kBlanks), text.size());
    text.remove_prefix(start);
    return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// Like Go's strconv.Atoi, for numbers from 0 to `largest`.
std::optional<uint32_t> number(std::string_view text, uint32_t largest) {
    if (text.starts_with('+')) text.remove_prefix(1);
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > largest) return std::nullopt;
    return value;
}

// A line of a file in which ':' separates fields.
class Line {
public:
    Line(std::string_view file, std::string_view text, size_t line_number) : file_(file), text_(text), number_(line_number) {}

    // Empty where the line has fewer fields.
    std::string_view field(size_t index) const {
        std::string_view rest = text_;
        for (; index > 0; index--) {
            const size_t colon = rest.find(':');
            if (colon == std::string_view::npos) return {};
            rest.remove_prefix(colon + 1);
        }
        return rest.substr(0, rest.find(':'));
    }

    // The number in a field, 0 where that is empty; none, with the reason in `error`, where it is no number.
    std::optional<uint32_t> id(size_t index, const char* what, std::string& error) const {
        if (field(index).empty()) return 0;
        const std::optional<uint32_t> value = number(field(index), kLargestInFile);
        if (!value) {
            error.append(file_).append(" line ").append(std::to_string(number_)).append(": the ").append(what).append(" \"");
            error.append(field(index).substr(0, kLongestShown)).append("\" is not a number");
        }
        return value;
    }

private:
    std::string_view file_;
    std::string_view text_;
    size_t number_;
};

// Calls f for each line until it returns false.
template <typename F>
void for_each_line(std::string_view file, std::string_view text, F f) {
    for (size_t line_number = 1; !text.empty(); line_number++) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!line.empty() && line[0] != '#' && !f(Line(file, line, line_number))) return;
    }
}

bool lists(std::string_view members, std::string_view name) {
    while (true) {
        const size_t comma = members.find(',');
        if (members.substr(0, comma) == name) return true;
        if (comma == std::string_view::npos) return false;
        members.remove_prefix(comma + 1);
    }
}

// name:password:uid:gid:comment:home:shell. Sets `name` to the entry's name; it stays empty for a number without an entry.
void find_in_passwd(std::string_view user, std::string_view passwd, UserLookup& lookup, std::string_view& name) {
    const std::optional<uint32_t> uid = number(user, kLargestInUser);
    bool found = false;
    for_each_line("/etc/passwd", passwd, [&](const Line& line) {
        if (uid ? line.field(2).empty() || number(line.field(2), kLargestInFile) != uid : line.field(0) != user) return true;
        found = true;
        const auto entry_uid = line.id(2, "uid", lookup.error);
        const auto entry_gid = entry_uid ? line.id(3, "gid", lookup.error) : std::nullopt;
        if (!entry_gid) return false;
        name = line.field(0);
        lookup.identity.uid = *entry_uid;
        lookup.identity.gid = *entry_gid;
        if (!line.field(5).empty()) lookup.identity.home = line.field(5);
        return false;
    });
    if (found) return;
    if (uid) {
        lookup.identity.uid = *uid;
    } else {
        lookup.error.append("/etc/passwd has no user \"").append(user.substr(0, kLongestShown)).append("\"");
    }
}

// name:password:gid:members
void find_group(std::string_view wanted, std::string_view group, UserLookup& lookup) {
    if (const std::optional<uint32_t> gid = number(wanted, kLargestInUser)) {
        lookup.identity.gid = *gid;
        return;
    }
    bool found = false;
    for_each_line("/etc/group", group, [&](const Line& line) {
        if (line.field(0) != wanted) return true;
        found = true;
        if (const auto gid = line.id(2, "gid", lookup.error)) lookup.identity.gid = *gid;
        return false;
    });
    if (!found) lookup.error.append("/etc/group has no group \"").append(wanted.substr(0, kLongestShown)).append("\"");
}

// A line with a bad gid is passed over: a user's other groups must not keep its commands from running.
void add_groups_of(std::string_view name, std::string_view group, std::vector<gid_t>& groups) {
    // A search of `groups` would make the time grow with the square of the file, which may list over a million of them.
    std::unordered_set<gid_t> known(groups.begin(), groups.end());
    for_each_line("/etc/group", group, [&](const Line& line) {
        std::string ignored;
        if (!lists(line.field(3), name)) return true;
        const auto gid = line.id(2, "gid", ignored);
        if (gid && known.insert(*gid).second) groups.push_back(*gid);
        return true;
    });
}

}  // namespace

UserLookup find_user(std::string_view user, std::string_view passwd, std::string_view group) {
    const size_t colon = user.find(':');
    const std::string_view user_part = colon == 0 || user.empty() ? "0" : user.substr(0, colon);
    const std::string_view group_part = colon == std::string_view::npos ? "" : user.substr(colon + 1);

    UserLookup lookup;
    std::string_view name;
    find_in_passwd(user_part, passwd, lookup, name);
    if (lookup.error.empty() && !group_part.empty()) find_group(group_part, group, lookup);
    if (!lookup.error.empty()) return lookup;
    lookup.identity.groups = {lookup.identity.gid};
    if (group_part.empty() && !name.empty()) add_groups_of(name, group, lookup.identity.groups);
    return lookup;
}

}  // namespace container
