#include "oci/engine.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "oci/docker_archive.h"
#include "oci/files.h"
#include "oci/parse.h"

namespace oci {
namespace {

constexpr size_t kMaxAnswer = size_t{4} << 20;

using Sink = std::function<void(std::span<const std::byte>)>;

struct FreeCurl {
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

// libcurl is C: what the sink throws is kept and thrown again after it.
struct Transfer {
    CURL* curl;
    const Sink& sink;
    std::string error_body;
    std::exception_ptr failure;
};

size_t on_body(char* data, size_t size, size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    long status = 0;
    curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
    try {
        if (status == 200) {
            transfer.sink(std::as_bytes(std::span(data, size * count)));
        } else if (transfer.error_body.size() < kMaxAnswer) {
            transfer.error_body.append(data, size * count);
        }
        return size * count;
    } catch (...) {
        transfer.failure = std::current_exception();
        return CURL_WRITEFUNC_ERROR;
    }
}

// "message" of an engine's JSON.
std::string message_in(const std::string& body, long status) {
    try {
        std::string message = get_text(base::parse_json(body), "message");
        if (!message.empty()) return message;
    } catch (const base::Error&) {
        // not its usual form
    }
    return "HTTP status " + std::to_string(status);
}

// False when the engine does not know the image. Throws base::Error where it does not answer, or with an error.
bool get(const std::string& socket, const std::string& path, const Sink& sink) {
    const std::unique_ptr<CURL, FreeCurl> curl(curl_easy_init());
    if (!curl) throw std::bad_alloc();
    Transfer transfer{curl.get(), sink, {}, {}};
    const std::string url = "http://engine" + path;
    constexpr long kConnectSeconds = 10;
    curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
    const CURLcode code = curl_easy_perform(curl.get());
    if (transfer.failure) std::rethrow_exception(transfer.failure);
    if (code != CURLE_OK) throw base::Error(curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status == 404) return false;
    if (status != 200) throw base::Error(message_in(transfer.error_body, status));
    return true;
}

// The name as a part of a path: engines take slashes as they are.
std::string path_of(const std::string& name) {
    constexpr const char* kHex = "0123456789ABCDEF";
    std::string path = "/images/";
    for (const char c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string("-._/:@").find(c) != std::string::npos;
        if (plain) {
            path.push_back(c);
        } else {
            path.append("%").append(1, kHex[static_cast<unsigned char>(c) >> 4]).append(1, kHex[static_cast<unsigned char>(c) & 15]);
        }
    }
    return path;
}

std::vector<std::string> sockets() {
    std::vector<std::string> result;
    const auto add = [&result](const std::string& path) {
        std::error_code error;
        const bool known = std::find(result.begin(), result.end(), path) != result.end();
        if (!known && std::filesystem::is_socket(path, error)) result.push_back(path);
    };
    const char* host = std::getenv("DOCKER_HOST");
    constexpr std::string_view kUnix = "unix://";
    if (host != nullptr && std::string_view(host).starts_with(kUnix)) add(host + kUnix.size());
    add("/var/run/docker.sock");
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    if (runtime != nullptr) add(std::string(runtime) + "/podman/podman.sock");
    add("/run/user/" + std::to_string(::getuid()) + "/podman/podman.sock");
    add("/run/podman/podman.sock");
    return result;
}

std::optional<Image> fetch(const std::string& socket, const std::string& name, const OpenOptions& options) {
    std::string description;
    const auto keep = [&description](std::span<const std::byte> bytes) {
        if (description.size() + bytes.size() > kMaxAnswer) throw base::Error("a description of more than 4 MiB");
        description.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    if (!get(socket, path_of(name) + "/json", keep)) return std::nullopt;
    const nlohmann::json json = base::parse_json(description);
    const auto size = json.is_object() ? json.find("Size") : json.end();
    const uint64_t total = size != json.end() && size->is_number_unsigned() ? size->get<uint64_t>() : 0;

    auto file = std::make_shared<base::UniqueFd>(unnamed_file());
    uint64_t done = 0;
    const auto write = [&](std::span<const std::byte> bytes) {
        base::write_all(file->get(), bytes, "a temporary file in " + std::filesystem::temp_directory_path().string());
        done += bytes.size();
        if (options.progress) options.progress(done, std::max(total, done));
    };
    if (!get(socket, path_of(name) + "/get", write)) throw base::Error("the image went away");
    Image image = open_docker_archive(open_tar(std::move(file), "the engine's archive"), "", options.platform);
    // An image that was asked for by its id, which has no name then.
    if (image.name.empty() && name.find("sha256:") != 0) set_name(image, name);
    return image;
}

}  // namespace

std::optional<Image> open_engine_image(const std::string& name, const OpenOptions& options, std::string& tried) {
    const std::vector<std::string> found = sockets();
    for (const std::string& socket : found) {
        bool has_it = false;
        try {
            auto image = fetch(socket, name, options);
            has_it = image.has_value();
            if (image) return image;
            tried += (tried.empty() ? "" : "; ") + ("the engine at " + socket + " does not have it");
        } catch (const base::Error& e) {
            if (has_it) throw;
            tried += (tried.empty() ? "" : "; ") + ("the engine at " + socket + ": " + e.what());
        }
    }
    if (found.empty()) tried = "there is no local engine (no socket of Docker or Podman)";
    return std::nullopt;
}

}  // namespace oci
