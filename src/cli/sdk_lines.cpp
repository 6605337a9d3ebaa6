#include "cli/sdk_lines.h"

#include "registry/sdk_lines.h"

namespace cli {

std::string sdk_lines(const std::string& url, const std::string& tag, const std::string& sha3) {
    const registry::SdkLines lines = registry::sdk_lines(url, tag, sha3);
    std::string text = "yapapi:   " + lines.yapapi + "\ngolem-js: " + lines.golem_js + "\n";
    if (!lines.environment.empty()) text += "          with " + lines.environment + " in its environment\n";
    return text;
}

}  // namespace cli
