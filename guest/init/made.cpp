#include "init/made.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace init {

// The volumes, an empty word, and names and contents in turn; each ends with a zero byte.
Result<base::UniqueFd> file_of(const Made& made) {
    std::string text;
    const auto add = [&](const std::string& word) { text.append(word.c_str(), word.size() + 1); };
    for (const std::string& path : made.volumes)
        add(path);
    add("");
    for (const auto& [name, content] : made.files) {
        add(name);
        add(content);
    }
    base::UniqueFd file(::memfd_create("made", MFD_CLOEXEC));
    if (!file || ::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
        return failure(errno, {"cannot make a file in memory"});
    return file;
}

Result<Made> made_from(int file) {
    struct stat st {};
    if (::fstat(file, &st) < 0) return failure(errno, {"cannot read what init has made"});
    std::string text(static_cast<size_t>(st.st_size), '\0');
    if (::pread(file, text.data(), text.size(), 0) != st.st_size) return failure(errno, {"cannot read what init has made"});
    std::string_view rest = text;
    const auto next = [&] {
        std::string word(rest.substr(0, rest.find('\0')));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        return word;
    };
    Made made;
    for (std::string path = next(); !path.empty(); path = next())
        made.volumes.push_back(path);
    while (!rest.empty()) {
        std::string name = next();
        made.files[std::move(name)] = next();
    }
    return made;
}

}  // namespace init
