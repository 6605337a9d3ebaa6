#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dbg/volumes/volume_path.h"

namespace dbg {

struct TransferPlaces {
    std::vector<VolumeFolder> volumes;
    std::filesystem::path staging;  // GuestFolder
    uint64_t limit = 0;             // bytes of one file; 0: none
};

// Copies one file between a volume (container:/path) and file:/path, http://…, https://… or a volume, as the supervisor does for TRANSFER:
// the runtime takes no part in it. To http it is a PUT. Takes as long as it takes; `stop` makes it throw soon.
//
// Throws base::Error that names both ends and says why: a scheme that is not known here, a path in no volume, a file over the limit.
void transfer(const std::string& from, const std::string& to, const TransferPlaces& places, const std::atomic<bool>& stop);

}  // namespace dbg
