// Folder registry/server: the registry itself (docs/spec/registry.md): chunks in a Storage, everything else in a Metadata, the HTTP
// interface over both, a web page, and the operator's commands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace registry::server {

// A chunk that is being received. The destructor drops an uncommitted one.
class ChunkWriter {
public:
    virtual ~ChunkWriter() = default;
    // Throws base::Error; HttpError where it becomes longer than announced.
    virtual void write(std::span<const std::byte> data) = 0;
    // Makes it durable and visible. May wait long for the disk. Throws HttpError where length or SHA-256 are not as announced.
    virtual void commit() = 0;
};

// A stored chunk, open.
class ChunkReader {
public:
    virtual ~ChunkReader() = default;
    // Bytes from `offset` on; fewer than requested only at the chunk's end. Throws base::Error.
    virtual size_t read(uint64_t offset, std::span<std::byte> buffer) const = 0;
    // A file with the chunk's bytes, for sendfile; -1 where no file holds it.
    virtual int fd() const = 0;
};

// Stores chunks, each once, by their SHA-256 (64 lower-case hex digits; callers have checked that). Several threads may call its functions
// at once.
class Storage {
public:
    virtual ~Storage() = default;
    // Throws where it cannot be used now.
    virtual void ping() const { (void)has(std::string(64, '0')); }
    virtual bool has(const std::string& sha256) const = 0;
    virtual std::unique_ptr<ChunkWriter> begin(const std::string& sha256, uint64_t length) = 0;
    // Throws base::Error where there is none.
    virtual std::unique_ptr<ChunkReader> open(const std::string& sha256) const = 0;
    virtual void remove(const std::string& sha256) = 0;
    // Calls `each` with the hash and length of every chunk.
    virtual void list(const std::function<void(const std::string&, uint64_t)>& each) const = 0;
    virtual uint64_t free_bytes() const = 0;
    // How many more files the disk takes; UINT64_MAX where its file system has no such limit.
    virtual uint64_t free_files() const = 0;
};

}  // namespace registry::server
