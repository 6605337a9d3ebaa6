// A command line with one of everything.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace cli {

struct DeclaredProgram {
    CLI::App app{"Makes things. Quickly."};
    std::string text;
    std::vector<std::string> list;
    int number = 3;
    bool flag = false;

    DeclaredProgram() {
        app.footer("Example: make-it -o 'a b'\nAnd a remark.");
        app.require_subcommand(1);
        app.add_option("-o,--output", text, "The file to write")->type_name("FILE")->envname("MAKE_OUTPUT");
        app.add_option("--kind", text, "It's [the] kind: of \\ thing")->check(CLI::IsMember({"round", "flat"}));
        app.add_option("--count", number, "How many")->check(CLI::Range(1, 9))->capture_default_str();
        app.add_option("--from", list, "Repeatable")->take_all()->allow_extra_args(false)->type_name("DIR")->excludes("--kind");
        app.add_flag("--fast,!--no-fast", flag, "Whether it is fast")->group("Speed");
        app.add_option("--hidden", text)->group("");
        CLI::App* show = app.add_subcommand("show", "Shows things")->fallthrough();
        show->add_option("WHAT", text, "The things")->required()->type_name("all|FILE");
        show->add_option("MORE", list)->type_name("VM");
        CLI::App* run = app.add_subcommand("run", "Runs one");
        run->footer("Example: make-it run one");
        run->add_option("NAME", text, "Its name")->required();
        run->prefix_command();
        app.add_subcommand("secret", "Is hidden")->group("");
        app.add_subcommand("deep", "Has more")->add_subcommand("down", "Is below");
    }
};

}  // namespace cli
