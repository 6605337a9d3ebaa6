#include "registry/pull.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/size.h"
#include "base/untrusted_text.h"
#include "http/retry.h"
#include "http/status.h"
#include "registry/api.h"
#include "registry/descriptor.h"

namespace registry {
namespace {

constexpr size_t kSha3Digits = 56;

bool is_url(std::string_view text) {
    return text.starts_with("http://") || text.starts_with("https://");
}

// The end of a URL's path as a file name.
std::string name_in(std::string_view url) {
    url = url.substr(0, url.find_first_of("?#"));
    std::string name(url.substr(url.rfind('/') + 1));
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c) && c != '-' && c != '_' && c != '.'; }, '-');
    return name.empty() || name[0] == '.' || name.size() > 200 ? "image.gvmi" : name;
}

std::string lower(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

std::optional<uint64_t> number(std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > INT64_MAX) return {};
    return value;
}

// "bytes FIRST-LAST/TOTAL"
std::optional<std::pair<uint64_t, uint64_t>> first_and_total(std::string_view range) {
    if (!range.starts_with("bytes ")) return {};
    range.remove_prefix(6);
    const size_t dash = range.find('-');
    const size_t slash = range.find('/');
    if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return {};
    const auto first = number(range.substr(0, dash));
    const auto total = number(range.substr(slash + 1));
    if (!first || !total) return {};
    return std::pair(*first, *total);
}

// The growing file. It is kept when a pull breaks, and locked, so that two pulls do not write it at once.
class PartialFile {
public:
    explicit PartialFile(std::filesystem::path path) : path_(std::move(path)) {
        while (true) {
            fd_ = base::open_file(path_, O_RDWR | O_CREAT | O_NOFOLLOW);
            if (::flock(fd_.get(), LOCK_EX | LOCK_NB) < 0) {
                if (errno == EWOULDBLOCK) throw base::Error("another pull is writing " + path_.string());
                base::throw_errno("cannot lock ", path_);
            }
            // The pull that held the lock may have renamed or removed the file.
            struct stat mine {};
            struct stat named {};
            if (::fstat(fd_.get(), &mine) < 0) base::throw_errno("cannot examine ", path_);
            if (::stat(path_.c_str(), &named) == 0 && mine.st_ino == named.st_ino && mine.st_dev == named.st_dev) return;
        }
    }

    int fd() const { return fd_.get(); }
    const std::filesystem::path& path() const { return path_; }
    void remove() const { ::unlink(path_.c_str()); }

    void commit(const std::filesystem::path& output) const {
        if (::fsync(fd_.get()) < 0) base::throw_errno("cannot write ", path_);
        if (::rename(path_.c_str(), output.c_str()) < 0) base::throw_errno("cannot rename ", path_, " to ", output);
        base::sync_folder(output.has_parent_path() ? output.parent_path() : ".");
    }

private:
    std::filesystem::path path_;
    base::UniqueFd fd_;
};

class Download {
public:
    Download(const ImageSource& source, const PartialFile& file, std::string etag, const std::function<void(uint64_t, uint64_t)>& progress)
        : source_(source), file_(file), etag_(std::move(etag)), progress_(progress), size_(source.size) {
        hash_what_is_there();
    }

    uint64_t position() const { return position_; }
    bool done() const { return size_ > 0 && position_ == size_; }
    std::string hash() { return hasher_.hex(); }

    // One request, starting where the file ends.
    void advance(http::Session& session) {
        http::Request request{.url = source_.url};
        if (position_ > 0) request.headers.push_back("Range: bytes=" + std::to_string(position_) + "-");
        if (position_ > 0 && !etag_.empty()) request.headers.push_back("If-Range: " + etag_);
        bool begun = false;
        request.sink = [&](const http::Response& head, std::span<const std::byte> data) {
            if (!begun) begin(head);
            begun = true;
            take(data);
        };
        const http::Response answer = session.send(request);
        const std::string what = "GET " + source_.url;
        if (answer.status == http::kNotSatisfiable && position_ > 0) {  // what is there is not part of this file
            start_anew();
            return;
        }
        if (!answer.success())
            throw base::Error(what + ": status " + std::to_string(answer.status) + ": " + base::escape_line(answer.body));
        if (!begun) throw http::TransientError(what + ": an empty answer");
        if (!done())
            throw http::TransientError(what + ": it ended after " + std::to_string(position_) + " of " + std::to_string(size_) + " bytes");
    }

private:
    void hash_what_is_there() {
        std::vector<std::byte> buffer(size_t{1} << 20);
        while (const size_t n = base::pread_full(file_.fd(), buffer, position_, file_.path().string())) {
            hasher_.update(std::span(buffer).first(n));
            position_ += n;
            if (size_ > 0 && position_ > size_) return start_anew();
        }
    }

    void start_anew() {
        if (::ftruncate(file_.fd(), 0) < 0) base::throw_errno("cannot write ", file_.path());
        hasher_ = base::Hasher(base::Hasher::Kind::sha3_224);
        position_ = 0;
    }

    void begin(const http::Response& head) {
        std::optional<uint64_t> total;
        if (head.status == http::kPartialContent) {
            const auto range = first_and_total(head.header("content-range"));
            if (!range || range->first != position_) {
                throw base::Error("it sends another part than was asked for (" + base::escape_line(head.header("content-range")) + ")");
            }
            total = range->second;
        } else {
            if (position_ > 0) start_anew();
            total = number(head.header("content-length"));
        }
        if (size_ == 0 && !total) throw base::Error("it does not say how long the image is");
        if (size_ == 0) size_ = *total;
        if (total && *total != size_) {
            throw base::Error("a file of " + std::to_string(*total) + " bytes, not " + std::to_string(size_));
        }
        check_room();
    }

    void check_room() const {
        struct statvfs status {};
        if (::fstatvfs(file_.fd(), &status) < 0) return;
        const uint64_t room = static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
        if (size_ - position_ > room) {
            throw base::Error("no room for it: " + base::format_size(size_ - position_) + " to come, " + base::format_size(room) + " free");
        }
    }

    void take(std::span<const std::byte> data) {
        if (data.size() > size_ - position_) throw base::Error("more than " + std::to_string(size_) + " bytes");
        for (std::span<const std::byte> rest = data; !rest.empty();) {
            const ssize_t n = ::pwrite(file_.fd(), rest.data(), rest.size(), static_cast<off_t>(position_));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) base::throw_errno("cannot write ", file_.path());
            hasher_.update(rest.first(static_cast<size_t>(n)));
            position_ += static_cast<uint64_t>(n);
            rest = rest.subspan(static_cast<size_t>(n));
        }
        progress_(position_, size_);
    }

    const ImageSource& source_;
    const PartialFile& file_;
    const std::string etag_;
    const std::function<void(uint64_t, uint64_t)>& progress_;
    uint64_t size_;
    uint64_t position_ = 0;  // bytes in the file and in the hash
    base::Hasher hasher_{base::Hasher::Kind::sha3_224};
};

// Resumes after breaks; an attempt that brings less than 1 MiB counts as a failed try.
void run(Download& download, const http::Options& options) {
    constexpr uint64_t kAdvance = 1 << 20;
    http::Session session(options);
    while (!download.done()) {
        const uint64_t before = download.position();
        http::retry(options, [&] {
            try {
                download.advance(session);
            } catch (const http::TransientError& e) {
                if (download.position() < before + kAdvance) throw;
                options.retrying(e.what());
            }
        });
    }
}

}  // namespace

ImageSource resolve_image(const std::string& what, const std::string& registry_url, const http::Options& options, const Reader& reader) {
    constexpr std::string_view kPackage = "hash:sha3:";
    const std::string hash = lower(what.starts_with("sha3:") ? what.substr(5) : what);
    if (base::is_hex(hash, kSha3Digits)) {
        const ImageInfo info = Api(registry_url, options, reader).image_info("hash", hash);
        if (info.sha3 != hash) throw base::Error("the registry answers with an image whose hash is " + info.sha3 + ", not " + hash);
        return {info.url, info.sha3, info.size, {}, hash + ".gvmi"};
    }
    if (what.starts_with(kPackage)) {
        const std::string sha3 = lower(what.substr(kPackage.size(), kSha3Digits));
        const std::string rest = what.substr(std::min(what.size(), kPackage.size() + kSha3Digits));
        if (!base::is_hex(sha3, kSha3Digits) || !rest.starts_with(':') || !is_url(rest.substr(1))) {
            throw base::Error("'" + what + "' is not a package: hash:sha3:HEX:URL");
        }
        return {rest.substr(1), sha3, 0, {}, name_in(rest)};
    }
    if (is_url(what)) return {what, {}, 0, {}, name_in(what)};
    const Reference name = parse_full_reference(what);
    const ImageInfo info = Api(registry_url, options, reader).image_info("tag", name.text());
    std::string file_name = name.repository + "-" + name.tag + ".gvmi";
    if (file_name[0] == '.') file_name[0] = '-';
    return {info.url, info.sha3, info.size, name.text(), file_name};
}

std::string pull_image(const ImageSource& source, const std::filesystem::path& output,
                       const std::function<void(uint64_t, uint64_t)>& progress, const http::Options& options) {
    std::error_code error;
    if (std::filesystem::is_directory(output, error)) throw base::Error(output.string() + ": it is a folder");
    std::string key = source.sha3;
    std::string etag;
    if (key.empty()) {
        http::Response head;
        http::retry(options, [&] { head = http::Session(options).send({.method = "HEAD", .url = source.url}); });
        if (!head.success()) throw base::Error("HEAD " + source.url + ": status " + std::to_string(head.status));
        // Only a strong ETag promises the same bytes.
        if (head.header("etag").starts_with('"')) etag = head.header("etag");
        const std::string text = source.url + "\n" + etag + "\n" + head.header("content-length");
        key = base::sha256_hex(std::as_bytes(std::span(text)));
    }
    const PartialFile file(output.string() + "." + key.substr(0, 16) + ".part");
    if (source.sha3.empty() && etag.empty() && ::ftruncate(file.fd(), 0) < 0) base::throw_errno("cannot write ", file.path());
    Download download(source, file, etag, progress);
    try {
        run(download, options);
    } catch (...) {
        if (download.position() == 0) file.remove();
        throw;
    }
    std::string hash = download.hash();
    if (!source.sha3.empty() && hash != source.sha3) {
        file.remove();
        throw base::Error(source.url + ": its SHA3-224 is " + hash + ", not " + source.sha3);
    }
    file.commit(output);
    return hash;
}

}  // namespace registry
