#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "cli/common.h"
#include "cli/gvmi_commands.h"
#include "gvmi/diff.h"
#include "thin/opened.h"

namespace cli {
namespace {

using Kind = gvmi::Difference::Kind;

struct Arguments {
    std::string a;
    std::string b;
    bool json = false;
};

void print(const Arguments& arguments, const gvmi::Difference& difference) {
    const size_t kind = static_cast<size_t>(difference.kind);
    if (arguments.json) {
        constexpr const char* kNames[] = {"added", "removed", "changed"};
        nlohmann::json line = {{"kind", kNames[kind]}, {"path", base::escape(difference.path)}};
        if (!difference.what.empty()) line["what"] = difference.what;
        std::cout << terminal_json(line) << "\n";
        return;
    }
    std::cout << "+-*"[kind] << " " << base::escape(difference.path);
    for (size_t i = 0; i < difference.what.size(); i++)
        std::cout << (i == 0 ? ": " : ", ") << difference.what[i];
    std::cout << "\n";
}

// The keys of the configuration that differ.
void compare_config(const Arguments& arguments, const nlohmann::json& a, const nlohmann::json& b) {
    nlohmann::json keys = a;
    keys.update(b);
    for (const auto& [key, _] : keys.items()) {
        if (a.value(key, nlohmann::json()) == b.value(key, nlohmann::json())) continue;
        if (arguments.json) {
            std::cout << terminal_json({{"kind", "configuration"},
                                        {"key", key},
                                        {"a", a.value(key, nlohmann::json())},
                                        {"b", b.value(key, nlohmann::json())}})
                      << "\n";
        } else {
            std::cout << "* configuration " << base::escape(key) << ": " << terminal_json(a.value(key, nlohmann::json())) << " -> "
                      << terminal_json(b.value(key, nlohmann::json())) << "\n";
        }
    }
}

int compare(const Arguments& arguments) {
    thin::Opened a(arguments.a);
    thin::Opened b(arguments.b);
    compare_config(arguments, a.image.config.json, b.image.config.json);
    base::with_context("cannot compare " + arguments.a + " and " + arguments.b, [&] {
        gvmi::diff(a.reader, b.reader, {}, [&](const gvmi::Difference& difference) { print(arguments, difference); });
    });
    return 0;
}

}  // namespace

void add_diff_command(CLI::App& app, Action& chosen) {
    CLI::App* command =
        app.add_subcommand("diff", "Prints the differences between two images: + added in B, - removed in B, * changed, and how");
    command->footer("Example: gvmi diff python-3.11.gvmi python-3.12.gvmi");
    const auto arguments = std::make_shared<Arguments>();
    command->add_option("A", arguments->a, "A .gvmi file")->required()->type_name("FILE");
    command->add_option("B", arguments->b, "Another")->required()->type_name("FILE");
    command->add_flag("--json", arguments->json, "A JSON object per line");
    command->callback([&chosen, arguments] { chosen = [arguments] { return compare(*arguments); }; });
}

}  // namespace cli
