#include "cli/declared.h"

#include <algorithm>
#include <functional>
#include <set>

namespace cli {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    for (size_t start = 0; start <= text.size();) {
        const size_t end = std::min(text.find(separator, start), text.size());
        parts.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    return parts;
}

bool is_literal(const std::string& word) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    });
}

Offers offers_of(const std::string& value) {
    Offers offers;
    for (const std::string& part : split(value, '|')) {
        const std::string first = part.substr(0, part.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"));  // of DIR:GUEST it is DIR
        if (is_literal(part)) offers.words.push_back(part);
        offers.files |= first == "FILE" || first == "IMAGE" || first == "MANIFEST";
        offers.folders |= first == "DIR";
        offers.vms |= first == "VM";
    }
    return offers;
}

// CLI11 keeps what validators say of themselves in the type's name: "TEXT:{a,b}", "TEXT:DIR", "INT:INT in [1 - 64]".
void read_type(const CLI::Option& option, DeclaredOption& result) {
    const std::vector<std::string> parts = split(option.get_type_name(), ':');
    result.value = parts[0];
    for (size_t i = 1; i < parts.size(); i++) {
        const std::string& part = parts[i];
        const size_t range = part.find(" in [");
        if (part.starts_with('{') && part.ends_with('}')) {
            result.value = part.substr(1, part.size() - 2);
            std::replace(result.value.begin(), result.value.end(), ',', '|');
        } else if (range != std::string::npos) {
            result.range = part.substr(range + 5, part.size() - range - 6);
            const size_t dash = result.range.find(" - ");
            if (dash != std::string::npos) result.range.replace(dash, 3, " to ");
        } else if (result.value == "TEXT" && !part.empty()) {
            result.value = part;
        }
    }
}

std::vector<std::string> names_of(const std::set<CLI::Option*>& options) {
    std::vector<std::string> names;
    names.reserve(options.size());
    for (const CLI::Option* option : options)
        names.push_back(option->get_name());
    std::sort(names.begin(), names.end());  // the set is in the order of addresses
    return names;
}

DeclaredOption read_option(const CLI::Option& option) {
    DeclaredOption result;
    for (const std::string& name : option.get_snames())
        result.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames())
        result.names.push_back("--" + name);
    if (!option.nonpositional()) result.names.push_back(option.get_name(true));
    result.description = option.get_description();
    result.group = option.get_group();
    result.variable = option.get_envname();
    result.required = option.get_required();
    result.needs = names_of(option.get_needs());
    result.excludes = names_of(option.get_excludes());
    if (option.get_items_expected_max() == 0) return result;
    const bool many = option.get_expected_max() == CLI::detail::expected_max_vector_size;
    result.repeated = many || option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll || option.get_trigger_on_parse();
    result.preset = option.get_default_str();
    read_type(option, result);
    if (!option.get_option_text().empty()) result.value = option.get_option_text();
    // The type of an argument says more than its name only where it was given one.
    const bool named = option.nonpositional() || !(result.value.empty() || result.value == "TEXT" || result.value == "INT");
    result.offers = offers_of(named ? result.value : result.names[0]);
    if (!named) result.offers.words.clear();  // a name is never meant literally
    return result;
}

DeclaredCommand read_command(const CLI::App& app, const std::string& name, const DeclaredCommand* parent) {
    DeclaredCommand result;
    result.path = parent != nullptr ? parent->path + " " + name : name;
    result.name = name;
    result.description = app.get_description();
    result.footer = app.get_footer();
    result.needs_command = app.get_require_subcommand_min() > 0;
    result.runs_program = app.get_prefix_command();
    // What belongs to no group is hidden from --help.
    const std::function<bool(const CLI::Option*)> shown_option = [](const CLI::Option* option) { return !option->get_group().empty(); };
    for (const CLI::Option* option : app.get_options(shown_option))
        (option->nonpositional() ? result.options : result.arguments).push_back(read_option(*option));
    if (parent != nullptr && app.get_fallthrough()) {
        result.inherited = parent->inherited;
        for (const DeclaredOption& option : parent->options) {
            if (option.names != result.options[0].names) result.inherited.push_back(option);  // each has a --help of its own
        }
    }
    const std::function<bool(const CLI::App*)> shown = [](const CLI::App* sub) {
        return !sub->get_name().empty() && !sub->get_group().empty();
    };
    for (const CLI::App* sub : app.get_subcommands(shown))
        result.commands.push_back(read_command(*sub, sub->get_name(), &result));
    return result;
}

}  // namespace

DeclaredCommand declared(const CLI::App& app, const std::string& program) {
    return read_command(app, program, nullptr);
}

}  // namespace cli
