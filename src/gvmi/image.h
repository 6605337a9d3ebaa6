// Folder gvmi: the .gvmi file format (docs/spec/gvmi.md): the trailer, the container configuration, the squashfs inside and its
// compressors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace gvmi {

// Reads an image's bytes from a position on, until the buffer is full or the image ends; returns the number of bytes. Throws base::Error.
using ReadAt = std::function<size_t(std::span<std::byte> buffer, uint64_t position)>;

// Of an open file, which stays the caller's.
ReadAt read_from(int fd);

// The parts of Docker's container configuration that our programs read; `json` is the complete object, unknown keys included.
struct Config {
    nlohmann::json json = nlohmann::json::object();
    std::string user;                     // User, in any of Docker's forms; empty: root
    std::vector<std::string> env;         // Env, "K=V"
    std::string working_dir;              // WorkingDir; empty: "/"
    std::vector<std::string> entrypoint;  // Entrypoint; a bare string in the file is one element
    std::vector<std::string> cmd;         // Cmd; empty: none
    std::vector<std::string> volumes;     // the names in Volumes: absolute, normal, without a trailing slash, sorted, unique
};

// Checks the types of all known keys and the volume paths. Throws base::Error that names the key.
Config parse_config(nlohmann::json json);

// A volume's path without empty and "." parts and without a trailing slash. Throws base::Error where it is not absolute, contains "..", or
// is the root.
std::string normal_volume_path(const std::string& path);

// What a .gvmi tells without a look into its squashfs.
struct Image {
    uint64_t squashfs_bytes = 0;  // as its superblock says, and the next three
    std::string compressor;       // "gzip", or a number where it is not one of squashfs 4.0's
    uint32_t block_size = 0;
    uint32_t inodes = 0;
    uint64_t trailer_offset = 0;  // S of docs/spec/gvmi.md: where the CRC stands
    Config config;
};

// Reads the trailer and the squashfs superblock of a stranger's file. Each defect in docs/spec/gvmi.md's list has its own message. Throws
// base::Error: "PATH: not a .gvmi image: …".
Image read_image(const std::filesystem::path& path);
Image read_image(int fd, const std::string& name);
// Of an image of `size` bytes that need not be a file.
Image read_image(const ReadAt& read, uint64_t size, const std::string& name);

// The bytes after the squashfs: CRC, JSON and length. Throws base::Error where the JSON is longer than read_image accepts, or not UTF-8.
std::string make_trailer(const nlohmann::json& config);

}  // namespace gvmi
