#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "http/client.h"
#include "registry/descriptor.h"
#include "registry/reference.h"
#include "registry/settings.h"

namespace registry {

// The registry's state of an upload.
struct UploadStatus {
    bool descriptor = false;   // it knows the descriptor
    bool full = false;         // every chunk is stored and the image's hash is right
    std::vector<bool> stored;  // per chunk
    std::string expires = {};  // when it is removed (RFC 3339); empty where the registry does not say so
};

// The registry's description of an image.
struct ImageInfo {
    std::string url;   // for downloads: the https URL where the registry itself is reached by https, else the http one
    std::string sha3;  // 56 lower-case hex digits
    uint64_t size = 0;
    std::string expires = {};  // when its tag is removed (RFC 3339); empty where it is not, or the registry does not say so
};

// Who looks up private images. Asked only where an image is not found without a login.
using Reader = std::function<std::optional<Login>()>;

// The requests of docs/spec/registry.md, over one connection; one thread at a time. All throw base::Error that names the request, and
// http::TransientError only after the tries that the options allow. Responses come from a stranger and are checked.
class Api {
public:
    explicit Api(std::string url, const http::Options& options = {}, Reader reader = {})
        : url_(std::move(url)), options_(options), session_(options), reader_(std::move(reader)) {}

    // Whether the registry accepts the login; sets `reason` to its reason where it does not.
    bool login(const Login& login, std::string& reason);

    UploadStatus upload_status(const std::string& descriptor_hash, size_t chunks);
    // `ttl`: the seconds for which the upload is to be kept; 0 leaves that to the registry.
    void push_descriptor(const std::string& descriptor_bytes, std::chrono::seconds ttl = {});
    // Sends chunk `number` of the image that is open as `fd`. `sent` gets the bytes sent so far and may throw.
    void push_chunk(const std::string& descriptor_hash, const Descriptor& descriptor, size_t number, int fd,
                    const std::function<void(uint64_t)>& sent);
    // Gives an upload its name, for `ttl`, or 0: until it is deleted; `check` only asks whether that would be allowed.
    void attach(const std::string& descriptor_hash, const Reference& name, const Login& login, bool check, std::chrono::seconds ttl = {});

    // Makes a repository private. Throws base::Error where the registry has no private ones, too.
    void set_private(const Reference& name, const Login& login);

    // `key` is "tag" or "hash". Does not count as a use, like a developer's look-up.
    ImageInfo image_info(const std::string& key, const std::string& value);
    // The same; none where the registry answers 404.
    std::optional<ImageInfo> find_image(const std::string& key, const std::string& value);

private:
    http::Response send(const http::Request& request);
    http::Response look_up(const http::Request& request);
    ImageInfo parsed(const http::Request& request, const http::Response& answer) const;

    std::string url_;
    http::Options options_;
    http::Session session_;
    Reader reader_;
};

}  // namespace registry
