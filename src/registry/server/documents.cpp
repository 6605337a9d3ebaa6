#include "registry/server/documents.h"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "registry/server/errors.h"

namespace registry::server {
namespace {

constexpr std::string_view kRoot = "/docs/";
constexpr size_t kMaxBytes = 64 << 20;
constexpr size_t kMaxPages = 10'000;
constexpr std::array<std::pair<std::string_view, const char*>, 7> kTypes{{
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".txt", "text/plain; charset=utf-8"},
}};

const char* type_of(const std::filesystem::path& file) {
    const std::string extension = file.extension().string();
    const auto* const found = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& type) { return type.first == extension; });
    return found == kTypes.end() ? "text/plain; charset=utf-8" : found->second;
}

// A page's bytes, shared by everybody who reads them, so that a slow reader holds no copy.
class PageContent : public Content {
public:
    explicit PageContent(std::shared_ptr<const std::string> text) : text_(std::move(text)) {}
    size_t read(uint64_t offset, std::span<std::byte> buffer) override {
        const size_t length = std::min<size_t>(buffer.size(), text_->size() - offset);
        std::copy_n(std::as_bytes(std::span(*text_)).begin() + static_cast<ptrdiff_t>(offset), length, buffer.begin());
        return length;
    }

private:
    std::shared_ptr<const std::string> text_;
};

std::string quoted_hash(const std::string& text) {
    return '"' + std::to_string(text.size()) + '-' + std::to_string(std::hash<std::string>{}(text)) + '"';
}

}  // namespace

Documents::Documents(const std::filesystem::path& folder) {
    size_t left = kMaxBytes;
    std::error_code error;
    std::filesystem::recursive_directory_iterator entries(folder, error);
    for (; !error && entries != std::filesystem::recursive_directory_iterator(); entries.increment(error)) {
        const std::filesystem::path& path = entries->path();
        if (path.filename().string().starts_with('.')) {
            entries.disable_recursion_pending();
            continue;
        }
        if (!std::filesystem::is_regular_file(entries->symlink_status())) continue;
        if (pages_.size() == kMaxPages) throw base::Error(folder.string() + " holds more than 10,000 files");
        auto text = std::make_shared<const std::string>(base::read_file(path, left));
        left -= text->size();
        pages_[path.lexically_relative(folder).generic_string()] = {type_of(path), quoted_hash(*text), text};
    }
    if (error) throw base::Error("cannot read " + folder.string() + ": " + error.message());
    if (!pages_.contains("index.html")) throw base::Error(folder.string() + " has no index.html; ./dev docs makes such a folder");
}

std::unique_ptr<Exchange> Documents::route(const Request& request) const {
    if (request.method != "GET" && request.method != "HEAD") return nullptr;
    if (request.path == "/docs") {
        return answer([] { return Response{.status = http::kFound, .headers = {{"Location", std::string(kRoot)}}}; });
    }
    if (!request.path.starts_with(kRoot)) return nullptr;
    std::string path = request.path.substr(kRoot.size());
    if (path.empty() || path.ends_with('/')) path += "index.html";
    const auto found = pages_.find(path);
    if (found == pages_.end()) throw HttpError(http::kNotFound, "there is no such page");
    return answer([&page = found->second, &request] {
        Response response = ranged_answer(request, page.text->size(), page.etag, std::make_shared<PageContent>(page.text));
        response.type = page.type;
        response.headers.emplace_back("Content-Security-Policy",
                                      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; "
                                      "form-action 'none'; frame-ancestors 'none'");
        response.headers.emplace_back("Referrer-Policy", "no-referrer");
        return response;
    });
}

}  // namespace registry::server
