#include "registry/server/metadata.h"

#include "registry/server/errors.h"
#include "registry/server/names.h"

namespace registry::server {

void refuse_immutable(const Name& name) {
    throw HttpError(http::kConflict, full_name(name) + " is another image, and tags of this repository are immutable: choose another tag");
}

void refuse_above_quota(const std::string& user, uint64_t used, uint64_t quota) {
    if (used <= quota) return;
    throw HttpError(http::kForbidden, "with this image there would be " + std::to_string(used) + " bytes in " + user +
                                          "'s repositories, more than the quota of " + std::to_string(quota));
}

void refuse_too_many_empty(const std::string& user, int64_t empty) {
    if (empty <= kMostEmptyRepositories) return;
    throw HttpError(http::kForbidden,
                    user + " has " + std::to_string(kMostEmptyRepositories) + " repositories without a tag; delete one first");
}

}  // namespace registry::server
