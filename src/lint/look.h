#pragma once

#include "lint/lint.h"

namespace lint {

// What the rules read, and where they put their findings.
struct Look {
    gvmi::SquashfsReader& reader;
    const gvmi::Config& config;
    std::vector<Finding>& findings;

    void warn(const char* id, std::string reason, std::string remedy, std::vector<std::string> paths = {}) const {
        findings.push_back({id, Finding::Severity::warning, std::move(reason), std::move(remedy), std::move(paths)});
    }
    void note(const char* id, std::string reason, std::string remedy) const {
        findings.push_back({id, Finding::Severity::note, std::move(reason), std::move(remedy)});
    }
};

// Rules about the configuration and the files it names.
void look_at_config(const Look& look);
// The program that the entrypoint starts.
void look_at_program(const Look& look);
// Rules about all files.
void look_at_tree(const Look& look, const gvmi::Limits& limits);

}  // namespace lint
