#include "dbg/volumes/transfer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <functional>
#include <optional>
#include <span>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/size.h"
#include "base/untrusted_text.h"
#include "dbg/volumes/guest_folder.h"
#include "http/client.h"
#include "http/retry.h"

namespace dbg {
namespace {

constexpr size_t kBlock = 256 << 10;
constexpr int kTries = 3;  // somebody waits for the answer
constexpr mode_t kNewFile = 0644;

struct End {
    enum class Kind { file, container, http };
    Kind kind = Kind::file;
    std::string path;  // of file and container, decoded; the complete URL for http
};

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const int lower = std::tolower(static_cast<unsigned char>(c));
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string percent_decoded(std::string_view text) {
    std::string result;
    for (size_t i = 0; i < text.size(); i++) {
        const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low >= 0) i += 2;
        result += low >= 0 ? static_cast<char>(high * 16 + low) : text[i];
    }
    if (result.find('\0') != std::string::npos) throw base::Error("a path with a NUL");
    return result;
}

End parse_end(const std::string& url) {
    const size_t colon = url.find(':');
    std::string scheme = url.substr(0, colon);
    for (char& c : scheme)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (colon == std::string::npos) throw base::Error("no URL; write file:/path, http://… or container:/path");
    if (scheme == "http" || scheme == "https") return {.kind = End::Kind::http, .path = url};
    if (scheme == "gftp") throw base::Error("gftp: is served by a requestor's yagna, and there is none here; use file: or http:");
    if (scheme != "file" && scheme != "container")
        throw base::Error("the scheme is not known; it may be file:, http:, https: or container:");
    std::string_view rest = std::string_view(url).substr(colon + 1);
    if (rest.starts_with("//")) {  // with a host, which may be empty
        const std::string_view host = rest.substr(2, rest.find('/', 2) - 2);
        if (!host.empty() && host != "localhost") throw base::Error("a host has no meaning here");
        rest.remove_prefix(2 + host.size());
    }
    std::string path = percent_decoded(rest);
    if (!path.starts_with('/')) throw base::Error("the path is not absolute");
    return {.kind = scheme == "file" ? End::Kind::file : End::Kind::container, .path = std::move(path)};
}

// A file in a volume: its folder opened, and its place there.
struct Place {
    GuestFolder folder;
    GuestFolder::Names names;
    std::string name;
};

Place place_of(const End& end, const TransferPlaces& places) {
    VolumePlace found = find_volume(places.volumes, end.path);
    if (found.names.empty() || end.path.ends_with('/'))
        throw base::Error(base::quote(end.path) + " is a folder; only files are transferred here");
    std::string name = found.names.back();
    found.names.pop_back();
    return {.folder = GuestFolder(found.volume.host, places.staging), .names = std::move(found.names), .name = std::move(name)};
}

using Sink = std::function<void(std::span<const std::byte>)>;

void read_all(int fd, const Sink& sink) {
    std::vector<std::byte> block(kBlock);
    for (;;) {
        const ssize_t size = ::read(fd, block.data(), block.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) base::throw_errno("cannot read");
        if (size == 0) return;
        sink(std::span(block).first(static_cast<size_t>(size)));
    }
}

base::UniqueFd open_source(const End& end, const TransferPlaces& places) {
    if (end.kind == End::Kind::container) {
        Place place = place_of(end, places);
        return place.folder.open_file(place.names, place.name);
    }
    base::UniqueFd fd = base::open_file(end.path, O_RDONLY);
    struct stat st {};
    if (::fstat(fd.get(), &st) == 0 && S_ISDIR(st.st_mode)) throw base::Error("is a folder; only files are transferred here");
    return fd;
}

void check_status(const http::Response& response) {
    if (!response.success()) throw base::Error("status " + std::to_string(response.status) + ": " + base::escape_line(response.body));
}

// libcurl calls `sent` now and then also while a server says nothing.
std::function<void(uint64_t)> ending_at(const std::atomic<bool>& stop) {
    return [&stop](uint64_t) {
        if (stop) throw base::Error("stopped");
    };
}

// `restart` is called before each try, since a download that broke begins anew.
void fetch(const End& end, const Sink& sink, const std::function<void()>& restart, const std::atomic<bool>& stop) {
    const http::Options options{.tries = kTries};
    http::Session session(options);
    http::retry(options, [&] {
        restart();
        check_status(session.send({.url = end.path,
                                   .sink = [&sink](const http::Response&, std::span<const std::byte> data) { sink(data); },
                                   .sent = ending_at(stop)}));
    });
}

void upload(const End& end, int fd, const std::atomic<bool>& stop) {
    struct stat st {};
    if (::fstat(fd, &st) < 0) base::throw_errno("cannot read");
    const http::Part file{.name = {}, .text = {}, .fd = fd, .length = static_cast<uint64_t>(st.st_size)};
    const http::Options options{.tries = kTries};
    http::Session session(options);
    http::retry(options, [&] { check_status(session.send({.method = "PUT", .url = end.path, .file = file, .sent = ending_at(stop)})); });
}

// Writes to `fd`, which it empties first.
void copy_to(int fd, const End& from, const TransferPlaces& places, const std::atomic<bool>& stop) {
    uint64_t copied = 0;
    const auto restart = [&] {
        copied = 0;
        if (::ftruncate(fd, 0) < 0 || ::lseek(fd, 0, SEEK_SET) < 0) base::throw_errno("cannot write the copy");
    };
    const Sink sink = [&](std::span<const std::byte> data) {
        if (stop) throw base::Error("stopped");
        copied += data.size();
        if (places.limit > 0 && copied > places.limit)
            throw base::Error("more than " + base::format_size(places.limit) +
                              ", which is all that the VM's disks may hold (--storage-gib)");
        base::write_all(fd, data, "the copy");
    };
    if (from.kind == End::Kind::http) return fetch(from, sink, restart, stop);
    restart();
    read_all(open_source(from, places).get(), sink);
}

void transfer_between(const End& from, const End& to, const TransferPlaces& places, const std::atomic<bool>& stop) {
    if (from.kind != End::Kind::container && to.kind != End::Kind::container) throw base::Error("neither end is in the VM (container:)");
    if (to.kind == End::Kind::http) return upload(to, open_source(from, places).get(), stop);
    if (to.kind == End::Kind::container) {
        Place place = place_of(to, places);
        const base::UniqueFd staged = place.folder.stage();
        copy_to(staged.get(), from, places, stop);
        if (::fchmod(staged.get(), kNewFile) < 0) base::throw_errno("cannot write the copy");
        return place.folder.put(place.names, place.name);
    }
    base::AtomicFile file(to.path);
    copy_to(file.fd().get(), from, places, stop);
    file.commit();
}

}  // namespace

void transfer(const std::string& from, const std::string& to, const TransferPlaces& places, const std::atomic<bool>& stop) {
    const auto end = [](const std::string& url) { return base::with_context(base::quote(url), [&url] { return parse_end(url); }); };
    base::with_context("cannot transfer " + base::quote(from) + " to " + base::quote(to),
                       [&] { transfer_between(end(from), end(to), places, stop); });
}

}  // namespace dbg
