// Folder lint: what will surprise in a VM: findings about an image's tree and configuration. It reads a finished .gvmi, so the end of a
// build and `gvmi lint` report the same.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "gvmi/image.h"
#include "gvmi/squashfs_reader.h"
#include "gvmi/squashfs_tree.h"

namespace lint {

struct Finding {
    enum class Severity { note, warning };

    std::string id;  // of the rule: "no-volume"
    Severity severity = Severity::warning;
    std::string reason;  // what was found, and its effect in a VM
    std::string remedy;  // a remedy; empty where there is none
    std::vector<std::string> paths = {};
};

// The ids of all rules, in the order in which findings come. To add a rule: its id here, its check in one of the functions of look.h, a
// test in test_lint.cpp and a row in docs/convert.md.
const std::vector<std::string>& rule_ids();

// What only the conversion knows.
struct Conversion {
    uint64_t clamped_times = 0;
    uint64_t dropped_attributes = 0;
    std::vector<std::string> config_notes = {};  // what was normalised in the image's configuration
};

// Looks at an image; rules in `off` are left out. Throws base::Error where the squashfs is damaged or beyond the limits.
std::vector<Finding> lint(gvmi::SquashfsReader& reader, const gvmi::Config& config, uint64_t file_bytes, const Conversion& conversion = {},
                          const std::set<std::string>& off = {}, const gvmi::Limits& limits = {});

}  // namespace lint
