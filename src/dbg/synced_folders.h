#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <memory>
#include <vector>

#include "dbg/volumes/volume_path.h"

namespace dbg {

struct SyncedFolder {
    std::filesystem::path source;
    VolumePlace target;
};

// Keeps places in volumes like folders of the host's (volumes/folder_sync.h), on a thread of its own. A change is copied 20 ms after its
// first event, so that what an editor does to save a file counts as one; after a long copy it pauses as long as that took.
class SyncedFolders {
public:
    // `workdir` is the deployment's. Throws base::Error where a folder cannot be watched.
    SyncedFolders(const boost::asio::any_io_executor& executor, const std::vector<SyncedFolder>& folders,
                  const std::filesystem::path& workdir);
    ~SyncedFolders();  // cuts a running copy short
    SyncedFolders(const SyncedFolders&) = delete;
    SyncedFolders& operator=(const SyncedFolders&) = delete;

    // Copies all of them, and watches from then on. Once.
    boost::asio::awaitable<void> begin();
    // Returns when something has been copied since it returned last, or since `begin`. Throws what the copying throws.
    boost::asio::awaitable<void> changed();

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace dbg
