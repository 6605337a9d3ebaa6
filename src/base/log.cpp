#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/rotated_file.h"
#include "base/trimmed.h"

namespace base {
namespace {

using Level = spdlog::level::level_enum;

// spdlog's own rotating file crashes where the new file cannot be opened.
class FileSink : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit FileSink(const std::filesystem::path& path) : file_(path, kMaxSize, kMaxFiles) {
        file_.write("");  // so that an unwritable file shows now
    }

private:
    static constexpr size_t kMaxSize = 10 << 20;
    static constexpr unsigned kMaxFiles = 3;

    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        try {
            file_.write({line.data(), line.size()});
        } catch (const Error&) {  // a full disk, or the folder is gone: stderr has the line
        }
    }
    void flush_() override {}

    RotatedFile file_;
};

std::optional<Level> level_of(std::string_view name) {
    constexpr std::array<std::pair<std::string_view, Level>, 7> kLevels{{{"off", Level::off},
                                                                         {"error", Level::err},
                                                                         {"warn", Level::warn},
                                                                         {"warning", Level::warn},
                                                                         {"info", Level::info},
                                                                         {"debug", Level::debug},
                                                                         {"trace", Level::trace}}};
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const auto& [known, level] : kLevels) {
        if (known == lower) return level;
    }
    return std::nullopt;
}

constexpr std::string_view kBlanks = " \t";

std::string with_underscores(std::string_view name) {
    std::string text(name);
    std::replace(text.begin(), text.end(), '-', '_');
    return text;
}

}  // namespace

void log_to_stderr(const char* program, spdlog::level::level_enum level) {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    sink->set_pattern(std::string(program) + ": %v");
    sink->set_level(level);
    auto logger = std::make_shared<spdlog::logger>(program, sink);
    logger->set_level(level);
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(logger);
}

void log_to_file(const char* program, const std::filesystem::path& folder) {
    try {
        std::filesystem::create_directories(folder);
        auto sink = std::make_shared<FileSink>(folder / (std::string(program) + ".log"));
        sink->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l: %v");
        spdlog::default_logger()->sinks().push_back(sink);
        spdlog::default_logger()->set_level(std::min(spdlog::default_logger()->level(), Level::info));
    } catch (const std::exception& e) {  // our errors and std::filesystem's have no other common base
        spdlog::warn("no log file: {}", e.what());
    }
}

spdlog::level::level_enum log_level(std::string_view directives, std::string_view target) {
    const std::string own = with_underscores(target);
    directives = directives.substr(0, directives.find('/'));  // a text filter follows
    Level level = Level::info;
    size_t longest = 0;
    while (!directives.empty()) {
        const size_t end = std::min(directives.find(','), directives.size());
        const std::string_view directive = trimmed(directives.substr(0, end), kBlanks);
        directives.remove_prefix(std::min(end + 1, directives.size()));
        const size_t equals = directive.find('=');
        std::optional<Level> given =
            level_of(equals == std::string_view::npos ? directive : trimmed(directive.substr(equals + 1), kBlanks));
        std::string name = with_underscores(trimmed(directive.substr(0, equals), kBlanks));
        if (equals == std::string_view::npos) {
            if (given)
                name.clear();
            else
                given = Level::trace;  // a name alone: log everything of it
        }
        if (directive.empty() || !given || !own.starts_with(name) || name.size() < longest) continue;
        longest = name.size();
        level = *given;
    }
    return level;
}

}  // namespace base
