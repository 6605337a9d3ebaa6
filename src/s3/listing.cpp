#include "s3/listing.h"

#include <expat.h>

#include <charconv>
#include <memory>

#include "base/error.h"
#include "base/untrusted_text.h"

namespace s3 {
namespace {

// The values that matter, by the path of their elements.
struct Parsing {
    XML_Parser parser = nullptr;
    std::vector<std::string> path;
    std::string text;
    Listing listing;
    bool is_listing = false, bad_size = false;
};

struct FreeParser {
    void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};

void on_start(void* user, const XML_Char* name, const XML_Char**) {
    auto& parsing = *static_cast<Parsing*>(user);
    parsing.path.emplace_back(name);
    parsing.text.clear();
    if (parsing.path.size() == 1) parsing.is_listing = parsing.path[0] == "ListBucketResult";
    if (parsing.path.size() == 2 && parsing.path[1] == "Contents") parsing.listing.objects.emplace_back();
}

void on_text(void* user, const XML_Char* text, int length) {
    static_cast<Parsing*>(user)->text.append(text, static_cast<size_t>(length));
}

void on_end(void* user, const XML_Char*) {
    auto& parsing = *static_cast<Parsing*>(user);
    const std::vector<std::string>& path = parsing.path;
    if (path.size() == 2 && path[1] == "NextContinuationToken") parsing.listing.next = parsing.text;
    if (path.size() == 3 && path[1] == "Contents") {
        Object& object = parsing.listing.objects.back();
        if (path[2] == "Key") object.key = parsing.text;
        if (path[2] == "Size") {
            const char* end = parsing.text.data() + parsing.text.size();
            const auto [stop, error] = std::from_chars(parsing.text.data(), end, object.size);
            parsing.bad_size |= error != std::errc() || stop != end;
        }
    }
    parsing.path.pop_back();
    parsing.text.clear();
}

std::string element(const std::string& xml, const std::string& name) {
    const size_t begin = xml.find("<" + name + ">");
    const size_t end = xml.find("</" + name + ">");
    if (begin == std::string::npos || end == std::string::npos || end < begin) return {};
    return xml.substr(begin + name.size() + 2, end - begin - name.size() - 2);
}

}  // namespace

Listing parse_listing(std::string_view xml) {
    const std::unique_ptr<XML_ParserStruct, FreeParser> parser(XML_ParserCreate(nullptr));
    if (!parser) throw base::Error("there is no memory for a list of objects");
    Parsing parsing;
    XML_SetUserData(parser.get(), &parsing);
    XML_SetElementHandler(parser.get(), on_start, on_end);
    XML_SetCharacterDataHandler(parser.get(), on_text);
    if (XML_Parse(parser.get(), xml.data(), static_cast<int>(xml.size()), 1) != XML_STATUS_OK || !parsing.is_listing || parsing.bad_size)
        throw base::Error("it is no list of objects: " + base::escape_line(xml));
    return std::move(parsing.listing);
}

std::string error_text(const std::string& body) {
    const std::string code = element(body, "Code");
    return base::escape_line(code.empty() ? body : code + ": " + element(body, "Message"));
}

}  // namespace s3
