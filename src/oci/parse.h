#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/files.h"
#include "oci/image.h"

namespace oci {

// True for a SHA-256 in 64 lower-case hex digits.
bool is_sha256(std::string_view text);

// The hex digits of "sha256:HEX". Throws base::Error for every other digest.
std::string parse_digest(const std::string& digest);

// A text, or a list of texts, of an object. Throws base::Error that names the key; empty where it is missing or null.
std::string get_text(const nlohmann::json& object, const char* key);
std::vector<std::string> get_texts(const nlohmann::json& object, const char* key);

// Reads the image's configuration: `config`, `id`, and one layer for each of its diff_ids, in which name and diff_id are set. Throws
// base::Error where it is for another platform or names another number of layers than `layers`.
Image parse_image_config(const std::string& text, size_t layers, const std::string& platform);

// A platform in the spelling of Go and Docker: "x86_64" is amd64, "aarch64" arm64, "armhf" arm/v7; amd64/v1 and arm64/v8 have no variant.
struct Platform {
    std::string os;
    std::string architecture;
    std::string variant;
};
Platform make_platform(const std::string& os, const std::string& architecture, const std::string& variant);
// From "linux/arm64/v8". Throws base::Error where it is not OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT.
Platform parse_platform(const std::string& text);

// How well the os, architecture and variant of a descriptor or configuration fit: the least number fits best; none: not at all. The order
// is: the same variant, none, the variants that a CPU of the wanted one runs too, the lowest first (without a wanted one: any), and what
// names no platform.
std::optional<unsigned> platform_rank(const nlohmann::json& object, const Platform& wanted);

// Whether two references name the same image: "one", "one:latest" and "docker.io/library/one:latest" do.
bool same_reference(const std::string& a, const std::string& b);

// The N of "@N", by which the N-th image of an archive is chosen, from 0 on; none for another text.
std::optional<size_t> parse_index(const std::string& wanted);

// Splits "docker.io/library/python:3.12" into name and tag.
void set_name(Image& image, std::string reference);

// A layer's blob; `digest` in hex digits, empty where it is unknown.
void set_blob(Layer& layer, const std::shared_ptr<const Files>& files, const std::string& path, const std::string& digest);

}  // namespace oci
