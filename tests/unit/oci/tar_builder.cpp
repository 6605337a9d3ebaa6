#include "tar_builder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <span>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/subprocess.h"

namespace test {
namespace {

constexpr size_t kBlock = 512;

std::string octal(uint64_t value, size_t width) {
    std::string digits(width - 1, '0');
    for (size_t i = width - 1; i-- > 0; value >>= 3)
        digits[i] = static_cast<char>('0' + (value & 7));
    return digits + '\0';
}

void put(std::string& header, size_t offset, const std::string& field, size_t width) {
    header.replace(offset, std::min(width, field.size()), field.substr(0, width));
}

void append_padded(std::string& tar, const std::string& content) {
    tar += content;
    tar.append((kBlock - content.size() % kBlock) % kBlock, '\0');
}

void append_header(std::string& tar, const Entry& entry, const std::string& path, const std::string& target) {
    std::string header(kBlock, '\0');
    put(header, 0, path, 100);
    put(header, 100, octal(entry.mode, 8), 8);
    put(header, 108, octal(entry.uid, 8), 8);
    put(header, 116, octal(entry.gid, 8), 8);
    put(header, 124, entry.size.empty() ? octal(entry.content.size(), 12) : entry.size, 12);
    put(header, 136, octal(entry.mtime, 12), 12);
    put(header, 148, std::string(8, ' '), 8);
    header[156] = entry.type;
    put(header, 157, target, 100);
    put(header, 257,
        std::string("ustar\0"
                    "00",
                    8),
        8);
    put(header, 329, octal(entry.major, 8), 8);
    put(header, 337, octal(entry.minor, 8), 8);
    unsigned sum = 0;
    for (const char c : header)
        sum += static_cast<unsigned char>(c);
    put(header, 148, octal(sum, 7) + " ", 8);
    tar += header;
}

// "LENGTH KEY=VALUE\n", where LENGTH counts its own digits.
std::string pax_record(const std::string& key, const std::string& value) {
    const std::string rest = " " + key + "=" + value + "\n";
    size_t length = rest.size();
    while (length != rest.size() + std::to_string(length).size())
        length = rest.size() + std::to_string(length).size();
    return std::to_string(length) + rest;
}

class Text : public oci::Stream {
public:
    Text(std::string text, size_t piece) : text_(std::move(text)), piece_(piece) {}

    std::span<const std::byte> next() override {
        const size_t n = std::min(piece_, text_.size() - position_);
        const auto bytes = std::as_bytes(std::span(text_)).subspan(position_, n);
        position_ += n;
        return bytes;
    }

private:
    std::string text_;
    size_t piece_;
    size_t position_ = 0;
};

}  // namespace

std::string make_tar(const std::vector<Entry>& entries, bool end_mark) {
    std::string tar;
    for (const Entry& entry : entries) {
        std::map<std::string, std::string> pax = entry.pax;
        if (entry.path.size() > 100) pax["path"] = entry.path;
        if (entry.target.size() > 100) pax["linkpath"] = entry.target;
        if (!pax.empty()) {
            std::string records;
            for (const auto& [key, value] : pax)
                records += pax_record(key, value);
            append_header(tar, {.path = "pax", .type = 'x', .content = records}, "pax", "");
            append_padded(tar, records);
        }
        append_header(tar, entry, entry.path, entry.target);
        append_padded(tar, entry.content);
    }
    if (end_mark) tar.append(2 * kBlock, '\0');
    return tar;
}

oci::StreamPtr stream_of(std::string text, size_t piece) {
    return std::make_unique<Text>(std::move(text), piece);
}

std::string compress(const std::string& program, const std::string& text) {
    std::string folder = (std::filesystem::temp_directory_path() / "compress.XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) base::throw_errno("mkdtemp");
    const std::string plain = folder + "/a";
    const std::string packed = folder + "/b";
    const base::UniqueFd file = base::open_file(plain, O_WRONLY | O_CREAT);
    base::write_all(file.get(), text, plain);
    const std::array<timespec, 2> times{timespec{1, 0}, timespec{1, 0}};  // gzip writes its input's, and 0 would be none
    if (::futimens(file.get(), times.data()) < 0) base::throw_errno("cannot date ", plain);
    const base::Finished finished = base::run({"sh", "-c", program + " -c < " + plain + " > " + packed});
    if (finished.code != 0) throw base::Error(program + ": " + finished.output);
    std::string result = base::read_file(packed, size_t{1} << 30);
    std::filesystem::remove_all(folder);
    return result;
}

std::string sha256(const std::string& text) {
    return base::sha256_hex(std::as_bytes(std::span(text)));
}

}  // namespace test
