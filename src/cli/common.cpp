#include "cli/common.h"

#ifdef GVMKIT_STATIC
#include <nss.h>
#include <openssl/crypto.h>
#endif

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/fd.h"
#include "base/untrusted_text.h"
#include "cli/completion.h"
#include "cli/man_page.h"
#include "release/release.h"

namespace cli {
namespace {

// A static program must load no shared library of the host's, which may be made for another libc: neither those that nsswitch.conf names
// for users and host names, nor those of OpenSSL's configuration.
void use_no_libraries() {
#ifdef GVMKIT_STATIC
    for (const char* database : {"passwd", "group"})
        (void)::__nss_configure_lookup(database, "files");
    (void)::__nss_configure_lookup("hosts", "files dns");
    (void)::OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
#endif
}

std::string program_name(const CLI::App& app) {
    return std::filesystem::path(app.get_name()).filename();
}

DeclaredCommand declared_program(const CLI::App& app) {
    return declared(app, program_name(app));
}

// A sub-command gets its parent's example where it has none of its own, and that is of another sub-command.
void drop_inherited_examples(CLI::App& app) {
    for (CLI::App* command : app.get_subcommands({})) {
        drop_inherited_examples(*command);
        if (command->get_footer() == app.get_footer()) command->footer("");
    }
}

[[noreturn]] void print_and_end(const std::string& text) {
    base::write_all(STDOUT_FILENO, text, "standard output");
    throw CLI::Success();
}

}  // namespace

int run(CLI::App& app, int argc, char** argv, const std::function<int()>& body) {
    constexpr int kFailure = 1;
    constexpr int kUsage = 2;
    use_no_libraries();
    drop_inherited_examples(app);
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
    app.set_version_flag("--version", [&app] { return program_name(app) + " " + release::version_and_commit(); });
    // While the command line is read, by when all options are declared.
    const auto print_completion = [&app](const std::string& shell) {
        const std::map<std::string, std::string (*)(const DeclaredCommand&)> shells{
            {"bash", bash_completion}, {"zsh", zsh_completion}, {"fish", fish_completion}};
        const auto found = shells.find(shell);
        if (found == shells.end()) throw CLI::ValidationError("--completion", "bash, zsh or fish, not " + shell);
        print_and_end(found->second(declared_program(app)));
    };
    app.add_option_function<std::string>("--completion", print_completion, "Print the script by which a shell completes command lines")
        ->option_text("bash|zsh|fish")
        ->trigger_on_parse();
    const auto print_page = [&app](int64_t) { print_and_end(man_page(declared_program(app), release::version())); };
    app.add_flag_function("--man", print_page, "Print the manual page, as man -l - reads it")->trigger_on_parse();
    app.footer(std::string("Example: ") + example);
}

}  // namespace cli
