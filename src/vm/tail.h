#pragma once

#include <string>
#include <string_view>

namespace vm {

// The end of a text that a stranger writes: the last 16 KiB, of which only printable ASCII, tabs and line ends are kept ('?' stands for
// the rest), so that it can be shown on a terminal or put into a log.
class Tail {
public:
    void append(std::string_view bytes);

    // Begins with a whole line where it was cut.
    std::string text() const;

private:
    std::string kept_;
    bool cut_ = false;
};

}  // namespace vm
