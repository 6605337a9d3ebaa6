#include "oci/engine.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/size.h"
#include "http/client.h"
#include "http/percent_encode.h"
#include "http/status.h"
#include "oci/docker_archive.h"
#include "oci/files.h"
#include "oci/parse.h"

namespace oci {
namespace {

constexpr size_t kMaxAnswer = size_t{4} << 20;

// "message" of an engine's JSON.
std::string message_in(const http::Response& response) {
    try {
        std::string message = get_text(base::parse_json(response.body), "message");
        if (!message.empty()) return message;
    } catch (const base::Error&) {
        // not the usual form
    }
    return "HTTP status " + std::to_string(response.status);
}

// Returns false where the engine does not know the image. Throws base::Error where it does not answer, or with an error.
bool get(const std::string& socket, const std::string& path, const std::function<void(std::span<const std::byte>)>& sink) {
    http::Options options;
    options.connect = std::chrono::seconds(10);
    options.stall = std::chrono::seconds(0);  // an engine may collect a large image before it sends a byte
    options.unix_socket = socket;
    http::Request request{.url = "http://engine" + path, .any_status = true};
    request.sink = [&sink](const http::Response&, std::span<const std::byte> bytes) { sink(bytes); };
    const http::Response response = http::Session(options).send(request);
    if (response.status == http::kNotFound) return false;
    if (response.status != http::kOk) throw base::Error(message_in(response));
    return true;
}

// Engines take slashes in a name as they are.
std::string path_of(const std::string& name) {
    return "/images/" + http::percent_encode(name, "/:@");
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
        if (bytes.size() > options.limit - done)
            throw base::Error("the image has more than " + base::format_size(options.limit) + " (--limit-gib)");
        base::write_all(file->get(), bytes, "a temporary file in " + std::filesystem::temp_directory_path().string());
        done += bytes.size();
        if (options.progress) options.progress(done, std::max(total, done));
    };
    if (!get(socket, path_of(name) + "/get", write)) throw base::Error("the image went away");
    Image image = open_docker_archive(open_tar(std::move(file), "the engine's archive"), "", options.platform);
    // An image requested by its id has no name.
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
