#include "cli/build_image.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>
#include <iostream>
#include <thread>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/size.h"
#include "base/times.h"
#include "cli/interruptible.h"
#include "cli/lint_text.h"
#include "cli/transfer_progress.h"
#include "convert/convert.h"
#include "gvmi/image.h"
#include "gvmi/squashfs_reader.h"
#include "lint/lint.h"
#include "oci/dockerfile.h"
#include "oci/image.h"
#include "registry/describe.h"

namespace cli {
namespace {

// "<name>-<tag>-<first 10 hex digits of the image id>.gvmi" (docs/spec/gvmi.md); the names come from a stranger's image.
std::string default_name(const oci::Image& image) {
    std::string name = image.name + "-" + image.tag + "-" + image.id.substr(0, 10) + ".gvmi";
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    };
    std::replace_if(
        name.begin(), name.end(), [&plain](char c) { return !plain(c); }, '-');
    if (name[0] == '.') name[0] = '-';
    return name;
}

gvmi::Compression compression(const BuildArguments& arguments) {
    const gvmi::Method method = *gvmi::method_by_name(arguments.method);
    const gvmi::Levels levels = gvmi::levels_of(method);
    if (!arguments.level) return {method, levels.standard};
    if (levels.highest == 0) throw CLI::ValidationError("--compression-level", arguments.method + " has no levels");
    if (*arguments.level < 1 || *arguments.level > levels.highest) {
        throw CLI::ValidationError("--compression-level", arguments.method + " has the levels 1 to " + std::to_string(levels.highest));
    }
    return {method, *arguments.level};
}

// The id depends only on the configuration, so equal conversions give equal ids.
bool up_to_date(const std::string& output, const nlohmann::json& config, const std::string& method) {
    std::error_code error;
    if (!std::filesystem::exists(output, error)) return false;
    try {
        const gvmi::Image image = gvmi::read_image(output);
        return image.config.json == config && image.compressor == method;
    } catch (const base::Error&) {
        return false;
    }
}

std::string seconds_text(double seconds) {
    std::array<char, 32> text{};
    (void)std::snprintf(text.data(), text.size(), "%.2f s", seconds);
    return text.data();
}

// Stops the work after an interrupt, and shows its progress.
class Steps {
public:
    explicit Steps(bool shown) : shown_(shown) {}

    // Begins a step; the one before it is removed from the terminal.
    void begin(const char* what) {
        end();
        progress_.emplace(what, shown_);
        steps_.push_back({what, 0});
        start_ = std::chrono::steady_clock::now();
    }
    void end() {
        if (!progress_) return;
        progress_.reset();
        steps_.back().seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }
    void show(uint64_t done, uint64_t total) {
        Interruptible::check();
        if (progress_ && total > 0) progress_->show(done, total);
    }

    void print_times(std::ostream& out) const {
        out << "times:";
        for (const Step& step : steps_)
            out << " " << step.what << " " << seconds_text(step.seconds);
        out << "\nwork, all threads:";
        for (size_t i = 0; i < base::kWorkNames.size(); i++)
            out << " " << base::kWorkNames[i] << " " << seconds_text(static_cast<double>(base::work_nanoseconds[i]) / 1e9);
        out << "\n";
    }

private:
    struct Step {
        const char* what;
        double seconds;
    };
    bool shown_;
    std::optional<TransferProgress> progress_;
    std::vector<Step> steps_;
    std::chrono::steady_clock::time_point start_;
};

// One line: entries, size before and after, seconds; then what a squashfs could not hold.
void print_summary(const std::string& output, const convert::Summary& summary, double seconds) {
    std::cout << output << ": " << summary.inodes << " inodes, " << base::format_size(summary.data_bytes) << " of files in "
              << base::format_size(summary.file_bytes) << ", " << seconds_text(seconds);
    if (summary.clamped_times > 0) std::cout << ", " << summary.clamped_times << " times before 1970 or after 2106 clamped";
    if (summary.dropped_attributes > 0) std::cout << ", " << summary.dropped_attributes << " extended attributes or ACLs dropped";
    std::cout << "\n";
}

oci::Image open(const BuildArguments& arguments, Steps& steps) {
    oci::OpenOptions options;
    options.platform = arguments.platform;
    options.limit = arguments.limit_gib << 30;
    options.progress = [&steps](uint64_t done, uint64_t total) { steps.show(done, total); };
    if (arguments.dockerfile.empty()) {
        steps.begin("pulling");
        oci::Image image =
            base::with_context("cannot convert " + arguments.image, [&] { return oci::open_image(arguments.image, options); });
        steps.end();
        return image;
    }
    return base::with_context("cannot build " + arguments.dockerfile,
                              [&] { return oci::build_dockerfile(arguments.dockerfile, arguments.image, arguments.builder, options); });
}

std::vector<lint::Finding> lint_image(int fd, const std::string& output, const std::set<std::string>& off, const convert::Summary& summary,
                                      const std::vector<std::string>& config_notes) {
    return base::with_context("cannot look into " + output, [&] {
        const gvmi::Image image = gvmi::read_image(fd, output);
        gvmi::SquashfsReader reader(fd);
        const lint::Conversion conversion{summary.clamped_times, summary.dropped_attributes, config_notes};
        return lint::lint(reader, image.config, summary.file_bytes, conversion, off);
    });
}

}  // namespace

BuiltImage build_image(const BuildArguments& arguments) {
    convert::Options options;
    options.compression = compression(arguments);
    options.limits.data_bytes = arguments.limit_gib << 30;
    options.workers = std::max(1U, std::thread::hardware_concurrency());
    const auto start = std::chrono::steady_clock::now();
    const Interruptible interruptible;
    Steps steps(!arguments.hide_progress);
    const oci::Image image = open(arguments, steps);
    const std::string what = "cannot convert " + (arguments.image.empty() ? arguments.dockerfile : arguments.image);
    std::vector<std::string> config_notes;
    const nlohmann::json config =
        base::with_context(what, [&] { return convert::container_config(image, arguments.changes, config_notes); });
    const std::string output = arguments.output.empty() ? default_name(image) : arguments.output;
    const auto describe = [&](int fd) {
        steps.begin("hashing");
        registry::Descriptor descriptor =
            registry::compute_descriptor(fd, output, arguments.chunk_size, [&](uint64_t done, uint64_t size) { steps.show(done, size); });
        steps.end();
        return descriptor;
    };
    if (!arguments.force && up_to_date(output, config, arguments.method)) {
        const base::UniqueFd fd = base::open_file(output, O_RDONLY);
        const registry::Descriptor descriptor = describe(fd.get());
        std::cout << output << ": up to date\nimage hash: " << descriptor.sha3 << "\n";
        return {output, descriptor};
    }

    base::AtomicFile file(output);
    options.progress = [&steps](uint64_t done, uint64_t total) { steps.show(done, total); };
    steps.begin("converting");
    std::optional<convert::Digests> digests;
    const convert::Summary summary = base::with_context(what, [&] {
        digests.emplace(image.layers);
        return convert::convert(image, config, file.fd().get(), output, options, *digests);
    });
    steps.end();
    // Beside the hashing, which leaves most of a second core idle. Where the hashing fails, the destructor waits for it.
    std::future<std::vector<lint::Finding>> findings = std::async(std::launch::async, [&]() -> std::vector<lint::Finding> {
        // The commit waits for the disk anyway.
        (void)::sync_file_range(file.fd().get(), 0, 0, SYNC_FILE_RANGE_WRITE);
        if (arguments.no_lint) return {};
        return lint_image(file.fd().get(), output, arguments.lint_off, summary, config_notes);
    });
    const registry::Descriptor descriptor = base::with_context(what, [&] { return describe(file.fd().get()); });
    base::with_context(what, [&] { digests->finish(Interruptible::check); });
    file.commit();
    print_summary(output, summary, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    std::cout << "image hash: " << descriptor.sha3 << "\n";
    if (arguments.times) steps.print_times(std::cerr);
    print_findings(std::cerr, findings.get());  // to stderr: they are not the result
    if (options.compression.method == gvmi::Method::zstd) {
        std::cerr << "note: providers with ya-runtime-vm 0.5 cannot read zstd; this project's runtime does\n";
    }
    return {output, descriptor};
}

}  // namespace cli
