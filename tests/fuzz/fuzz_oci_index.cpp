// A stranger's OCI layout or docker archive: any index, manifest and configuration are opened, or refused by a base::Error. The input holds
// up to five texts with zero bytes between them. In each, "@N" stands for the digest of text N before it, which no mutation would hit by
// chance.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "oci/docker_archive.h"
#include "oci/files.h"
#include "oci/oci_layout.h"

namespace {

class Texts : public oci::Files {
public:
    std::map<std::string, std::string> texts;

    std::optional<File> find(const std::string& path) const override {
        const auto found = texts.find(path);
        if (found == texts.end()) return std::nullopt;
        return File{found->second.size(), [text = found->second] { return oci::text_stream(text); }};
    }
    bool has(const std::string& path) const override { return texts.count(path) > 0; }
};

std::string with_digests(const std::string& text, const std::vector<std::string>& digests) {
    std::string result;
    for (size_t i = 0; i < text.size(); i++) {
        const size_t number = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) - size_t{'0'} : digests.size();
        if (text[i] == '@' && number < digests.size()) {
            result += "sha256:" + digests[number];
            i++;
        } else {
            result.push_back(text[i]);
        }
    }
    return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr size_t kMostTexts = 5;
    const std::string input(reinterpret_cast<const char*>(data), size);
    const auto files = std::make_shared<Texts>();
    std::vector<std::string> digests;
    std::string last;
    for (size_t start = 0; start <= input.size() && digests.size() < kMostTexts;) {
        const size_t end = std::min(input.find('\0', start), input.size());
        last = with_digests(input.substr(start, end - start), digests);
        digests.push_back(base::sha256_hex(std::as_bytes(std::span(last))));
        files->texts["blobs/sha256/" + digests.back()] = last;
        start = end + 1;
    }
    files->texts["index.json"] = last;
    files->texts["manifest.json"] = last;
    for (const char* name : {"", "name"}) {
        try {
            (void)oci::open_oci_layout(files, name, "linux/amd64");
        } catch (const base::Error&) {
            // refused
        }
        try {
            (void)oci::open_docker_archive(files, name, "linux/amd64");
        } catch (const base::Error&) {
            // refused
        }
    }
    return 0;
}
