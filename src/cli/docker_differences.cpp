#include "cli/docker_differences.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <vector>

#include "base/error.h"
#include "lint/lint.h"
#include "thin/opened.h"

namespace cli {
namespace {

constexpr size_t kShownDifferences = 5;

// The others are about what an image costs, or what it shows to others.
const std::set<std::string> kDifferences = {"no-volume", "hidden-by-volume", "no-shell", "entrypoint", "user", "healthcheck", "expose"};

std::vector<lint::Finding> findings_of(const std::filesystem::path& image) {
    std::set<std::string> off;
    std::copy_if(lint::rule_ids().begin(), lint::rule_ids().end(), std::inserter(off, off.end()),
                 [](const std::string& id) { return kDifferences.count(id) == 0; });
    thin::Opened opened(image);
    auto findings = lint::lint(opened.reader, opened.image.config, opened.size, {}, off);
    const auto is_warning = [](const lint::Finding& finding) { return finding.severity == lint::Finding::Severity::warning; };
    std::stable_partition(findings.begin(), findings.end(), is_warning);
    return findings;
}

}  // namespace

std::string docker_differences(const std::filesystem::path& image) {
    try {
        const std::vector<lint::Finding> findings = findings_of(image);
        if (findings.empty()) return {};
        std::string text = "What differs from Docker (gvmi lint says more; --no-lint switches this off):\n";
        for (size_t i = 0; i < std::min(findings.size(), kShownDifferences); ++i)
            text += "  " + findings[i].reason + "\n";
        return text;
    } catch (const base::Error&) {
        return {};
    }
}

}  // namespace cli
