#include "registry/push.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "registry/api.h"

namespace registry {
namespace {

using namespace std::chrono_literals;

// Sends chunks by several threads, each with its own connection. The calling thread shows the progress meanwhile.
class Upload {
public:
    Upload(const DescribedImage& image, const PushOptions& options, int fd, std::vector<size_t> chunks, uint64_t done)
        : image_(image), options_(options), fd_(fd), chunks_(std::move(chunks)), done_(done) {}

    // Returns when all are stored; throws the first failure, or what `progress` throws.
    void run() {
        const size_t count = std::min<size_t>(options_.workers, chunks_.size());
        in_flight_.resize(count);
        running_ = count;
        std::vector<std::jthread> workers;
        for (size_t i = 0; i < count; i++)
            workers.emplace_back([this, i] { work(i); });
        std::unique_lock lock(mutex_);
        while (running_ > 0) {
            changed_.wait_for(lock, 200ms);
            show(lock);
        }
        lock.unlock();
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    // The next chunk, or none.
    std::optional<size_t> next() {
        const std::lock_guard lock(mutex_);
        if (failure_ || position_ == chunks_.size()) return {};
        return chunks_[position_++];
    }

    void fail() {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
    }

    void work(size_t worker) {
        try {
            Api api(options_.url, options_.connection);
            while (const auto number = next())
                base::with_context("chunk " + std::to_string(*number), [&] { send(api, worker, *number); });
        } catch (...) {
            fail();
        }
        const std::lock_guard lock(mutex_);
        running_--;
        changed_.notify_one();
    }

    void send(Api& api, size_t worker, size_t number) {
        check(number);
        const uint64_t length = image_.descriptor.chunk_length(number);
        const auto sent = [&](uint64_t bytes) {
            const std::lock_guard lock(mutex_);
            if (failure_) throw base::Error("given up");  // not seen: the first failure is thrown instead
            in_flight_[worker] = std::min(bytes, length);
        };
        api.push_chunk(image_.descriptor_hash, image_.descriptor, number, fd_, sent);
        const std::lock_guard lock(mutex_);
        in_flight_[worker] = 0;
        done_ += length;
        changed_.notify_one();
    }

    // The descriptor may be an older image's. The registry would refuse the chunk too, but with a less helpful message.
    void check(size_t number) const {
        base::Hasher hasher(base::Hasher::Kind::sha256);
        std::vector<std::byte> buffer(size_t{1} << 20);
        const uint64_t start = number * image_.descriptor.chunk_size;
        const uint64_t end = start + image_.descriptor.chunk_length(number);
        for (uint64_t position = start; position < end;) {
            const auto block = std::span(buffer).first(static_cast<size_t>(std::min<uint64_t>(buffer.size(), end - position)));
            const size_t n = base::pread_full(fd_, block, position, image_.image.string());
            if (n == 0) break;
            hasher.update(block.first(n));
            position += n;
        }
        if (hasher.hex() == image_.descriptor.chunks[number]) return;
        throw base::Error(image_.image.string() + " is not what " + image_.descriptor_path.string() + " describes; remove that file");
    }

    void show(std::unique_lock<std::mutex>& lock) {
        uint64_t done = done_;
        for (const uint64_t bytes : in_flight_)
            done += bytes;
        lock.unlock();
        try {
            options_.progress(std::min(done, image_.descriptor.size), image_.descriptor.size);
        } catch (...) {
            fail();
        }
        lock.lock();
    }

    const DescribedImage& image_;
    const PushOptions& options_;
    const int fd_;
    const std::vector<size_t> chunks_;

    std::mutex mutex_;  // guards the following
    std::condition_variable changed_;
    uint64_t done_;  // bytes that the registry has
    size_t position_ = 0;
    size_t running_ = 0;
    std::vector<uint64_t> in_flight_;  // per worker
    std::exception_ptr failure_;
};

// The missing chunks, each content once: the registry may find duplicates by it.
std::vector<size_t> missing_chunks(const Descriptor& descriptor, const UploadStatus& status) {
    std::vector<size_t> missing;
    std::set<std::string> seen;
    for (size_t i = 0; i < descriptor.chunks.size(); i++) {
        if (!status.stored[i] && seen.insert(descriptor.chunks[i]).second) missing.push_back(i);
    }
    return missing;
}

void upload(Api& api, const DescribedImage& image, const PushOptions& options, PushSummary& summary) {
    const Descriptor& descriptor = image.descriptor;
    const base::UniqueFd fd = base::open_file(image.image, O_RDONLY);
    std::vector<bool> sent(descriptor.chunks.size());
    while (true) {
        UploadStatus status = api.upload_status(image.descriptor_hash, descriptor.chunks.size());
        const std::vector<size_t> missing = missing_chunks(descriptor, status);
        if (status.full || missing.empty()) return;
        uint64_t done = 0;
        for (size_t i = 0; i < descriptor.chunks.size(); i++)
            done += status.stored[i] ? descriptor.chunk_length(i) : 0;
        for (const size_t number : missing) {
            // A registry that forgets chunks would make us send for ever; one that answers null may mean all.
            if (sent[number] && done > 0) throw base::Error("the registry took chunk " + std::to_string(number) + " and does not have it");
            if (sent[number]) return;
            sent[number] = true;
            summary.sent_bytes += descriptor.chunk_length(number);
            summary.sent_chunks++;
        }
        Upload(image, options, fd.get(), missing, done).run();
    }
}

void wait_until_full(Api& api, const DescribedImage& image, const PushOptions& options) {
    constexpr std::chrono::milliseconds kLongest{5000};
    const auto deadline = std::chrono::steady_clock::now() + options.verified;
    for (std::chrono::milliseconds pause{100};; pause = std::min(2 * pause, kLongest)) {
        if (api.upload_status(image.descriptor_hash, image.descriptor.chunks.size()).full) return;
        if (std::chrono::steady_clock::now() > deadline) {
            throw base::Error("the registry has every chunk and has not verified the image within " +
                              std::to_string(options.verified.count()) + " s; push again later to go on");
        }
        std::this_thread::sleep_for(pause);
    }
}

}  // namespace

PushSummary push_image(const DescribedImage& image, const PushOptions& options) {
    Api api(options.url, options.connection);
    PushSummary summary;
    if (options.make_private) {
        api.set_private(*options.name, *options.login);
        options.say(" -- " + options.name->user + "/" + options.name->repository + " is private");
    }
    const UploadStatus status = api.upload_status(image.descriptor_hash, image.descriptor.chunks.size());
    if (status.descriptor) {
        options.say(" -- descriptor already uploaded");
    } else {
        options.say(" * Uploading image descriptor to: " + options.url);
        api.push_descriptor(serialize(image.descriptor), options.ttl);
        options.say(" -- descriptor uploaded successfully");
    }
    if (status.full) {
        options.say(" -- image already uploaded");
    } else {
        if (options.name) {
            options.say(" * Checking if image can be added to repository: " + options.name->text());
            api.attach(image.descriptor_hash, *options.name, *options.login, true, options.ttl);
            options.say(" -- checked successfully");
        }
        upload(api, image, options, summary);
        options.say(" -- chunked upload finished successfully");
        wait_until_full(api, image, options);
        options.say(" -- image validated successfully");
    }
    if (options.name) {
        options.say(" * Adding image to repository: " + options.name->text());
        api.attach(image.descriptor_hash, *options.name, *options.login, false, options.ttl);
        options.say(" -- success");
    }
    if (options.ttl.count() > 0) {
        // A private image is found with the login alone.
        Api api_of_user(options.url, options.connection, [&options] { return options.login; });
        summary.expires = options.name ? api_of_user.image_info("tag", options.name->text()).expires
                                       : api.upload_status(image.descriptor_hash, image.descriptor.chunks.size()).expires;
    }
    return summary;
}

}  // namespace registry
