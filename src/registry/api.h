#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "http/client.h"
#include "registry/descriptor.h"
#include "registry/reference.h"
#include "registry/settings.h"

namespace registry {

// What a registry has of an upload.
struct UploadStatus {
    bool descriptor = false;   // it knows the descriptor
    bool full = false;         // every chunk is there and the image's hash is right
    std::vector<bool> stored;  // per chunk
};

// What a registry says of an image.
struct ImageInfo {
    std::string url;   // to download it: the https one where the registry itself is reached by https, else the http one
    std::string sha3;  // 56 lower-case hex digits
    uint64_t size = 0;
};

// The requests of docs/spec/registry.md, over one connection; one thread at a time. All throw base::Error that names the request; a
// http::TransientError only after the tries that the options allow. Answers are a stranger's and are checked.
class Api {
public:
    explicit Api(std::string url, const http::Options& options = {}) : url_(std::move(url)), options_(options), session_(options) {}

    // Whether the registry takes the login; its reason goes to `reason`.
    bool login(const Login& login, std::string& reason);

    UploadStatus upload_status(const std::string& descriptor_hash, size_t chunks);
    void push_descriptor(const std::string& descriptor_bytes);
    // Chunk `number` of the image that is open as `fd`. `sent` takes the bytes that are under way and may throw.
    void push_chunk(const std::string& descriptor_hash, const Descriptor& descriptor, size_t number, int fd,
                    const std::function<void(uint64_t)>& sent);
    // Gives an upload its name; `check` only asks whether that would be allowed.
    void attach(const std::string& descriptor_hash, const Reference& name, const Login& login, bool check);

    // `key` is "tag" or "hash". A look-up by a developer: it does not count as a use.
    ImageInfo image_info(const std::string& key, const std::string& value);

private:
    http::Response send(const http::Request& request);

    std::string url_;
    http::Options options_;
    http::Session session_;
};

}  // namespace registry
