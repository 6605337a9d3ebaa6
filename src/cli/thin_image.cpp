#include "cli/thin_image.h"

#include <iostream>

#include "base/error.h"
#include "base/fd.h"
#include "base/folders.h"
#include "base/size.h"
#include "base/subprocess.h"
#include "base/temporary_folder.h"
#include "base/untrusted_text.h"
#include "cli/transfer_progress.h"
#include "gvmi/thin_table.h"
#include "thin/make_thin.h"

namespace cli {
namespace {

// "NAME.gvmi" becomes "NAME.thin.gvmi".
std::string thin_name(std::string name) {
    constexpr std::string_view kSuffix = ".gvmi";
    if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
    return name + ".thin.gvmi";
}

// Runs the command in a VM of the image, and returns the blocks that the VM read.
std::vector<uint32_t> record_reads(const std::filesystem::path& full, const std::string& command) {
    constexpr size_t kLongestRecord = 16 << 20;
    const base::TemporaryFolder folder;
    const std::filesystem::path record = folder.path() / "reads";
    const base::Finished run = base::run({base::program_folder() / "ya-runtime-vm", "--task-package", full, "--record-reads", record, "run",
                                          "--", "/bin/sh", "-c", command});
    if (run.code != 0) {
        std::cerr << base::printable_lines(run.output);
        throw base::Error("the recorded command ended with exit code " + std::to_string(run.code));
    }
    std::vector<uint32_t> blocks;
    const std::string text = base::read_file(record, kLongestRecord);
    for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
        blocks.push_back(static_cast<uint32_t>(std::stoul(text.substr(at))));
    return blocks;
}

}  // namespace

void add_thin_options(CLI::App& app, ThinArguments& arguments, const std::string& url_option) {
    app.add_option(url_option, arguments.urls, "Where the full image is served by HTTP, with ranges; repeatable, in the order to try them")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--record", arguments.record,
                   "Run this shell command in a VM of the image; VMs of the thin image fetch first what that one read");
}

std::string make_thin_image(const std::filesystem::path& full, const ThinArguments& arguments, bool progress) {
    std::string output = arguments.output.empty() ? thin_name(full.string()) : arguments.output;
    thin::MakeOptions options;
    options.urls = arguments.urls;
    if (!arguments.record.empty())
        options.first_reads = base::with_context("cannot record a start", [&] { return record_reads(full, arguments.record); });
    std::string sha3;
    {
        TransferProgress line("hashing", progress);
        options.progress = [&line](uint64_t done, uint64_t total) { line.show(done, total); };
        sha3 = thin::make_thin(full, output, options);
    }
    std::cout << output << ": " << base::format_size(std::filesystem::file_size(output)) << ", a thin image of " << sha3;
    if (!options.first_reads.empty()) std::cout << "; its start reads " << base::format_size(options.first_reads.size() * gvmi::kThinBlock);
    std::cout << "\n";
    return output;
}

}  // namespace cli
