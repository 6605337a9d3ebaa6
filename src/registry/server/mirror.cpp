#include "registry/server/mirror.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>

#include "base/fd.h"
#include "registry/api.h"
#include "registry/describe.h"
#include "registry/pull.h"
#include "registry/server/errors.h"
#include "registry/server/names.h"

namespace registry::server {
namespace {

constexpr unsigned kFetchers = 4;            // images at once
constexpr Time kFresh = 60;                  // seconds for which a tag is not asked for again
constexpr Time kSilent = 10;                 // seconds for which an upstream that does not answer is not asked for what is known
constexpr std::chrono::seconds kConnect{5};  // to the upstream
constexpr std::chrono::seconds kAnswer{10};  // of the upstream, to a question
// That an answer waits for an image: less than SDKs and proxies wait for an answer.
constexpr std::chrono::seconds kPatience{240};
constexpr uint64_t kLeastRate = 128 << 10;  // bytes in a second, over a whole image and a minute more

// What the service says, none where it has no such image.
std::optional<Upload> here(const std::function<Upload()>& find) {
    try {
        return find();
    } catch (const HttpError& e) {
        if (e.status() != http::kNotFound) throw;
        return std::nullopt;
    }
}

}  // namespace

// For all who wait for it.
struct Mirror::Job {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    std::string result;
    std::exception_ptr error;
};

Mirror::Mirror(MirrorOptions options, Service& service, const std::filesystem::path& folder)
    : options_(std::move(options)), service_(service), folder_(folder, "mirror-"), fetchers_(kFetchers) {
    while (options_.upstream.ends_with('/'))
        options_.upstream.pop_back();
    http_.connect = kConnect;
    http_.answer = kAnswer;
    http_.tries = 3;
}

void Mirror::stop() {
    stopping_ = true;
    fetchers_.stop(true);  // whoever waits is answered
}

std::string Mirror::once(const std::string& key, const std::function<std::string()>& work, Workers* workers) {
    std::shared_ptr<Job> job;
    bool mine = false;
    {
        const std::lock_guard lock(mutex_);
        std::shared_ptr<Job>& found = jobs_[key];
        mine = !found;
        if (mine) found = std::make_shared<Job>();
        job = found;
    }
    if (mine && !(workers && workers->post([this, key, job, work] { run(key, *job, work); }))) run(key, *job, work);
    std::unique_lock lock(job->mutex);
    if (!job->changed.wait_for(lock, kPatience, [&] { return job->done; }))
        throw HttpError(http::kUnavailable, "the image is being fetched; try again later", kRetryAfterSeconds);
    if (job->error) std::rethrow_exception(job->error);
    return job->result;
}

void Mirror::run(const std::string& key, Job& job, const std::function<std::string()>& work) {
    std::string result;
    std::exception_ptr error;
    try {
        if (stopping_) throw HttpError(http::kUnavailable, "the registry is ending", kRetryAfterSeconds);
        result = work();
    } catch (const HttpError&) {
        error = std::current_exception();
    } catch (const http::TransientError& e) {
        spdlog::warn("{}: {}", key, e.what());
        error = std::make_exception_ptr(
            HttpError(http::kUnavailable, "the registry that this one mirrors does not answer", kRetryAfterSeconds));
    } catch (const std::exception& e) {
        spdlog::warn("{}: {}", key, e.what());
        error = std::make_exception_ptr(HttpError(http::kBadGateway, std::string("cannot fetch the image: ") + e.what()));
    }
    {
        const std::lock_guard lock(mutex_);
        jobs_.erase(key);
    }
    const std::lock_guard lock(job.mutex);
    job.result = std::move(result);
    job.error = error;
    job.done = true;
    job.changed.notify_all();
}

std::string Mirror::resolve(const std::string& tag) {
    const std::optional<MirroredTag> known = service_.metadata().find_mirrored_tag(tag);
    const Time now = std::time(nullptr);
    if (known && now >= known->asked && now - known->asked < kFresh) return known->sha3;
    if (known && now < silent_until_) return known->sha3;
    std::optional<ImageInfo> found;
    try {
        found = Api(options_.upstream, http_).find_image("tag", tag);
    } catch (const base::Error& e) {
        if (!known) throw;
        spdlog::warn("{} is taken for what it was {} s ago: {}", tag, now - known->asked, e.what());
        silent_until_ = std::time(nullptr) + kSilent;
        return known->sha3;
    }
    if (!found) {
        service_.metadata().forget_mirrored_tag(tag);
        throw HttpError(http::kNotFound, "there is no image " + tag);
    }
    service_.metadata().set_mirrored_tag(tag, {.sha3 = found->sha3, .asked = now});
    return found->sha3;
}

Upload Mirror::find_by_tag(const std::string& name, const std::string& viewer) {
    std::optional<Upload> own = here([&] { return service_.find_by_tag(name, viewer); });
    if (own) return *std::move(own);
    const Name parsed = parse_name(name);
    // The name of a private repository is nobody's business, and means nothing elsewhere.
    if (service_.metadata().is_private(parsed.user, parsed.repository)) throw HttpError(http::kNotFound, "there is no image " + name);
    const std::string tag = fmt::format("{}/{}:{}", parsed.user, parsed.repository, parsed.tag);
    return find_by_hash(once(
                            tag, [this, tag] { return resolve(tag); }, nullptr),
                        viewer);
}

Upload Mirror::find_by_hash(const std::string& sha3, const std::string& viewer) {
    std::optional<Upload> found = here([&] { return service_.find_by_hash(sha3, viewer); });
    if (!found)
        found = service_.find(once(
                                  sha3, [this, sha3] { return fetch(sha3); }, &fetchers_),
                              viewer);
    use(found->id);
    return *std::move(found);
}

void Mirror::use(const std::string& id) {
    service_.metadata().use_mirrored(id, std::time(nullptr));
}

std::string Mirror::fetch(const std::string& sha3) {
    // Between somebody's look and this job another one may have ended.
    const std::optional<Upload> there = here([&] { return service_.find_by_hash(sha3, ""); });
    if (there) return there->id;
    if (service_.metadata().find_blocked({sha3})) throw HttpError(http::kBlocked, sha3 + " is blocked in this registry");
    const std::optional<ImageInfo> info = Api(options_.upstream, http_).find_image("hash", sha3);
    if (!info) throw HttpError(http::kNotFound, "there is no image with the hash " + sha3);
    const uint64_t most = std::min(options_.quota, service_.limits().image_size);
    if (info->size == 0 || info->size > most)
        throw base::Error(fmt::format("it has {} bytes; this registry takes 1 to {}", info->size, most));
    const std::shared_ptr<void> room = make_room(info->size);

    const auto begun = std::chrono::steady_clock::now();
    const auto longest = std::chrono::seconds(60 + info->size / kLeastRate);
    const auto progress = [&](uint64_t, uint64_t) {
        if (stopping_) throw HttpError(http::kUnavailable, "the registry is ending", kRetryAfterSeconds);
        if (std::chrono::steady_clock::now() - begun > longest)
            throw base::Error(fmt::format("it takes longer than {} s", longest.count()));
    };
    const base::TemporaryFolder folder(folder_.path(), "image-");
    const std::filesystem::path file = folder.path() / "image";
    pull_image({.url = info->url, .sha3 = sha3, .size = info->size, .tag = {}, .file_name = {}}, file, progress, http_);
    const base::UniqueFd fd = base::open_file(file, O_RDONLY);
    std::string id = service_.add_image(fd.get(), compute_descriptor(fd.get(), sha3, 0, progress));
    service_.metadata().add_mirrored(id, std::time(nullptr));
    spdlog::info("fetched the image {} from {}", sha3, options_.upstream);
    return id;
}

std::shared_ptr<void> Mirror::make_room(uint64_t bytes) {
    const std::lock_guard lock(room_mutex_);
    const std::vector<Mirrored> images = service_.metadata().mirrored();
    uint64_t used = bytes + fetching_;
    for (const Mirrored& image : images)
        used += image.size;
    for (const Mirrored& image : images) {
        if (used <= options_.quota) break;
        spdlog::info("removing the fetched image {}, which was not used for longest", image.id);
        service_.remove_image(image.id);
        used -= image.size;
    }
    fetching_ += bytes;
    return {nullptr, [this, bytes](void*) {
                const std::lock_guard end(room_mutex_);
                fetching_ -= bytes;
            }};
}

}  // namespace registry::server
