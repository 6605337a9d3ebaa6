#include "convert/digests.h"

#include <sched.h>

#include "base/error.h"

namespace convert {
// What is left to read.
struct Digests::Work {
    std::vector<oci::Layer> layers;
    size_t layer = 0;
    oci::StreamPtr stream;

    // Reads a piece. Returns false at the end of all.
    bool step() {
        if (layer == layers.size()) return false;
        base::with_context(layers[layer].name, [this] {
            if (!stream) stream = oci::open_plain_tar(layers[layer]);
            if (!stream->next().empty()) return;
            stream.reset();
            layer++;
        });
        return true;
    }
};

Digests::Digests(const std::vector<oci::Layer>& layers) : work_(std::make_unique<Work>()) {
    for (const oci::Layer& layer : layers) {
        covered_.push_back(base::with_context(layer.name, [&] { return oci::is_plain_tar(layer); }));
        if (covered_.back()) work_->layers.push_back(layer);
    }
    stopped_ = std::async(std::launch::async, [this] {
        const sched_param none{};
        (void)::sched_setscheduler(0, SCHED_IDLE, &none);  // of this thread only, which has no way back without a privilege
        while (!stop_ && work_->step()) {
        }
    });
}

Digests::~Digests() {
    stop_ = true;
}

void Digests::finish(const std::function<void()>& between) {
    // On a busy machine that thread would never get there.
    stop_ = true;
    stopped_.get();
    while (work_->step())
        between();
}

}  // namespace convert
