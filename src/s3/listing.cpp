#include "s3/listing.h"

#include <expat.h>

#include <charconv>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/untrusted_text.h"

namespace s3 {
namespace {

// The texts below a root: its own elements' by their names, and those of its repeated element, one map for each.
struct Parsing {
    std::string root, repeated;  // what is expected
    std::vector<std::string> path = {};
    std::string text = {};
    std::map<std::string, std::string> own = {};
    std::vector<std::map<std::string, std::string>> all = {};
    bool is_root = false;
};

struct FreeParser {
    void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};

void on_start(void* user, const XML_Char* name, const XML_Char**) {
    auto& parsing = *static_cast<Parsing*>(user);
    parsing.path.emplace_back(name);
    parsing.text.clear();
    if (parsing.path.size() == 1) parsing.is_root = parsing.path[0] == parsing.root;
    if (parsing.path.size() == 2 && parsing.path[1] == parsing.repeated) parsing.all.emplace_back();
}

void on_text(void* user, const XML_Char* text, int length) {
    static_cast<Parsing*>(user)->text.append(text, static_cast<size_t>(length));
}

void on_end(void* user, const XML_Char*) {
    auto& parsing = *static_cast<Parsing*>(user);
    const std::vector<std::string>& path = parsing.path;
    if (path.size() == 2) parsing.own[path[1]] = parsing.text;
    if (path.size() == 3 && path[1] == parsing.repeated) parsing.all.back()[path[2]] = parsing.text;
    parsing.path.pop_back();
    parsing.text.clear();
}

Parsing parse(std::string_view xml, const char* root, const char* repeated) {
    const std::unique_ptr<XML_ParserStruct, FreeParser> parser(XML_ParserCreate(nullptr));
    if (!parser) throw base::Error("there is no memory for a list of objects");
    Parsing parsing{.root = root, .repeated = repeated};
    XML_SetUserData(parser.get(), &parsing);
    XML_SetElementHandler(parser.get(), on_start, on_end);
    XML_SetCharacterDataHandler(parser.get(), on_text);
    if (XML_Parse(parser.get(), xml.data(), static_cast<int>(xml.size()), 1) != XML_STATUS_OK || !parsing.is_root)
        throw base::Error("it is no list of objects: " + base::escape_line(xml));
    return parsing;
}

uint64_t size_in(const std::string& text, std::string_view xml) {
    uint64_t size = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc() || stop != text.data() + text.size()) throw base::Error("it is no list of objects: " + base::escape_line(xml));
    return size;
}

std::string element(const std::string& xml, const std::string& name) {
    const size_t begin = xml.find("<" + name + ">");
    const size_t end = xml.find("</" + name + ">");
    if (begin == std::string::npos || end == std::string::npos || end < begin) return {};
    return xml.substr(begin + name.size() + 2, end - begin - name.size() - 2);
}

}  // namespace

Listing parse_listing(std::string_view xml) {
    Parsing parsing = parse(xml, "ListBucketResult", "Contents");
    Listing listing{.objects = {}, .next = parsing.own["NextContinuationToken"]};
    for (auto& object : parsing.all)
        listing.objects.push_back({.key = object["Key"], .size = object.contains("Size") ? size_in(object["Size"], xml) : 0});
    return listing;
}

std::vector<PartialUpload> parse_uploads(std::string_view xml) {
    std::vector<PartialUpload> uploads;
    for (auto& upload : parse(xml, "ListMultipartUploadsResult", "Upload").all)
        uploads.push_back({.key = upload["Key"], .id = upload["UploadId"]});
    return uploads;
}

std::string upload_id(const std::string& xml) {
    std::string id = element(xml, "UploadId");
    if (id.empty()) throw base::Error("the store gives an upload no id: " + base::escape_line(xml));
    return id;
}

std::string error_text(const std::string& body) {
    const std::string code = element(body, "Code");
    return base::escape_line(code.empty() ? body : code + ": " + element(body, "Message"));
}

}  // namespace s3
