#include "registry/sdk_lines.h"

#include "registry/settings.h"

namespace registry {

std::string with_login(const std::string& url, const std::string& user) {
    const size_t scheme = url.find("://");
    const size_t host = scheme == std::string::npos ? 0 : scheme + 3;
    return url.substr(0, host) + user + ":TOKEN@" + url.substr(host);
}

SdkLines sdk_lines(const std::string& url, const std::string& tag, const std::string& sha3) {
    const bool is_public = url == kPublicRegistry;
    const std::string python = (tag.empty() ? "image_hash=\"" + sha3 : "image_tag=\"" + tag) + "\"";
    const std::string javascript = (tag.empty() ? "imageHash: \"" + sha3 : "imageTag: \"" + tag) + "\"";
    return {.yapapi = "package = await vm.repo(" + python + (is_public ? "" : ", repository_url=\"" + url + "\"") + ")",
            .golem_js = "demand: { workload: { " + javascript + " } }",
            .environment = is_public ? "" : "GOLEM_REGISTRY_URL=" + url,
            .pull = (is_public ? "" : "REGISTRY_URL=" + url + " ") + "gvmi pull " + (tag.empty() ? sha3 : tag)};
}

}  // namespace registry
