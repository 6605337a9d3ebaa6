#include "cli/common.h"

#include <cstdio>
#include <exception>

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
        (void)std::fprintf(stderr, "error: %s\n", e.what());
        return kFailure;
    }
}

void describe(CLI::App& app, const char* example) {
    app.set_version_flag("--version", GVMKIT_VERSION);
    app.footer(std::string("Example: ") + example);
}

}  // namespace cli
