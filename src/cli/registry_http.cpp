#include "cli/registry_http.h"

#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "http/url.h"

namespace cli {

http::Options registry_http() {
    http::Options options;
    options.retrying = [](const std::string& reason) {
        // A progress line may be on the terminal.
        const char* clear = ::isatty(STDERR_FILENO) == 1 ? "\r\x1b[K" : "";
        (void)std::fprintf(stderr, "%s%s; trying again\n", clear, base::printable(reason, 16 << 10).c_str());
    };
    return options;
}

registry::Settings registry_settings() {
    registry::Settings settings = registry::read_settings(".");
    if (!settings.ignored.empty()) (void)std::fprintf(stderr, "note: %s\n", base::escape(settings.ignored).c_str());
    if (!settings.source.empty()) {
        (void)std::fprintf(stderr, "registry: %s (from %s)\n", base::escape(settings.url).c_str(), base::escape(settings.source).c_str());
    }
    return settings;
}

registry::Reader registry_reader(const registry::Settings& settings) {
    return [settings]() -> std::optional<registry::Login> {
        if (http::is_sent_in_clear(settings.url)) return std::nullopt;
        return settings.login ? settings.login : registry::saved_login(settings.url);
    };
}

void check_token_is_safe(const registry::Settings& settings, bool allow_http) {
    if (allow_http || !http::is_sent_in_clear(settings.url)) return;
    throw base::Error("no token is sent to " + settings.url + ", where anybody on the way could read it: use https, or --allow-http");
}

}  // namespace cli
