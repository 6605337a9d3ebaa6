#pragma once

#include <memory>
#include <nlohmann/json.hpp>
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

// Whether the os, architecture and variant of a descriptor or configuration are `platform` ("linux/arm64/v8"; without a variant any fits).
// An empty one fits too.
bool fits_platform(const nlohmann::json& object, const std::string& platform);

// Splits "docker.io/library/python:3.12" into name and tag.
void set_name(Image& image, std::string reference);

// A layer's blob; `digest` in hex digits, empty where it is unknown.
void set_blob(Layer& layer, const std::shared_ptr<const Files>& files, const std::string& path, const std::string& digest);

}  // namespace oci
