#include "lint/lint.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/size.h"
#include "lint/look.h"

namespace lint {
namespace {

std::string duration(double seconds) {
    std::array<char, 32> text{};
    const auto whole = static_cast<uint64_t>(std::llround(seconds));
    if (whole < 60) {
        (void)std::snprintf(text.data(), text.size(), "%.1f s", seconds);
    } else {
        (void)std::snprintf(text.data(), text.size(), "%d min %02d s", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
    }
    return text.data();
}

void look_at_size(const Look& look, uint64_t file_bytes) {
    const double megabits = static_cast<double>(file_bytes) * 8 / 1e6;
    look.note("download-time",
              "a provider that does not have the image downloads " + base::format_size(file_bytes) + ": " + duration(megabits / 10) +
                  " at 10 Mbit/s, " + duration(megabits / 100) + " at 100 Mbit/s",
              "let the requestor's time-out for the start allow for it");
}

void look_at_conversion(const Look& look, const Conversion& conversion) {
    for (const std::string& note : conversion.config_notes)
        look.note("config", note, "");
    if (conversion.clamped_times > 0) {
        look.note("clamped-times",
                  std::to_string(conversion.clamped_times) + " files have times before 1970 or after 2106, which a squashfs does not have",
                  "");
    }
    if (conversion.dropped_attributes > 0) {
        look.note("dropped-attributes",
                  std::to_string(conversion.dropped_attributes) +
                      " POSIX ACLs or other extended attributes were left out, which a squashfs cannot hold",
                  "give the permissions by owner, group and mode");
    }
}

}  // namespace

const std::vector<std::string>& rule_ids() {
    static const std::vector<std::string> kIds = {"no-volume",     "hidden-by-volume",   "no-shell",     "program", "entrypoint", "user",
                                                  "working-dir",   "healthcheck",        "expose",       "cache",   "secret",     "config",
                                                  "clamped-times", "dropped-attributes", "download-time"};
    return kIds;
}

std::vector<Finding> lint(gvmi::SquashfsReader& reader, const gvmi::Config& config, uint64_t file_bytes, const Conversion& conversion,
                          const std::set<std::string>& off, const gvmi::Limits& limits) {
    std::vector<Finding> findings;
    const Look look{reader, config, findings};
    look_at_config(look);
    look_at_program(look);
    look_at_tree(look, limits);
    look_at_conversion(look, conversion);
    look_at_size(look, file_bytes);
    findings.erase(std::remove_if(findings.begin(), findings.end(), [&off](const Finding& finding) { return off.count(finding.id) > 0; }),
                   findings.end());
    const auto place = [](const Finding& finding) { return std::find(rule_ids().begin(), rule_ids().end(), finding.id); };
    std::stable_sort(findings.begin(), findings.end(), [&place](const Finding& a, const Finding& b) { return place(a) < place(b); });
    return findings;
}

}  // namespace lint
