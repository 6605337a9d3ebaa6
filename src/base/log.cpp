#include "base/log.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>
#include <string>
#include <system_error>

namespace base {

void log_to_stderr(const char* program) {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    sink->set_pattern(std::string(program) + ": %v");
    auto logger = std::make_shared<spdlog::logger>(program, sink);
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(logger);
}

void log_to_file(const char* program, const std::filesystem::path& folder) {
    constexpr size_t kMaxSize = 10 << 20;
    constexpr size_t kMaxFiles = 3;
    try {
        std::filesystem::create_directories(folder);
        auto sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>((folder / (std::string(program) + ".log")).string(), kMaxSize,
                                                                           kMaxFiles);
        sink->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l: %v");
        spdlog::default_logger()->sinks().push_back(sink);
    } catch (const std::exception& e) {  // spdlog's and std::filesystem's have no other common base
        spdlog::warn("no log file: {}", e.what());
    }
}

}  // namespace base
