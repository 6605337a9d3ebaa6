#include "registry/sdk_lines.h"

#include "registry/settings.h"

namespace registry {

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
