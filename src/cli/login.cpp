#include "cli/login.h"

#include <termios.h>
#include <unistd.h>

#include <iostream>

#include "base/error.h"
#include "cli/registry_http.h"
#include "registry/api.h"

namespace cli {
namespace {

// Turns the terminal's echo off while a token is typed. An interrupt leaves it off, as in other programs that ask for passwords; the shell
// restores it.
class NoEcho {
public:
    NoEcho() : terminal_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
        if (!terminal_) return;
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    NoEcho(const NoEcho&) = delete;
    NoEcho& operator=(const NoEcho&) = delete;
    ~NoEcho() {
        if (!terminal_) return;
        (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
        std::cout << std::endl;
    }

private:
    termios before_{};
    bool terminal_;
};

std::string ask(const std::string& what) {
    std::cout << " -- provide " << what << ": " << std::flush;
    std::string line;
    if (!std::getline(std::cin, line)) throw base::Error("no " + what + " given");
    while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
        line.pop_back();
    if (line.empty()) throw base::Error("no " + what + " given");
    return line;
}

std::string ask_token() {
    const NoEcho no_echo;
    return ask("access token");
}

void check(const registry::Settings& settings, const registry::Login& login, bool allow_http) {
    check_token_is_safe(settings, allow_http);
    std::cout << " * Checking credentials for " << login.user << "..." << std::endl;
    std::string reason;
    if (!registry::Api(settings.url, registry_http()).login(login, reason)) {
        throw base::Error("login to " + settings.url + " as " + login.user + " failed" + (reason.empty() ? "" : ": " + reason));
    }
    std::cout << " -- successfully logged in" << std::endl;
}

registry::Login ask_login(const registry::Settings& settings, const std::string& user, bool allow_http) {
    check_token_is_safe(settings, allow_http);  // before a person types it
    registry::Login login;
    login.user = user.empty() ? ask("username") : user;
    login.token = ask_token();
    check(settings, login, allow_http);
    registry::save_login(settings.url, login);
    std::cout << " -- login kept in " << registry::credentials_file().string() << std::endl;
    return login;
}

}  // namespace

int run_login(const LoginArguments& arguments) {
    const registry::Settings settings = registry_settings();
    if (arguments.login) {
        std::cout << "Logging in to golem registry: " << settings.url << std::endl;
        (void)ask_login(settings, "", arguments.allow_http);
        return 0;
    }
    if (arguments.logout) {
        std::cout << (registry::forget_login(settings.url) ? " -- login removed for " : " -- no login found for ") << settings.url
                  << std::endl;
        return 0;
    }
    std::cout << "Checking login to golem registry: " << settings.url << std::endl;
    const auto login = registry::saved_login(settings.url);
    if (!login) throw base::Error("not logged in to " + settings.url);
    check(settings, *login, arguments.allow_http);
    return 0;
}

registry::Login login_for(const registry::Settings& settings, const std::string& user, bool allow_http) {
    if (settings.login) {
        std::cout << " -- Using credentials from " << settings.source << " (REGISTRY_USER and REGISTRY_TOKEN)" << std::endl;
        check(settings, *settings.login, allow_http);
        return *settings.login;
    }
    if (const auto login = registry::saved_login(settings.url)) {
        check(settings, *login, allow_http);
        return *login;
    }
    if (::isatty(STDIN_FILENO) == 1) return ask_login(settings, user, allow_http);
    throw base::Error("not logged in to " + settings.url +
                      ": gvmkit-build --login, or REGISTRY_USER and REGISTRY_TOKEN, or --push --nologin for an anonymous upload");
}

}  // namespace cli
