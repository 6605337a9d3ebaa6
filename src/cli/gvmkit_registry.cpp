#include "cli/gvmkit_registry.h"

#include <filesystem>
#include <memory>

#include "base/log.h"
#include "cli/common.h"
#include "registry/server/server.h"

namespace cli {

void add_serve(CLI::App& app, Action& action) {
    const auto options = std::make_shared<registry::server::ServeOptions>();
    CLI::App* serve = app.add_subcommand("serve", "Answer clients until SIGTERM or SIGINT");
    serve->add_option("--data", options->data, "The folder with everything that the registry holds; made if it is missing")->required();
    serve->add_option("--listen", options->http.listen, "HOST:PORT or [IPV6]:PORT; port 0 is a free one")->capture_default_str();
    serve->callback([options, &action] {
        action = [options] {
            base::log_to_stderr("gvmkit-registry");
            registry::server::serve(*options);
            return 0;
        };
    });
}

}  // namespace cli

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): outside of run only a wrong option throws
    CLI::App app("An image registry of one's own.");
    cli::describe(app, "gvmkit-registry serve --data /var/lib/gvmkit-registry --listen 0.0.0.0:8080");
    app.require_subcommand(1);
    cli::Action action;
    cli::add_serve(app, action);
    cli::add_user(app, action);
    cli::add_token(app, action);
    cli::add_repo(app, action);
    return cli::run(app, argc, argv, [&] { return action(); });
}
