#include "registry/server/maintenance.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "registry/server/names.h"

namespace registry::server {
namespace {

constexpr size_t kBlock = 256 << 10;
constexpr size_t kBatch = 100;        // files that are removed while the database is locked
constexpr uint64_t kUploadBatch = 4;  // uploads, each with up to 1,000 rows of chunks

// Its end lets others have the database, for a quarter of the time that it was locked: a writer of another process only looks at it now and
// then, ten times a second in the end, and must hit upon such a pause.
class Turn {
public:
    Turn() = default;
    ~Turn() { std::this_thread::sleep_for((Clock::now() - start_) / 4 + std::chrono::milliseconds(1)); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point start_ = Clock::now();
};

uint64_t hash_all(ChunkReader& reader, base::Hasher& hasher) {
    std::vector<std::byte> block(kBlock);
    uint64_t offset = 0;
    while (const size_t n = reader.read(offset, block)) {
        hasher.update(std::span(block).first(n));
        offset += n;
    }
    return offset;
}

uint64_t hash_chunk(const Storage& storage, const std::string& sha256, base::Hasher& hasher) {
    return hash_all(*storage.open(sha256), hasher);
}

// The lengths of the stored chunks and, where they are read, whether they are intact.
std::map<std::string, uint64_t> good_chunks(Storage& storage, const CheckOptions& options,
                                            const std::function<void(const std::string&)>& problem) {
    std::map<std::string, uint64_t> chunks;
    storage.list([&chunks](const std::string& sha256, uint64_t length) { chunks.emplace(sha256, length); },
                 [&options](const std::string& name) {
                     if (options.note) options.note(name + " is none of the registry's");
                 });
    if (!options.read) return chunks;
    for (auto it = chunks.begin(); it != chunks.end();) {
        const std::optional<std::string> reason = chunk_problem(storage, it->first);
        if (!reason) {
            ++it;
            continue;
        }
        if (storage.has(it->first)) problem("chunk " + it->first + ": " + *reason);  // else it was removed meanwhile
        if (options.repair) storage.remove(it->first);
        it = chunks.erase(it);
    }
    return chunks;
}

// What is wrong with a full upload, if anything.
std::optional<std::string> image_problem(const Upload& upload, const Storage& storage, const std::map<std::string, uint64_t>& chunks,
                                         bool read) {
    const Descriptor& descriptor = upload.descriptor;
    for (size_t number = 0; number < descriptor.chunks.size(); number++) {
        const auto chunk = chunks.find(descriptor.chunks[number]);
        if (chunk == chunks.end()) return "chunk " + std::to_string(number) + " is missing";
        if (chunk->second != descriptor.chunk_length(number)) return "chunk " + std::to_string(number) + " has a wrong length";
    }
    if (!read) return std::nullopt;
    base::Hasher hasher(base::Hasher::Kind::sha3_224);
    for (const std::string& chunk : descriptor.chunks)
        hash_chunk(storage, chunk, hasher);
    if (hasher.hex() != descriptor.sha3) return "its SHA3-224 is not the descriptor's";
    return std::nullopt;
}

using Objects = std::map<std::string, std::optional<uint64_t>>;  // sizes by names, none of those that are half written

Objects objects_in(ImageObjects& store) {
    Objects objects;
    store.list([&objects](const std::string& name, std::optional<uint64_t> size) {
        std::optional<uint64_t>& known = objects[name];
        if (size) known = size;
    });
    return objects;
}

// Lists the objects first: a row is there before its object.
std::vector<std::string> unknown_objects(Metadata& metadata, Objects listed) {
    for (const Composed& image : metadata.composed())
        listed.erase(image.object);
    std::vector<std::string> names;
    for (const auto& [name, size] : listed)
        names.push_back(name);
    return names;
}

uint64_t collect_objects(Metadata& metadata, ImageObjects& store, Time now) {
    constexpr Time kUnused = Time{7} * 86400;
    for (const Composed& image : metadata.composed()) {
        if (image.ready) (void)metadata.retire_composed(image.object, now - kUnused);
    }
    const uint64_t useless = remove_useless_objects(metadata, store, now);
    const std::vector<std::string> unknown = unknown_objects(metadata, objects_in(store));
    for (const std::string& name : unknown)
        store.remove(name);
    return useless + unknown.size();
}

// What is wrong with an object that clients are sent to, if anything.
std::optional<std::string> object_problem(ImageObjects& store, const Composed& image, const Objects& listed, const std::string& sha3,
                                          bool read) {
    const auto found = listed.find(image.object);
    if (found == listed.end() || !found->second) return "it is missing";
    if (*found->second != image.size) return "it has a wrong length";
    if (!read) return std::nullopt;
    base::Hasher hasher(base::Hasher::Kind::sha3_224);
    hash_all(*store.open(image.object), hasher);
    if (hasher.hex() != sha3) return "its SHA3-224 is not the image's";
    return std::nullopt;
}

// A repaired one is no longer used; gc, or a server, removes it.
void check_objects(Metadata& metadata, ImageObjects& store, const CheckOptions& options,
                   const std::function<void(const std::string&)>& problem) {
    const std::vector<Composed> images = metadata.composed();
    const Objects listed = objects_in(store);
    for (const Composed& image : images) {
        const std::optional<Upload> upload = metadata.find_upload(image.id);
        if (!image.ready || !upload) continue;
        const std::optional<std::string> reason = object_problem(store, image, listed, upload->descriptor.sha3, options.read);
        if (!reason) continue;
        const std::vector<Composed> now = metadata.composed();
        const auto still = [&image](const Composed& other) { return other.object == image.object && other.ready; };
        if (std::none_of(now.begin(), now.end(), still)) continue;  // removed meanwhile
        problem("the object " + image.object + " of image " + upload->descriptor.sha3 + ": " + *reason);
        if (options.repair) (void)metadata.retire_composed(image.object, std::numeric_limits<Time>::max());
    }
    if (!options.note) return;
    for (const std::string& name : unknown_objects(metadata, listed))
        options.note("the object " + name + " is no image's; gc removes it");
}

// Calls `f` for those of `chunks` that are in no upload.
void for_unused_in_batches(Metadata& metadata, const std::vector<std::string>& chunks, const std::stop_token& stop,
                           const std::function<void(const std::string&)>& f) {
    for (auto first = chunks.begin(); first != chunks.end() && !stop.stop_requested();) {
        const auto end = first + std::min<ptrdiff_t>(kBatch, chunks.end() - first);
        const Turn turn;
        metadata.for_unused({first, end}, f);
        first = end;
    }
}

std::vector<std::string> names_of(const std::map<std::string, uint64_t>& chunks) {
    std::vector<std::string> names;
    names.reserve(chunks.size());
    for (const auto& [sha256, length] : chunks)
        names.push_back(sha256);
    return names;
}

void note_unused(Metadata& metadata, const std::map<std::string, uint64_t>& chunks, const std::function<void(const std::string&)>& note) {
    for_unused_in_batches(metadata, names_of(chunks), {}, [&](const std::string& sha256) {
        note("chunk " + sha256 + " (" + std::to_string(chunks.at(sha256)) + " bytes) is in no upload; gc removes it");
    });
}

}  // namespace

std::optional<std::string> chunk_problem(const Storage& storage, const std::string& sha256) {
    base::Hasher hasher(base::Hasher::Kind::sha256);
    try {
        hash_chunk(storage, sha256, hasher);
    } catch (const base::Error& e) {
        return e.what();
    }
    if (hasher.hex() != sha256) return "it does not have its SHA-256";
    return std::nullopt;
}

bool wait_for(std::chrono::seconds time, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    (void)changed.wait_for(lock, stop, time, [] { return false; });
    return !stop.stop_requested();
}

uint64_t remove_old_tags(Metadata& metadata, Age age, Time now, const Tell& tell) {
    uint64_t removed = 0;
    while (true) {
        const std::vector<Name> names = metadata.remove_old_tags(age, now, kBatch);
        if (names.empty()) return removed;
        removed += names.size();
        for (const Name& name : names) {
            if (tell) tell({.name = "delete", .details = {{"image", full_name(name)}, {"by", age == Age::expired ? "ttl" : "rules"}}});
        }
    }
}

uint64_t remove_expired_uploads(Metadata& metadata, Time now) {
    uint64_t removed = 0;
    while (const uint64_t some = metadata.remove_expired_uploads(now, kUploadBatch))
        removed += some;
    return removed;
}

uint64_t remove_useless_objects(Metadata& metadata, ImageObjects& objects, Time now) {
    const std::vector<std::string> useless = metadata.useless_composed(now);
    for (const std::string& object : useless) {
        objects.remove(object);
        metadata.remove_composed(object);
    }
    return useless.size();
}

Collected collect_garbage(Metadata& metadata, Storage& storage, Time before, std::chrono::seconds grace, const std::stop_token& stop) {
    Collected collected;
    for (uint64_t expired = kUploadBatch; expired > 0 && !stop.stop_requested(); collected.uploads += expired) {
        const Turn turn;
        expired = metadata.expire(before, kUploadBatch);
    }
    if (ImageObjects* objects = storage.image_objects()) collected.objects = collect_objects(metadata, *objects, std::time(nullptr));
    std::map<std::string, uint64_t> lengths;
    storage.list([&lengths](const std::string& sha256, uint64_t length) { lengths.emplace(sha256, length); });
    std::vector<std::string> unused;
    for_unused_in_batches(metadata, names_of(lengths), stop, [&unused](const std::string& sha256) { unused.push_back(sha256); });
    if (unused.empty() || !wait_for(grace, stop)) return collected;
    for_unused_in_batches(metadata, unused, stop, [&](const std::string& sha256) {
        storage.remove(sha256);
        collected.chunks++;
        collected.bytes += lengths[sha256];
    });
    return collected;
}

void check_registry(Metadata& metadata, Storage& storage, const CheckOptions& options,
                    const std::function<void(const std::string&)>& problem) {
    const std::string wrong = metadata.check();
    if (!wrong.empty()) problem("the data base: " + wrong);
    // Read before the chunks: an upload that becomes full meanwhile is not examined.
    const std::vector<std::string> full = metadata.uploads(State::full);
    const std::map<std::string, uint64_t> chunks = good_chunks(storage, options, problem);
    if (options.note) note_unused(metadata, chunks, options.note);
    if (ImageObjects* objects = storage.image_objects()) check_objects(metadata, *objects, options, problem);
    for (const std::string& id : full) {
        const std::optional<Upload> upload = metadata.find_upload(id);
        if (!upload) continue;
        const std::string bytes = serialize(upload->descriptor);
        if (base::sha256_hex(std::as_bytes(std::span(bytes))) != id) problem("upload " + id + ": the descriptor is another one");
        const std::optional<std::string> reason = image_problem(*upload, storage, chunks, options.read);
        if (!reason) continue;
        problem("image " + upload->descriptor.sha3 + " (upload " + id + "): " + *reason);
        if (options.repair) metadata.set_state(id, State::partial, std::time(nullptr));
    }
}

}  // namespace registry::server
