#pragma once

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "fixture.h"

namespace system_test {

// A program at a terminal of its own.
class AtTerminal {
public:
    explicit AtTerminal(const std::vector<std::string>& argv) {
        std::vector<char*> pointers;
        pointers.reserve(argv.size() + 1);
        for (const std::string& argument : argv)
            pointers.push_back(const_cast<char*>(argument.c_str()));
        pointers.push_back(nullptr);
        int master = -1;
        pid_ = ::forkpty(&master, nullptr, nullptr, nullptr);
        if (pid_ == 0) {
            ::execv(pointers[0], pointers.data());
            ::_exit(127);
        }
        if (pid_ < 0) base::throw_errno("cannot make a terminal");
        master_.reset(master);
    }
    ~AtTerminal() {
        if (pid_ <= 0) return;
        (void)::kill(pid_, SIGKILL);
        (void)::waitpid(pid_, nullptr, 0);
    }
    AtTerminal(const AtTerminal&) = delete;
    AtTerminal& operator=(const AtTerminal&) = delete;

    // The terminal's end that a person sits at.
    int master() const { return master_.get(); }

    void type(const std::string& text) { base::write_all(master_.get(), text, "the terminal"); }

    // Reads until `text` has appeared since the last call; returns what came up to and with it. base::Error at the deadline.
    std::string until(const std::string& text) {
        const auto end = std::chrono::steady_clock::now() + kDeadline;
        size_t found = 0;
        while ((found = screen_.find(text)) == std::string::npos) {
            if (!read_some() || std::chrono::steady_clock::now() > end) throw base::Error("no \"" + text + "\" but: " + screen_);
        }
        std::string result = screen_.substr(0, found + text.size());
        screen_.erase(0, found + text.size());
        return result;
    }

    // The exit code, once it has ended.
    int exit_code() {
        while (read_some()) {
        }
        int status = 0;
        (void)::waitpid(pid_, &status, 0);
        pid_ = -1;
        return base::exit_code(status);
    }

    pid_t pid() const { return pid_; }

private:
    // Returns false at the end, and when nothing comes any more.
    bool read_some() {
        pollfd readable{.fd = master_.get(), .events = POLLIN, .revents = 0};
        if (::poll(&readable, 1, static_cast<int>(kDeadline.count())) <= 0) return false;
        char block[4096];
        const ssize_t size = ::read(master_.get(), block, sizeof block);
        if (size > 0) screen_.append(block, static_cast<size_t>(size));
        return size > 0;
    }

    base::UniqueFd master_;
    pid_t pid_ = -1;
    std::string screen_;
};

}  // namespace system_test
