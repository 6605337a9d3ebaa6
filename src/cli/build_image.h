#pragma once

#include <optional>
#include <set>
#include <string>

#include "convert/config.h"
#include "registry/descriptor.h"

namespace cli {

// gvmkit-build's options for the image (docs/spec/cli.md).
struct BuildArguments {
    std::string image;       // IMAGE; with --dockerfile the name of what is built, and may be empty
    std::string dockerfile;  // the folder of a Dockerfile, or empty
    std::string builder;     // docker, podman or buildah; empty: the first that is installed
    std::string output;      // empty: derived from the image's name
    std::string platform = "linux/amd64";
    bool force = false;
    bool hide_progress = false;
    convert::Changes changes;
    std::string method = "gzip";
    std::optional<int> level;
    uint64_t limit_gib = oci::kDefaultLimit >> 30;  // of files, and of what an archive or a layer unpacks to
    bool times = false;                             // print where the time went
    bool no_lint = false;
    std::set<std::string> lint_off;  // rules' ids
    uint64_t chunk_size = 0;         // of the descriptor; 0: derived from the image's size
};

struct BuiltImage {
    std::string path;
    std::optional<registry::Descriptor> descriptor;
};

// Writes the .gvmi and reports on stdout. An interrupted or failed build leaves nothing behind. Throws base::Error, and
// CLI::ValidationError for a level that the method does not have.
BuiltImage build_image(const BuildArguments& arguments);

}  // namespace cli
