#include "dbg/raw_terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <initializer_list>

namespace dbg {
namespace {

// A process in the terminal's background would be stopped for changing it. While SIGTTOU is blocked, it may.
void set_terminal(const termios& modes) {
    sigset_t stop;
    sigset_t before;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTTOU);
    ::pthread_sigmask(SIG_BLOCK, &stop, &before);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

RawTerminal::RawTerminal() {
    raw_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    apply();
}

void RawTerminal::apply() {
    if (!raw_) return;
    termios modes = before_;
    ::cfmakeraw(&modes);
    set_terminal(modes);
}

void RawTerminal::restore() {
    if (raw_) set_terminal(before_);
    raw_ = false;
}

TerminalSize terminal_size() {
    for (const int fd : {STDOUT_FILENO, STDIN_FILENO, STDERR_FILENO}) {
        winsize size = {};
        if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) return {.rows = size.ws_row, .columns = size.ws_col};
    }
    return {};
}

}  // namespace dbg
