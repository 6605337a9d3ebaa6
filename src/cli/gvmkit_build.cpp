#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/size.h"
#include "build/config.h"
#include "build/convert.h"
#include "cli/common.h"
#include "cli/push.h"
#include "gvmi/hash.h"
#include "gvmi/image.h"
#include "oci/image.h"

namespace {

struct Arguments {
    std::string image;
    std::string output;
    bool force = false;
    bool hide_progress = false;
    build::Changes changes;
    std::string entrypoint;
    std::string user;
    std::string method = gvmi::name_of(gvmi::Method::gzip);
    std::optional<int> level;
};

// "<name>-<tag>-<first 10 hex digits of the image id>.gvmi" (gvmi.md); the names come from a stranger's image.
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

gvmi::Compression compression(const Arguments& arguments) {
    const gvmi::Method method = *gvmi::method_by_name(arguments.method);
    const gvmi::Levels levels = gvmi::levels_of(method);
    if (!arguments.level) return {method, levels.standard};
    if (levels.highest == 0) throw CLI::ValidationError("--compression-level", arguments.method + " has no levels");
    if (*arguments.level < 1 || *arguments.level > levels.highest) {
        throw CLI::ValidationError("--compression-level", arguments.method + " has the levels 1 to " + std::to_string(levels.highest));
    }
    return {method, *arguments.level};
}

// The configuration has the image's id, so an output with the same one is the same.
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

volatile std::sig_atomic_t interrupted = 0;

// An interrupted conversion removes what it wrote. A second signal ends the program at once.
void end_on_signals() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        (void)::sigaction(signal, &action, nullptr);
}

// A line on the terminal that tells how far it is; removed by the destructor.
class Progress {
public:
    explicit Progress(bool shown) : shown_(shown && ::isatty(STDERR_FILENO) == 1) {}
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress() {
        if (percent_ >= 0) (void)std::fputs("\r\x1b[K", stderr);
    }

    void show(uint64_t done, uint64_t total) {
        const int percent = total == 0 ? 100 : static_cast<int>(done * 100 / total);
        if (!shown_ || percent == percent_) return;
        percent_ = percent;
        (void)std::fprintf(stderr, "\rconverting: %d %%", percent);
    }

private:
    bool shown_;
    int percent_ = -1;
};

void print_summary(const std::string& output, const build::Summary& summary) {
    std::cout << output << ": " << summary.inodes << " inodes, " << base::format_size(summary.file_bytes);
    if (summary.clamped_times > 0) std::cout << ", " << summary.clamped_times << " times before 1970 or after 2106 clamped";
    if (summary.dropped_attributes > 0) std::cout << ", " << summary.dropped_attributes << " extended attributes or ACLs dropped";
    std::cout << "\n";
}

// Returns the path of the .gvmi.
std::string build_image(const Arguments& arguments) {
    build::Options options;
    options.compression = compression(arguments);
    options.workers = std::max(1U, std::thread::hardware_concurrency());
    const oci::Image image = base::with_context("cannot convert " + arguments.image, [&] { return oci::open_image(arguments.image); });
    const nlohmann::json config =
        base::with_context("cannot convert " + arguments.image, [&] { return build::container_config(image, arguments.changes); });
    const std::string output = arguments.output.empty() ? default_name(image) : arguments.output;
    if (!arguments.force && up_to_date(output, config, arguments.method)) {
        const base::UniqueFd fd = base::open_file(output, O_RDONLY);
        std::cout << output << ": up to date\nimage hash: " << gvmi::image_hash(fd.get(), output) << "\n";
        return output;
    }

    base::AtomicFile file(output);
    build::Summary summary;
    {
        Progress progress(!arguments.hide_progress);
        options.progress = [&progress](uint64_t done, uint64_t total) {
            if (interrupted != 0) throw base::Error("interrupted");
            progress.show(done, total);
        };
        end_on_signals();
        summary = base::with_context("cannot convert " + arguments.image,
                                     [&] { return build::convert(image, config, file.fd(), output, options); });
    }
    const std::string hash = gvmi::image_hash(file.fd(), output);
    file.commit();
    if (options.compression.method == gvmi::Method::zstd) {
        std::cerr << "note: providers with today's runtime cannot read zstd; this project's runtime does\n";
    }
    print_summary(output, summary);
    std::cout << "image hash: " << hash << "\n";
    return output;
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): outside of run only a wrong option throws
    Arguments arguments;
    CLI::App app("Turns a container image into a .gvmi file that a Golem provider runs.");
    cli::describe(app, "gvmkit-build -o python.gvmi python.tar");
    app.add_option("IMAGE", arguments.image,
                   "A file made by `docker save`, an OCI archive, or an OCI layout's folder; docker-archive:, oci-archive: or oci: in "
                   "front says which, :NAME behind it which image in it");
    app.add_option("-o,--output", arguments.output, "The file to write; else NAME-TAG-ID.gvmi here");
    app.add_flag("-f,--force", arguments.force, "Write it also when it is up to date (a compression level does not count)");
    app.add_option("--compression-method", arguments.method,
                   "gzip, lzo, lz4 or xz, which every provider reads, or zstd, which only this project's runtime does")
        ->check(CLI::IsMember({"gzip", "lzo", "lz4", "xz", "zstd"}))
        ->capture_default_str();
    app.add_option("--compression-level", arguments.level,
                   "1 (fast) to 9 (small) for gzip (else 6) and lzo (else 8), to 22 for zstd (else 3); lz4 and xz have none");
    // One value each time: what follows is the image.
    app.add_option("--env", arguments.changes.env, "Sets NAME=VALUE in the image's environment; repeatable")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--vol", arguments.changes.volumes, "Adds a volume's path; repeatable")->take_all()->allow_extra_args(false);
    auto* entrypoint =
        app.add_option("--entrypoint", arguments.entrypoint, "The program to start, in the place of the image's entrypoint and command");
    auto* user = app.add_option("--user", arguments.user, "Whom commands run as: a name or number, with :GROUP or without");
    app.add_flag("--hide-progress", arguments.hide_progress, "No progress on the terminal");
    cli::PushArguments push;
    cli::add_push_options(app, push);
    app.callback([&] { cli::check_push_usage(push, arguments.image); });
    return cli::run(app, argc, argv, [&] {
        if (cli::is_account_command(push)) return cli::run_account_command(push);
        if (entrypoint->count() > 0) arguments.changes.entrypoint = arguments.entrypoint;
        if (user->count() > 0) arguments.changes.user = arguments.user;
        const cli::PushPlan plan = cli::plan_push(push, arguments.image);
        cli::finish_push(push, plan, push.direct_file.empty() ? build_image(arguments) : push.direct_file, !arguments.hide_progress);
        return 0;
    });
}
