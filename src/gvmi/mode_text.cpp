#include "gvmi/mode_text.h"

#include <sys/stat.h>

namespace gvmi {
namespace {

char type_letter(mode_t mode) {
    switch (mode & S_IFMT) {
        case S_IFDIR:
            return 'd';
        case S_IFLNK:
            return 'l';
        case S_IFBLK:
            return 'b';
        case S_IFCHR:
            return 'c';
        case S_IFIFO:
            return 'p';
        case S_IFSOCK:
            return 's';
        default:
            return '-';
    }
}

}  // namespace

std::string mode_text(mode_t mode) {
    std::string text(1, type_letter(mode));
    for (int i = 8; i >= 0; i--)
        text.push_back((mode >> i & 1) != 0 ? "xwr"[i % 3] : '-');
    const auto special = [&](mode_t bit, size_t at, char with, char without) {
        if ((mode & bit) != 0) text[at] = text[at] == 'x' ? with : without;
    };
    special(S_ISUID, 3, 's', 'S');
    special(S_ISGID, 6, 's', 'S');
    special(S_ISVTX, 9, 't', 'T');
    return text;
}

}  // namespace gvmi
