#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "s3/client.h"

namespace s3 {

// Reads a part of an object, in order, by one request; where that breaks, by another for the rest. The first read asks for it. Between two
// reads the answer is parked with the client, so that readers whom nobody asks hold no memory.
class Reader {
public:
    // From `first` to before `end`, or to the object's end. `client` must outlive it.
    Reader(Client& client, std::string key, uint64_t first, uint64_t end);
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader();

    // The next bytes; fewer than asked for only at the end. Throws as Client does, also where the object is not there.
    size_t read(std::span<std::byte> buffer, Patience patience);

    uint64_t position() const { return position_; }
    // The size of the whole object, once something was read of it.
    uint64_t size() const { return size_; }

private:
    void open();

    Client& client_;
    std::string key_;
    uint64_t position_, end_, size_ = 0;
    std::unique_ptr<http::Stream> stream_;  // during a read
    uint64_t parked_ = 0;                   // its number, otherwise
};

}  // namespace s3
