#include "dbg/lines/line_editor.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

// After stdio, which it needs and does not include.
#include <readline/history.h>
#include <readline/readline.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "dbg/lines/history.h"

namespace dbg {
namespace asio = boost::asio;
namespace {

constexpr int kMaxRecalled = 10'000;  // entries in memory
constexpr size_t kMaxShown = 200;     // candidates in a list

// So that readline counts columns and not bytes. A locale with another encoding would make a static program load its converter.
void use_utf8_where_the_terminal_does() {
    const char* locale = nullptr;
    for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        locale = std::getenv(variable);
        if (locale && *locale) break;
    }
    if (!locale) return;
    const std::string_view name = locale;
    const bool utf8 = name.ends_with("UTF-8") || name.ends_with("utf8") || name.ends_with("utf-8") || name.ends_with("UTF8");
    if (utf8) (void)std::setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

class LineEditor::State : public std::enable_shared_from_this<State> {
public:
    State(const asio::any_io_executor& executor, std::filesystem::path history, Completer completer)
        : ready_(executor), signals_(executor), history_(std::move(history)), completer_(std::move(completer)) {
        // As in LineReader: asio would make the terminal non-blocking for every program on it.
        base::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
        epoll_event event{.events = EPOLLIN, .data = {}};
        if (!epoll || ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0) base::throw_errno("cannot read the terminal");
        ready_.assign(epoll.release());
        signals_.add(SIGWINCH);
        signals_.add(SIGTSTP);
        set_up_readline();
    }

    static void start(const std::shared_ptr<State>& self) {
        current_ = self.get();
        self->wait_for_signal();
    }

    void stop() {
        stopped_ = true;
        if (handler_) rl_callback_handler_remove();
        handler_ = {};
        boost::system::error_code ignored;
        ready_.cancel(ignored);
        signals_.cancel(ignored);
        current_ = nullptr;
    }

    void next(const std::string& prompt, Handler handler) {
        handler_ = std::move(handler);
        rl_callback_handler_install(prompt.c_str(), [](char* line) { current_->take(line); });
        wait_for_input();
    }

    void clear() {
        if (!handler_) return;
        rl_callback_sigcleanup();  // ends a search, too
        rl_free_line_state();
        rl_point = rl_end;
        rl_redisplay();
        rl_echo_signal_char(SIGINT);
        rl_crlf();
        rl_replace_line("", 1);
        rl_on_new_line();
        rl_redisplay();
        if (asked_) wait_for_input();
        asked_ = 0;
    }

private:
    void set_up_readline() {
        use_utf8_where_the_terminal_does();
        rl_readline_name = "ya-runtime-dbg";
        rl_outstream = stderr;  // standard output is the command's
        rl_catch_signals = 0;
        rl_catch_sigwinch = 0;
        (void)rl_initialize();
        // A lone escape waits for what may follow it; nothing else goes on in the meantime.
        (void)rl_variable_bind("keyseq-timeout", "50");
        (void)rl_variable_bind("page-completions", "off");
        (void)rl_bind_key_in_map('\t', on_tab, emacs_standard_keymap);
        (void)rl_bind_key_in_map('\t', on_tab, vi_insertion_keymap);
        clear_history();
        stifle_history(kMaxRecalled);
        if (history_.empty()) return;
        for (const std::string& entry : read_history(history_))
            add_history(entry.c_str());
    }

    static int on_tab(int, int) {
        current_->tab_ = true;
        current_->tab_again_ = rl_last_func == on_tab;
        return 0;
    }

    void wait_for_input() {
        ready_.async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](boost::system::error_code error) {
            if (error || self->stopped_ || !self->handler_) return;
            rl_callback_read_char();
            if (std::exchange(self->tab_, false) && self->handler_) return self->ask();
            if (self->handler_) self->wait_for_input();
        });
    }

    // Until the guest has answered, what is typed stays in the terminal.
    void ask() {
        const std::string_view line(rl_line_buffer, static_cast<size_t>(rl_end));
        const PartialWord word = word_before(line, static_cast<size_t>(rl_point));
        const uint64_t question = ++last_question_;
        asked_ = question;
        Done done = [self = shared_from_this(), word, question](const std::vector<Candidate>& candidates) {
            if (self->stopped_ || self->asked_ != question) return;
            self->asked_ = 0;
            self->show(word, candidates);
            self->wait_for_input();
        };
        if (completer_) {
            completer_(word.text, std::move(done));
        } else {
            asio::post(ready_.get_executor(), [done = std::move(done)] { done({}); });
        }
    }

    void show(const PartialWord& word, const std::vector<Candidate>& candidates) {
        const std::string text = completed(word, candidates);
        const auto begin = static_cast<int>(word.begin);
        if (!text.empty()) {
            rl_begin_undo_group();
            rl_delete_text(begin, rl_point);
            rl_point = begin;
            rl_insert_text(text.c_str());
            rl_end_undo_group();
            rl_redisplay();
        } else if (candidates.empty() || !tab_again_) {
            rl_ding();
        } else {
            list(candidates);
        }
    }

    static void list(const std::vector<Candidate>& candidates) {
        std::vector<std::string> names{""};  // readline's place for what they have in common
        size_t longest = 0;
        for (const Candidate& candidate : candidates) {
            if (names.size() > kMaxShown) break;
            names.push_back(shown_name(candidate));
            longest = std::max(longest, names.back().size());
        }
        std::vector<char*> pointers;
        pointers.reserve(names.size() + 1);
        for (std::string& name : names)
            pointers.push_back(name.data());
        pointers.push_back(nullptr);
        rl_display_match_list(pointers.data(), static_cast<int>(names.size()) - 1, static_cast<int>(longest));
        if (candidates.size() > kMaxShown) (void)std::fprintf(stderr, "… and more\n");
        rl_forced_update_display();
    }

    void take(char* text) {
        std::optional<std::string> line;
        if (text) line = text;
        std::free(text);  // NOLINT(cppcoreguidelines-no-malloc): readline's
        rl_callback_handler_remove();
        if (line) {
            remember(*line);
        } else {
            end_line();
        }
        asio::post(ready_.get_executor(),
                   [handler = std::exchange(handler_, {}), line = std::move(line)]() mutable { handler(std::move(line)); });
    }

    // Behind the prompt at the end of the input; with bracketed paste readline does so itself.
    static void end_line() {
        const char* bracketed = rl_variable_value("enable-bracketed-paste");
        if (!bracketed || std::string_view(bracketed) != "on") (void)std::fputc('\n', stderr);
    }

    void remember(const std::string& line) {
        if (line.find_first_not_of(" \t\n") == std::string::npos || line[0] == ' ' || line[0] == '\t') return;
        const HIST_ENTRY* last = history_length > 0 ? history_get(history_base + history_length - 1) : nullptr;
        if (last && line == last->line) return;
        add_history(line.c_str());
        if (history_.empty()) return;
        try {
            append_history(history_, line);
        } catch (const std::exception& e) {
            spdlog::warn("the history is not kept: {}", e.what());
            history_.clear();
        }
    }

    void wait_for_signal() {
        signals_.async_wait([self = shared_from_this()](boost::system::error_code error, int signal) {
            if (error || self->stopped_) return;
            if (signal == SIGTSTP) self->suspend();
            if (self->handler_ && signal == SIGWINCH) rl_resize_terminal();
            self->wait_for_signal();
        });
    }

    // Ctrl-Z: whoever has the terminal meanwhile gets it as it was. By the signal's own default, since without a shell that could wake us
    // the kernel does not stop us.
    void suspend() {
        if (handler_) rl_deprep_terminal();
        signals_.remove(SIGTSTP);
        (void)::raise(SIGTSTP);
        signals_.add(SIGTSTP);
        if (!handler_) return;
        rl_prep_terminal(1);
        rl_on_new_line();
        (void)rl_forced_update_display();
    }

    inline static State* current_ = nullptr;  // readline's callbacks have no argument of ours

    asio::posix::stream_descriptor ready_;
    asio::signal_set signals_;
    std::filesystem::path history_;
    Completer completer_;
    Handler handler_;             // set while the prompt is shown
    bool tab_ = false;            // was pressed just now
    bool tab_again_ = false;      // and just before
    uint64_t last_question_ = 0;  // to the completer
    uint64_t asked_ = 0;          // the question that is waited for; 0: none
    bool stopped_ = false;
};

LineEditor::LineEditor(const asio::any_io_executor& executor, std::filesystem::path history, Completer completer)
    : state_(std::make_shared<State>(executor, std::move(history), std::move(completer))) {
    State::start(state_);
}

LineEditor::~LineEditor() {
    state_->stop();
}

void LineEditor::next(const std::string& prompt, Handler handler) {
    state_->next(prompt, std::move(handler));
}

void LineEditor::clear() {
    state_->clear();
}

}  // namespace dbg
