#include "s3/multipart.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "http/percent_encode.h"
#include "http/status.h"

namespace s3 {
namespace {

constexpr uint64_t kMostParts = 10'000;
constexpr uint64_t kPart = 16 << 20;  // a store wants 5 MiB at least
constexpr uint64_t kRounded = 1 << 20;
// A store may copy all the parts before it answers.
constexpr std::chrono::milliseconds kLongestCompletion = std::chrono::minutes(10);

}  // namespace

uint64_t part_size_for(uint64_t size) {
    const uint64_t least = (size + kMostParts - 1) / kMostParts;
    return std::max(kPart, (least + kRounded - 1) / kRounded * kRounded);
}

MultipartWriter::MultipartWriter(Client& client, std::string key, uint64_t size)
    : client_(client), key_(std::move(key)), size_(size), part_size_(part_size_for(size)) {
    // With an equals sign, which a signature has and libcurl does not add.
    const http::Request request{
        .method = "POST", .url = client_.url(key_) + "?uploads=", .headers = {"Content-Type: application/octet-stream"}};
    const http::Response answer = client_.send(request);
    if (answer.status != http::kOk) refuse(request, answer);
    id_ = upload_id(answer.body);
}

MultipartWriter::~MultipartWriter() {
    if (id_.empty()) return;
    try {
        client_.abort({.key = key_, .id = id_});
    } catch (const std::exception& e) {
        spdlog::warn("{}", e.what());
    }
}

void MultipartWriter::write(std::span<const std::byte> data) {
    while (!data.empty()) {
        const auto piece = data.first(std::min<uint64_t>(data.size(), part_size_ - filled_));
        base::write_all(part_.get(), piece, "a part");
        hasher_.update(piece);
        filled_ += piece.size();
        data = data.subspan(piece.size());
        if (filled_ == part_size_) send_part();
    }
}

void MultipartWriter::send_part() {
    const std::string number = std::to_string(etags_.size() + 1);
    const http::Request request{.method = "PUT",
                                .url = client_.url(key_) + "?partNumber=" + number + "&uploadId=" + http::percent_encode(id_),
                                .file = http::Part{.name = {}, .text = {}, .fd = part_.get(), .offset = 0, .length = filled_},
                                .file_sha256 = hasher_.hex()};
    const http::Response answer = client_.send(request);
    if (!answer.success()) refuse(request, answer);
    const std::string etag = answer.header("etag");
    if (etag.empty() || etag.find_first_of("<>&") != std::string::npos)
        throw base::Error("PUT " + request.url + ": the answer has no ETag");
    etags_.push_back(etag);
    hasher_ = base::Hasher(base::Hasher::Kind::sha256);
    filled_ = 0;
    if (::lseek(part_.get(), 0, SEEK_SET) < 0) base::throw_errno("cannot use a file in memory");
}

void MultipartWriter::finish() {
    if (filled_ > 0 || etags_.empty()) send_part();
    http::Request request{.method = "POST",
                          .url = client_.url(key_) + "?uploadId=" + http::percent_encode(id_),
                          .headers = {"Content-Type: application/xml"}};
    request.body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    for (size_t i = 0; i < etags_.size(); i++) {
        request.body.append("<Part><PartNumber>").append(std::to_string(i + 1)).append("</PartNumber><ETag>");
        request.body.append(etags_[i]).append("</ETag></Part>");
    }
    request.body.append("</CompleteMultipartUpload>");
    const http::Response answer = client_.send_patiently(request, kLongestCompletion);
    // An error may come with status 200. One that says that there is no such upload may be of a second try after a first that has worked.
    const bool good = answer.status == http::kOk && answer.body.find("<Error>") == std::string::npos;
    if (!good && client_.size(key_) != size_) refuse(request, answer);
    id_.clear();
}

}  // namespace s3
