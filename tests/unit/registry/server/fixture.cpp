#include "fixture.h"

#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/hash.h"
#include "registry/server/open_metadata.h"
#include "registry/server/postgres.h"

namespace registry::server {
namespace {

std::filesystem::path new_folder() {
    std::string name = testing::TempDir() + "registry.XXXXXX";
    return ::mkdtemp(name.data());
}

// tests/system/postgres.py, which runs a PostgreSQL until the end of its standard input.
class PostgresProcess {
public:
    PostgresProcess() : folder_(new_folder()) {
        const std::string answer = folder_ / "url";
        if (::mkfifo(answer.c_str(), 0600) != 0) std::abort();
        input_ = ::popen(("exec python3 " POSTGRES_PY " > " + answer).c_str(), "w");
        std::getline(std::ifstream(answer), url_);
        if (url_.empty()) throw base::Error("PostgreSQL does not start");
    }
    ~PostgresProcess() {
        ::pclose(input_);
        std::filesystem::remove_all(folder_);
    }
    PostgresProcess(const PostgresProcess&) = delete;
    PostgresProcess& operator=(const PostgresProcess&) = delete;
    const std::string& url() const { return url_; }

private:
    std::filesystem::path folder_;
    FILE* input_;
    std::string url_;
};

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

std::string new_postgres() {
    static const PostgresProcess process;
    static int count = 0;
    std::string schema = "s";
    schema += std::to_string(++count);
    const auto url = [](const std::string& name) {
        std::string text = process.url();
        return text.replace(text.find("{}"), 2, name);
    };
    postgres::Connection(url("public"), std::chrono::seconds(0)).execute(("CREATE SCHEMA " + schema).c_str());
    return url(schema);
}

Registry::Registry(const std::string& data_base)
    : folder_(new_folder()),
      db_(data_base == "PostgreSQL" ? new_postgres() : ""),
      storage_(folder_),
      opened_(open_metadata(folder_, db_)),
      metadata_(*opened_) {}

std::unique_ptr<Metadata> Registry::open_again() const {
    return open_metadata(folder_, db_);
}

void Registry::store(const std::string& chunk) {
    const auto writer = storage_.begin(base::sha256_hex(bytes(chunk)), chunk.size());
    writer->write(bytes(chunk));
    writer->commit();
}

void Registry::add(const TestImage& image, State state, Time now) {
    metadata_.add_upload(image.id, image.descriptor, now, 0);
    metadata_.set_state(image.id, state, now);
    if (state != State::full) return;
    for (const std::string& chunk : image.chunks)
        store(chunk);
}

void Registry::wait_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

}  // namespace registry::server
