#pragma once

#include <CLI/CLI.hpp>
#include <iosfwd>
#include <set>
#include <string>
#include <vector>

#include "lint/lint.h"

namespace cli {

// An option that switches rules off by their ids, which its help lists.
void add_lint_off_option(CLI::App& app, const char* name, std::set<std::string>& off);

// Two lines for each finding: what it is, and what to do.
void print_findings(std::ostream& out, const std::vector<lint::Finding>& findings);
// The same as a JSON array of objects with id, severity, reason, remedy and paths.
std::string findings_json(const std::vector<lint::Finding>& findings);

}  // namespace cli
