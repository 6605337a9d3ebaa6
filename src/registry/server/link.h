#pragma once

#include <optional>
#include <string>

#include "registry/server/records.h"

namespace registry::server {

// A link to a private image: NUMBER.REPOSITORY.EXPIRES.SIGNATURE, of the upload's number, the repository's number, a time and 64 hex digits
// (docs/spec/registry.md). Whoever has it can download the image until then; it does not tell the upload's id, by which others could ask.
struct Link {
    std::string named;  // what comes before the signature
    std::string signature;
    int64_t number = 0, repository = 0;
    Time expires = 0;
};

std::string make_link(const PrivateImage& image, Time expires, const std::string& key);
// None where the text is no link.
std::optional<Link> parse_link(const std::string& text);
// Whether the link was made for this image with the key, and since the repository's links were ended last.
bool is_signed(const Link& link, const PrivateImage& image, const std::string& key);

}  // namespace registry::server
