#include "cli/common.h"

#include <cstdio>
#include <exception>

#include "base/error.h"
#include "base/untrusted_text.h"

namespace cli {

int run(CLI::App& app, int argc, char** argv, const std::function<int()>& body) {
    constexpr int kFailure = 1;
    constexpr int kUsage = 2;
    try {
        app.parse(argc, argv);
        return body();
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : kUsage;
    } catch (const std::exception& e) {
        print_message("error", e.what());
        return kFailure;
    }
}

std::string terminal_json(const nlohmann::json& json, int indent) {
    try {
        return json.dump(indent, ' ', true);
    } catch (const nlohmann::json::exception&) {
        throw base::Error("a text that is not UTF-8");
    }
}

void print_message(const char* kind, std::string_view text) {
    constexpr size_t kLongest = 16 << 10;
    while (text.ends_with('\n'))
        text.remove_suffix(1);
    (void)std::fprintf(stderr, "%s: %s\n", kind, base::printable(text, kLongest).c_str());
}

void describe(CLI::App& app, const char* example) {
    app.set_version_flag("--version", GVMKIT_VERSION);
    app.footer(std::string("Example: ") + example);
}

}  // namespace cli
