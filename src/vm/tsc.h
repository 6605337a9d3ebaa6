#pragma once

#include <cstdint>

namespace vm {

// The frequency of this machine's time stamp counter in kHz, to within some 20 parts in a million. Measured since the program was loaded,
// so only a call within the first 5 ms has to wait.
uint64_t tsc_khz();

}  // namespace vm
