#include "cli/lint_text.h"

#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/common.h"

namespace cli {
namespace {

const char* severity(const lint::Finding& finding) {
    return finding.severity == lint::Finding::Severity::warning ? "warning" : "note";
}

}  // namespace

void add_lint_off_option(CLI::App& app, const char* name, std::set<std::string>& off) {
    app.add_option_function<std::string>(
           name, [&off](const std::string& id) { off.insert(id); }, "Switches a rule off by its id; repeatable")
        ->check(CLI::IsMember(lint::rule_ids()))
        ->trigger_on_parse()
        ->allow_extra_args(false);
}

void print_findings(std::ostream& out, const std::vector<lint::Finding>& findings) {
    for (const lint::Finding& finding : findings) {
        out << severity(finding) << " [" << finding.id << "]: " << finding.reason << "\n";
        for (const std::string& path : finding.paths)
            out << "    " << path << "\n";
        if (!finding.remedy.empty()) out << "    remedy: " << finding.remedy << "\n";
    }
}

std::string findings_json(const std::vector<lint::Finding>& findings) {
    auto list = nlohmann::json::array();
    for (const lint::Finding& finding : findings) {
        list.push_back({{"id", finding.id},
                        {"severity", severity(finding)},
                        {"reason", finding.reason},
                        {"remedy", finding.remedy},
                        {"paths", finding.paths}});
    }
    return terminal_json(list);
}

}  // namespace cli
