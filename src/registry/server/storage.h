// Folder registry/server: the registry itself (docs/spec/registry.md): chunks in a Storage, everything else in a Metadata, the HTTP
// interface over both, a web page, and the operator's commands.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "s3/settings.h"

namespace registry::server {

// A chunk that is being received. The destructor drops an uncommitted one.
class ChunkWriter {
public:
    virtual ~ChunkWriter() = default;
    // Throws base::Error; HttpError where it becomes longer than announced.
    virtual void write(std::span<const std::byte> data) = 0;
    // Makes it durable and visible; returns false where the same chunk was there already. May wait long. Throws HttpError where length or
    // SHA-256 are not as announced.
    virtual bool commit() = 0;
};

// A stored chunk, open.
class ChunkReader {
public:
    virtual ~ChunkReader() = default;
    // Bytes from `offset` on; fewer than requested only at the chunk's end. Throws base::Error.
    virtual size_t read(uint64_t offset, std::span<std::byte> buffer) = 0;
};

// What will be read of a chunk, in order. A store on another machine fetches just that.
struct Wanted {
    uint64_t first = 0;
    uint64_t end = UINT64_MAX;  // before which the last byte is; the chunk's end where that is nearer
    bool soon = false;          // somebody waits for the first bytes, so a store that does not answer is given up early
};

// An image's object that is being written. Nobody sees it before `finish`; the destructor drops what was not finished.
class ObjectWriter {
public:
    virtual ~ObjectWriter() = default;
    virtual void write(std::span<const std::byte> data) = 0;
    virtual void finish() = 0;
};

// Whole images in a store of which clients can get them themselves, each composed of an image's chunks. Names have letters and digits. They
// are random: clients see them, and the hash of a private image's descriptor is nobody's business. Throws as Storage.
class ImageObjects {
public:
    virtual ~ImageObjects() = default;
    virtual std::unique_ptr<ObjectWriter> begin(const std::string& name, uint64_t size) = 0;
    virtual std::unique_ptr<ChunkReader> open(const std::string& name) = 0;
    // Also what is half written; no error where there is nothing.
    virtual void remove(const std::string& name) = 0;
    // Calls `each` with names and sizes: of half-written ones, which may also come several times, without a size.
    virtual void list(const std::function<void(const std::string&, std::optional<uint64_t>)>& each) = 0;
    // A URL by which anybody may get an object, for so long.
    virtual std::string url(const std::string& name, std::chrono::seconds lifetime) const = 0;
};

// Stores chunks, each once, by their SHA-256 (64 lower-case hex digits; callers have checked that). Several threads may call its functions
// at once. Where a store on another machine does not answer, they throw http::TransientError.
class Storage {
public:
    virtual ~Storage() = default;
    // Whether it is on another machine: its functions may wait long, and its size is nothing that we know.
    virtual bool remote() const { return false; }
    // Throws where it cannot be used now.
    virtual void ping() const { (void)has(std::string(64, '0')); }
    // Removes what a killed server left half-written: what nobody has written to for so long; with 0 everything, so that no other server
    // may use the folder.
    virtual void clear_incoming(std::chrono::seconds /*age*/) {}

    virtual bool has(const std::string& sha256) const = 0;
    // `has` for each of them, in their order.
    virtual std::vector<bool> which(const std::vector<std::string>& chunks) const;
    // Does not wait for another machine.
    virtual std::unique_ptr<ChunkWriter> begin(const std::string& sha256, uint64_t length) = 0;
    // Throws base::Error where there is none; so may the first read.
    virtual std::unique_ptr<ChunkReader> open(const std::string& sha256, const Wanted& wanted) const = 0;
    std::unique_ptr<ChunkReader> open(const std::string& sha256) const { return open(sha256, {}); }
    virtual void remove(const std::string& sha256) = 0;
    // Calls `each` with the hash and length of every chunk, and `other`, where it is given, with the name of what is among them and is
    // none.
    virtual void list(const std::function<void(const std::string&, uint64_t)>& each,
                      const std::function<void(const std::string&)>& other = {}) const = 0;
    // Of the disk: the chunks' own, or, of a store on another machine, the one that a chunk waits on until it is whole.
    virtual uint64_t free_bytes() const = 0;
    // How many more files the disk takes; UINT64_MAX where its file system has no such limit.
    virtual uint64_t free_files() const = 0;
    // Null where clients cannot reach the store.
    virtual ImageObjects* image_objects() { return nullptr; }
};

// Where the chunks are.
struct StoreOptions {
    std::filesystem::path data;  // the registry's folder
    s3::Place s3;                // with an empty URL: in the folder
};

// Makes missing folders. Throws base::Error, also where an S3 store refuses our keys; not where it does not answer now.
std::unique_ptr<Storage> open_storage(const StoreOptions& options);

}  // namespace registry::server
