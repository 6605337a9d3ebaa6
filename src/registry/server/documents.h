#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "registry/server/api.h"

namespace registry::server {

// A folder of pages that `serve --docs` offers below /docs/. It is read once, so no request reaches the file system.
class Documents {
public:
    // Reads all files, but links and names that begin with a dot. Throws base::Error, also where there is no index.html or there are more
    // than 64 MiB or 10,000 files.
    explicit Documents(const std::filesystem::path& folder);

    // The exchange for a path below /docs/, and a redirect there for /docs; none for other paths and methods. Throws HttpError 404.
    std::unique_ptr<Exchange> route(const Request& request) const;

private:
    struct Page {
        std::string type, etag;
        std::shared_ptr<const std::string> text;
    };
    std::map<std::string, Page> pages_;  // by the path below /docs/
};

}  // namespace registry::server
