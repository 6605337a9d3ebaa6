#pragma once

#include <string>
#include <string_view>

namespace registry {

// The name of an image in a registry, USER/REPOSITORY:TAG (docs/spec/cli.md).
struct Reference {
    std::string user;  // empty where a name has none
    std::string repository;
    std::string tag = "latest";

    std::string text() const;
};

// One `/` and one `:` at most; letters, digits and -_. between; a part is neither "." nor "..". Throws base::Error that names the text.
Reference parse_reference(std::string_view text);

// Like parse_reference, but requires a user. Throws base::Error.
Reference parse_full_reference(std::string_view text);

}  // namespace registry
