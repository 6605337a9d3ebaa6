#include "registry/server/s3_storage.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/hex.h"
#include "base/unnamed_file.h"
#include "registry/server/chunk_check.h"
#include "registry/server/errors.h"
#include "registry/server/file_storage.h"
#include "registry/server/parallel.h"
#include "registry/server/s3_reader.h"

namespace registry::server {
namespace {

constexpr const char* kChunks = "chunks/";
constexpr size_t kQuestions = 8;  // about chunks at a time, for one caller of `which`

std::string key_of(const std::string& sha256) {
    return kChunks + sha256.substr(0, 2) + "/" + sha256;
}

constexpr uint64_t kMinSentEarly = 1 << 20;     // a shorter chunk is there before its upload has begun
constexpr size_t kPiece = 256 << 10;            // of a chunk, by which the thread that sends it hears of more
constexpr std::chrono::seconds kLongestGap{2};  // in what a client sends, after which its chunk is sent when it is whole

// A chunk that is received, and by a thread sent to the store meanwhile. Both have it, and either may be done with it first.
struct Spool {
    enum class Outcome { under_way, stored, was_there, failed };

    Spool(const std::filesystem::path& folder, uint64_t length_) : file(base::temporary_file(folder)), length(length_) {}

    base::UniqueFd file;
    const uint64_t length;
    std::mutex mutex;  // of the rest
    std::condition_variable changed;
    uint64_t received = 0;
    bool gone = false;  // nobody waits for it
    Outcome outcome = Outcome::under_way;

    // http::Request::growing.
    uint64_t wait_for_more(uint64_t position) {
        std::unique_lock lock(mutex);
        const uint64_t enough = std::min(position + kPiece, length);
        changed.wait_for(lock, kLongestGap, [&] { return gone || received >= enough; });
        if (gone || received <= position) throw base::Error("the chunk does not come");
        return received;
    }

    void grew(size_t bytes) {
        const std::lock_guard lock(mutex);
        received += bytes;
        changed.notify_all();
    }

    void set(Outcome value) {
        const std::lock_guard lock(mutex);
        outcome = value;
        changed.notify_all();
    }
};

// The store compares the hash, so it takes no other chunk than the one that was announced.
void send_early(s3::Client& client, Spool& spool, const std::string& sha256) {
    try {
        const std::string key = key_of(sha256);
        if (client.size(key) == spool.length) {
            spool.set(Spool::Outcome::was_there);
            return;
        }
        const auto growing = [&spool](uint64_t position) { return spool.wait_for_more(position); };
        client.put(key, spool.file.get(), spool.length, sha256, growing, s3::Patience::some);
        spool.set(Spool::Outcome::stored);
    } catch (const std::exception& e) {
        spdlog::debug("chunk {} is not sent early: {}", sha256, e.what());
        spool.set(Spool::Outcome::failed);
    }
}

class S3Writer : public ChunkWriter {
public:
    // `early` posts a job that sends the chunk while it comes, or returns false.
    S3Writer(s3::Client& client, const std::string& sha256, uint64_t length, const std::filesystem::path& folder,
             std::function<bool(std::function<void()>)> early)
        : client_(client), check_(sha256, length), spool_(std::make_shared<Spool>(folder, length)), early_(std::move(early)) {}
    S3Writer(const S3Writer&) = delete;
    S3Writer& operator=(const S3Writer&) = delete;
    ~S3Writer() override {
        const std::lock_guard lock(spool_->mutex);
        spool_->gone = true;
        spool_->changed.notify_all();
    }

    void write(std::span<const std::byte> data) override {
        check_.count(data.size());
        if (early_) begin_sending();
        if (!sent_early_) return take(data);
        while (!data.empty()) {
            if (piece_.size() == kPiece) take_piece();
            const auto part = data.first(std::min(data.size(), kPiece - piece_.size()));
            piece_.insert(piece_.end(), part.begin(), part.end());
            data = data.subspan(part.size());
        }
    }

    bool commit() override {
        take_piece();
        check_.finish();
        if (sent_early_) {
            std::unique_lock lock(spool_->mutex);
            spool_->changed.wait(lock, [this] { return spool_->outcome != Spool::Outcome::under_way; });
            if (spool_->outcome != Spool::Outcome::failed) return spool_->outcome == Spool::Outcome::stored;
        }
        const std::string key = key_of(check_.sha256());
        if (client_.size(key) == check_.length()) return false;
        client_.put(key, spool_->file.get(), check_.length(), check_.sha256());
        return true;
    }

private:
    void begin_sending() {
        const auto send = std::exchange(early_, nullptr);
        if (check_.length() < kMinSentEarly) return;
        sent_early_ = send([&client = client_, spool = spool_, sha256 = check_.sha256()] { send_early(client, *spool, sha256); });
        if (sent_early_) piece_.reserve(kPiece);
    }

    void take(std::span<const std::byte> data) {
        check_.hash(data);
        base::write_all(spool_->file.get(), data, "a chunk");
        spool_->grew(data.size());
    }

    void take_piece() {
        take(piece_);
        piece_.clear();
    }

    s3::Client& client_;
    ChunkCheck check_;
    std::shared_ptr<Spool> spool_;
    std::function<bool(std::function<void()>)> early_;
    bool sent_early_ = false;
    // What waits until there is more: the last one until the chunk's end is seen, or the store would have a chunk that is refused. Only few
    // chunks have it, for memory's sake.
    std::vector<std::byte> piece_;
};

}  // namespace

S3Storage::S3Storage(s3::Settings settings, const std::filesystem::path& folder)
    : client_(std::move(settings)), incoming_(folder / "incoming") {
    make_folders({folder, incoming_});
    try {
        client_.check();
    } catch (const http::TransientError& e) {
        spdlog::warn("the store {} does not answer: {}", client_.name(), e.what());
    }
}

bool S3Storage::has(const std::string& sha256) const {
    return client_.size(key_of(sha256)).has_value();
}

std::vector<bool> S3Storage::which(const std::vector<std::string>& chunks) const {
    std::vector<char> there(chunks.size());  // of which threads may write different ones, unlike vector<bool>
    for_each_index(chunks.size(), kQuestions, [&](size_t i) { there[i] = has(chunks[i]) ? 1 : 0; });
    return {there.begin(), there.end()};
}

std::unique_ptr<ChunkWriter> S3Storage::begin(const std::string& sha256, uint64_t length) {
    const auto early = [this](std::function<void()> job) {
        if (sending_early_++ < kSentEarly && uploads_.post([this, job = std::move(job)] {
                job();
                sending_early_--;
            }))
            return true;
        sending_early_--;
        return false;
    };
    return std::make_unique<S3Writer>(client_, sha256, length, incoming_, early);
}

std::unique_ptr<ChunkReader> S3Storage::open(const std::string& sha256, const Wanted& wanted) const {
    return std::make_unique<S3ChunkReader>(client_, key_of(sha256), wanted);
}

void S3Storage::remove(const std::string& sha256) {
    client_.remove(key_of(sha256));
}

void S3Storage::list(const std::function<void(const std::string&, uint64_t)>& each,
                     const std::function<void(const std::string&)>& other) const {
    client_.list(kChunks, [&](const s3::Object& object) {
        const std::string name = object.key.substr(object.key.rfind('/') + 1);
        if (base::is_hex(name, 64) && object.key == key_of(name)) {
            each(name, object.size);
        } else if (other) {
            other(client_.name() + object.key);
        }
    });
}

uint64_t S3Storage::free_bytes() const {
    return free_bytes_of(incoming_);
}

uint64_t S3Storage::free_files() const {
    return free_files_of(incoming_);
}

}  // namespace registry::server
