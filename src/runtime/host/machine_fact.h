#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace runtime {

// What was learned about this machine at some cost, kept in a JSON file of at most 64 KiB. A fact holds for one key: a text made of all
// that it depends on. A file that cannot be read or written is told in a warning, and the fact is learned anew.

// Gives the kept JSON to `read` and returns true; false where there is no file, its key is another, or `read` throws.
bool recall_fact(const std::filesystem::path& file, const std::string& key, const std::function<void(const nlohmann::json&)>& read);

// Keeps the members of the object `json` beside the key, and makes the folder of the file where it is missing.
void keep_fact(const std::filesystem::path& file, const std::string& key, nlohmann::json json);

}  // namespace runtime
