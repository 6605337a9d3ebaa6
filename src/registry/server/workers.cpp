#include "registry/server/workers.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace registry::server {

bool Workers::post(std::function<void()> job) {
    const std::lock_guard lock(mutex_);
    if (!stopping_) boost::asio::post(pool_, std::move(job));
    return !stopping_;
}

void Workers::stop(bool drain) {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    if (!drain) pool_.stop();
    pool_.join();
}

}  // namespace registry::server
