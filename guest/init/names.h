#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "init/status.h"

namespace init {

// The names in folders, in the order of their bytes: of a million names they take little more memory than the names have.
class Names {
public:
    // Adds those of an open folder; -1 has none.
    Status add(int folder);
    // Call it after the last `add`: sorts them, and takes out what is there twice.
    void sort();

    size_t size() const { return begins_.size(); }
    const char* operator[](size_t i) const { return text_.data() + begins_[i]; }
    bool contains(const char* name) const;

private:
    std::string text_;  // each ends with a zero byte
    std::vector<uint32_t> begins_;
};

}  // namespace init
