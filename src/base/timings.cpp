#include "base/timings.h"

namespace base {

using Seconds = std::chrono::duration<double>;

void Timings::turn_on() {
    began_ = std::chrono::steady_clock::now();
}

void Timings::mark(const char* what) {
    if (began_) steps_.push_back({what, Seconds(std::chrono::steady_clock::now() - *began_).count()});
}

double Timings::began() const {
    return Seconds(began_.value().time_since_epoch()).count();
}

Timings& timings() {
    static Timings instance;
    return instance;
}

}  // namespace base
