#include "dbg/outbound/dns_answer.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace dbg::outbound {
namespace {

constexpr size_t kDnsHeader = 12;
constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxName = 253;
constexpr uint16_t kTypeA = 1;
constexpr uint16_t kClassInternet = 1;

// Goes through a message and never beyond its end; after the first failure nothing is read.
class Reader {
public:
    explicit Reader(Bytes message) : rest_(message) {}

    bool failed() const { return failed_; }
    Bytes take(size_t count) {
        failed_ = failed_ || count > rest_.size();
        if (failed_) return {};
        const Bytes result = rest_.first(count);
        rest_ = rest_.subspan(count);
        return result;
    }
    uint32_t number(size_t bytes) {
        uint32_t value = 0;
        for (const uint8_t byte : take(bytes))
            value = value << 8 | byte;
        return value;
    }
    void fail() { failed_ = true; }

private:
    Bytes rest_;
    bool failed_ = false;
};

// The question's name, which comes first and so cannot refer to an earlier one.
std::string read_name(Reader& reader) {
    std::string name;
    while (!reader.failed()) {
        const uint32_t length = reader.number(1);
        if (length == 0) break;
        if (length > kMaxLabel || name.size() + length + 1 > kMaxName) reader.fail();
        if (!name.empty()) name.push_back('.');
        for (const uint8_t byte : reader.take(length)) {
            const auto c = static_cast<char>(std::tolower(byte));
            if (std::string_view("abcdefghijklmnopqrstuvwxyz0123456789-_").find(c) == std::string_view::npos) reader.fail();
            name.push_back(c);
        }
    }
    return name;
}

// A record's name: labels, and perhaps a reference, which ends it. Where that leads is of no interest.
void skip_name(Reader& reader) {
    while (!reader.failed()) {
        const uint32_t length = reader.number(1);
        if (length > kMaxLabel) (void)reader.take(1);
        if (length == 0 || length > kMaxLabel) return;
        (void)reader.take(length);
    }
}

}  // namespace

DnsAnswer parse_dns_answer(Bytes message) {
    constexpr uint32_t kResponse = 0x8000;
    constexpr uint32_t kErrorCode = 0x000f;
    DnsAnswer answer;
    Reader reader(message);
    (void)reader.number(2);
    const uint32_t flags = reader.number(2);
    const uint32_t questions = reader.number(2);
    const size_t records = std::min<size_t>(reader.number(2), kMaxDnsRecords);
    (void)reader.take(kDnsHeader - 8);
    if (reader.failed() || (flags & kResponse) == 0 || (flags & kErrorCode) != 0 || questions != 1) return {};
    answer.name = read_name(reader);
    (void)reader.take(4);
    for (size_t i = 0; i < records && !reader.failed(); i++) {
        skip_name(reader);
        const uint32_t type = reader.number(2);
        const uint32_t internet = reader.number(2);
        (void)reader.number(4);
        Reader data(reader.take(reader.number(2)));
        if (type != kTypeA || internet != kClassInternet) continue;
        const uint32_t address = data.number(4);
        if (!data.failed()) answer.addresses.push_back(address);
    }
    if (reader.failed() || answer.name.empty()) return {};
    return answer;
}

}  // namespace dbg::outbound
