#include "base/json.h"

#include "base/error.h"

namespace base {
namespace {

using nlohmann::json;

// Counts values and levels while it reads, and keeps nothing. The library's parser has a callback for this too, but with it its time grows
// with the square of the text.
class Limits : public json::json_sax_t {
public:
    bool null() override { return count(); }
    bool boolean(bool) override { return count(); }
    bool number_integer(number_integer_t) override { return count(); }
    bool number_unsigned(number_unsigned_t) override { return count(); }
    bool number_float(number_float_t, const string_t&) override { return count(); }
    bool string(string_t&) override { return count(); }
    bool binary(binary_t&) override { return count(); }
    bool start_object(size_t) override { return count() && enter(); }
    bool key(string_t&) override { return true; }
    bool end_object() override { return leave(); }
    bool start_array(size_t) override { return count() && enter(); }
    bool end_array() override { return leave(); }
    bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

private:
    bool count() {
        constexpr size_t kMaxValues = 250'000;
        if (++values_ > kMaxValues) throw Error("JSON of more than 250,000 values");
        return true;
    }
    bool enter() {
        constexpr int kMaxDepth = 100;
        if (++depth_ > kMaxDepth) throw Error("not JSON: nested too deep");
        return true;
    }
    bool leave() {
        depth_--;
        return true;
    }

    size_t values_ = 0;
    int depth_ = 0;
};

}  // namespace

json parse_json(std::string_view text) {
    try {
        Limits limits;
        (void)json::sax_parse(text, &limits);  // an error is reported below, with its place
        return json::parse(text);
    } catch (const nlohmann::json::exception& e) {
        // The library's text starts with "[json.exception.parse_error.101] ", which tells a user nothing.
        const std::string_view what = e.what();
        const size_t start = what.find("] ");
        throw Error("not JSON: " + std::string(start == std::string_view::npos ? what : what.substr(start + 2)));
    }
}

std::string to_text(const nlohmann::json& json) {
    try {
        return json.dump();
    } catch (const nlohmann::json::exception&) {
        throw Error("a text that is not UTF-8");
    }
}

}  // namespace base
