#pragma once

#include <string>
#include <string_view>

namespace vm {

// The end of a text that a stranger writes: the last 16 KiB, as plain text.
class ConsoleTail {
public:
    void append(std::string_view bytes);

    // Begins with a whole line where it was cut.
    std::string text() const;

private:
    std::string kept_;
    bool cut_ = false;
};

}  // namespace vm
