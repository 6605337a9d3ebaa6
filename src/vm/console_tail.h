#pragma once

#include <string>
#include <string_view>

namespace vm {

// The end of a text from a stranger: its last 16 KiB, as plain text; up to twice that is held.
class ConsoleTail {
public:
    void append(std::string_view bytes);

    // Starts at the beginning of a line where it was cut.
    std::string text() const;

private:
    std::string kept_;
    bool cut_ = false;
};

}  // namespace vm
