#pragma once

#include <termios.h>

#include <cstdint>

namespace dbg {

// Standard input's terminal in raw mode: every key is a byte for the reader, and nothing is a signal. The destructor puts it back. Does
// nothing where standard input is no terminal.
class RawTerminal {
public:
    RawTerminal();
    ~RawTerminal() { restore(); }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    // Makes it raw again, where a shell that had stopped us has changed it.
    void apply();
    void restore();

private:
    termios before_ = {};
    bool raw_ = false;
};

struct TerminalSize {
    uint32_t rows = 24;
    uint32_t columns = 80;
};
// Of the first of our standard streams that is a terminal with a size; else 24 by 80.
TerminalSize terminal_size();

}  // namespace dbg
