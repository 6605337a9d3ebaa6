#include "cli/gvmi_commands.h"

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): outside of run only a wrong option throws
    CLI::App app("Looks at .gvmi files and works with them.");
    cli::describe(app, "gvmi inspect python.gvmi");
    app.require_subcommand(1);
    cli::Action chosen;
    cli::add_inspect_command(app, chosen);
    cli::add_verify_command(app, chosen);
    cli::add_lint_command(app, chosen);
    cli::add_ls_command(app, chosen);
    cli::add_cat_command(app, chosen);
    cli::add_extract_command(app, chosen);
    cli::add_diff_command(app, chosen);
    cli::add_hash_command(app, chosen);
    cli::add_pull_command(app, chosen);
    cli::add_serve_command(app, chosen);
    cli::add_manifest_command(app, chosen);
    cli::add_thin_command(app, chosen);
    return cli::run(app, argc, argv, [&chosen] { return chosen(); });
}
