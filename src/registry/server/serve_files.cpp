#include "registry/server/serve_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/error.h"
#include "gvmi/hash.h"
#include "gvmi/image.h"
#include "registry/server/cors.h"
#include "registry/server/errors.h"

namespace registry::server {
namespace {

class FileContent : public Content {
public:
    explicit FileContent(const ServedFile& file) : name_(file.name), fd_(file.fd) {}
    size_t read(uint64_t offset, std::span<std::byte> buffer) override { return base::pread_full(fd_->get(), buffer, offset, name_); }

private:
    std::string name_;
    std::shared_ptr<const base::UniqueFd> fd_;
};

std::string path_of(const ServedFile& file) {
    return "/download/" + file.sha3 + "/" + file.name;
}

// The file for which `matches` holds.
template <typename F>
const ServedFile& find(const std::vector<ServedFile>& files, F matches) {
    const auto found = std::find_if(files.begin(), files.end(), matches);
    if (found == files.end()) throw HttpError(http::kNotFound, "there is no such image");
    return *found;
}

const ServedFile& asked_for(const Request& request, const std::vector<ServedFile>& files) {
    if (const auto tag = request.query("tag")) {
        return find(files, [&](const ServedFile& file) { return file.tag == *tag || file.tag == *tag + ":latest"; });
    }
    const auto hash = request.query("hash");
    if (!hash) throw HttpError(http::kBadRequest, "neither tag nor hash is given");
    return find(files, [&](const ServedFile& file) { return file.sha3 == *hash; });
}

Response respond(const Request& request, const std::vector<ServedFile>& files, const PublicUrls& given) {
    const PublicUrls urls = public_urls(request, given);
    if (request.path == "/v1/image/info") {
        const ServedFile& file = asked_for(request, files);
        return image_info(urls, path_of(file), file.sha3, file.size);
    }
    if (request.path == "/v1/image/download") {
        const std::string url = urls.http + path_of(asked_for(request, files));
        return {.status = http::kFound, .body = url + "\n", .headers = {{"Location", url}}};
    }
    if (request.path.starts_with("/image.")) {
        return {.body =
                    urls.http + path_of(find(files, [&](const ServedFile& f) { return request.path == "/image." + f.sha3 + ".link"; }))};
    }
    const ServedFile& file = find(files, [&](const ServedFile& f) { return request.path == path_of(f); });
    return ranged_answer(request, file.size, "\"" + file.sha3 + "\"", std::make_shared<FileContent>(file));
}

}  // namespace

ServedFile open_served_file(const std::string& path) {
    const auto fd = std::make_shared<const base::UniqueFd>(base::open_file(path, O_RDONLY | O_NONBLOCK));
    (void)gvmi::read_image(fd->get(), path);
    ServedFile file;
    file.fd = fd;
    file.name = std::filesystem::path(path).filename().string();
    const auto odd = [](unsigned char c) { return !std::isalnum(c) && c != '-' && c != '_' && c != '.'; };
    std::replace_if(file.name.begin(), file.name.end(), odd, '-');
    file.tag = "local/" + (file.name.ends_with(".gvmi") ? file.name.substr(0, file.name.size() - 5) : file.name) + ":latest";
    struct stat status {};
    if (::fstat(fd->get(), &status) < 0) base::throw_errno("cannot examine ", path);
    file.size = static_cast<uint64_t>(status.st_size);
    file.sha3 = gvmi::image_hash(fd->get(), path);
    return file;
}

std::unique_ptr<Exchange> route_files(const Request& request, const std::vector<ServedFile>& files, const PublicUrls& urls) {
    if (request.method == "OPTIONS" && may_read_cross_origin(request)) return answer_preflight();
    if (request.method != "GET" && request.method != "HEAD") {
        throw HttpError(http::kNotAllowed, "images are only read here");
    }
    return answer([&request, &files, &urls] { return respond(request, files, urls); });
}

}  // namespace registry::server
