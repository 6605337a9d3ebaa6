#include "registry/server/workers.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace registry::server {

Workers::NoSignals::NoSignals() {
    sigset_t all;
    sigfillset(&all);
    (void)::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

Workers::NoSignals::~NoSignals() {
    (void)::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

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
