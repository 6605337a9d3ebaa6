// Folder dbg/copy: the host's side of `ya-runtime-dbg cp`: what its arguments name, packing a tree as a tar, and unpacking a hostile tar.
#pragma once

#include <string>
#include <string_view>

namespace dbg {

// One side of a copy.
struct CopyPlace {
    std::string vm;    // its name; empty: this machine
    std::string path;  // in a VM absolute; "-": a tar on standard input or output
};

// "NAME:/path" or a path of this machine, told apart as `docker cp` does: what begins with '/' or '.', or has no colon, is a path. In a VM
// a path begins at the root.
CopyPlace parse_copy_place(const std::string& text);

// What the end of a source's path asks for.
struct SourceName {
    std::string path;  // without slashes at its end
    std::string name;  // of the copy: the path's last name; empty: what is in the folder is copied, not the folder
    bool folder;       // the path ends in a slash, or as one that names the content: it has to be a folder, and a link to one is followed
};

// "/a/b": name "b"; "/a/b/": the folder "b"; "/a/b/." and "/": the content.
SourceName source_name(std::string_view path);

// A folder's path as one that names its content: "/a/.".
std::string content_of(const std::string& path);

}  // namespace dbg
