#include "cli/sdk_lines.h"

#include "registry/settings.h"

namespace cli {

std::string sdk_lines(const std::string& url, const std::string& tag, const std::string& sha3) {
    const bool is_public = url == registry::kPublicRegistry;
    const std::string python = (tag.empty() ? "image_hash=\"" + sha3 : "image_tag=\"" + tag) + "\"";
    const std::string javascript = (tag.empty() ? "imageHash: \"" + sha3 : "imageTag: \"" + tag) + "\"";
    std::string text = "yapapi:   package = await vm.repo(" + python + (is_public ? "" : ", repository_url=\"" + url + "\"") + ")\n";
    text += "golem-js: demand: { workload: { " + javascript + " } }\n";
    if (!is_public) text += "          with GOLEM_REGISTRY_URL=" + url + " in its environment\n";
    return text;
}

}  // namespace cli
