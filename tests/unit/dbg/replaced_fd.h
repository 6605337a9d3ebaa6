#pragma once

#include <unistd.h>

#include "base/fd.h"

namespace dbg {

// Puts a descriptor in place of one of our standard streams for a while.
class ReplacedFd {
public:
    ReplacedFd(int number, int fd) : number_(number), saved_(::dup(number)) { ::dup2(fd, number); }
    ~ReplacedFd() { ::dup2(saved_.get(), number_); }
    ReplacedFd(const ReplacedFd&) = delete;
    ReplacedFd& operator=(const ReplacedFd&) = delete;

private:
    int number_;
    base::UniqueFd saved_;
};

}  // namespace dbg
