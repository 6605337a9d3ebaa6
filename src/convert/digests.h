#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "oci/image.h"

namespace convert {

// The digests of those layers that are stored as plain tars, made beside the conversion. A thread of its own reads the blobs once more, so
// that hashing never holds up what feeds the compressors. A compressed layer is left out: to unpack it once more would cost too much.
class Digests {
public:
    // Begins at once, with what the other threads of this machine leave over.
    explicit Digests(const std::vector<oci::Layer>& layers);
    // Gives up what is not done yet.
    ~Digests();
    Digests(const Digests&) = delete;
    Digests& operator=(const Digests&) = delete;

    // Whether the digests of the layer with this number, from 0, are made here.
    bool covers(size_t layer) const { return covered_[layer]; }

    // Makes those that are left, in this thread. Throws base::Error where one is wrong. `between` is called after each piece of a layer and
    // can give up by an exception. Call it once.
    void finish(const std::function<void()>& between = [] {});

private:
    struct Work;

    std::vector<bool> covered_;
    std::unique_ptr<Work> work_;  // of one thread after the other
    std::atomic<bool> stop_ = false;
    std::future<void> stopped_;  // the last, since its destructor waits for the thread
};

}  // namespace convert
