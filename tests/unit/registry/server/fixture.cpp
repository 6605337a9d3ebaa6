#include "fixture.h"

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/hash.h"

namespace registry::server {
namespace {

std::filesystem::path new_folder() {
    std::string name = testing::TempDir() + "registry.XXXXXX";
    return ::mkdtemp(name.data());
}

}  // namespace

TestImage::TestImage(const std::string& text, uint64_t chunk_size) {
    base::Hasher whole(base::Hasher::Kind::sha3_224);
    whole.update(server::bytes(text));
    descriptor = {.size = text.size(), .chunk_size = chunk_size, .sha3 = whole.hex(), .chunks = {}};
    for (size_t offset = 0; offset < text.size(); offset += chunk_size) {
        chunks.push_back(text.substr(offset, chunk_size));
        descriptor.chunks.push_back(base::sha256_hex(server::bytes(chunks.back())));
    }
    bytes = serialize(descriptor);
    id = base::sha256_hex(server::bytes(bytes));
}

Registry::Registry() : folder_(new_folder()), storage_(folder_), metadata_(folder_ / "registry.sqlite") {}

void Registry::store(const std::string& chunk) {
    const auto writer = storage_.begin(base::sha256_hex(bytes(chunk)), chunk.size());
    writer->write(bytes(chunk));
    writer->commit();
}

void Registry::add(const TestImage& image, State state, Time now) {
    metadata_.add_upload(image.id, image.descriptor, now);
    metadata_.set_state(image.id, state, now);
    if (state != State::full) return;
    for (const std::string& chunk : image.chunks)
        store(chunk);
}

void Registry::wait_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

}  // namespace registry::server
