#include "fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/fd.h"

namespace system_test {
namespace {

// The fields of /proc/PID/stat from the third on: state, parent, process group, …; empty when the process is gone.
std::vector<std::string> stat_fields(pid_t pid) {
    const std::string stat = text_of("/proc/" + std::to_string(pid) + "/stat");
    const size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) return {};
    std::istringstream rest(stat.substr(name_end + 1));
    std::vector<std::string> fields;
    for (std::string field; rest >> field;)
        fields.push_back(field);
    return fields;
}

// Calls f(pid, fields) for every process.
template <typename F>
void for_each_process(F f) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
        const std::string name = entry.path().filename();
        pid_t pid = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc()) continue;
        const auto fields = stat_fields(pid);
        if (fields.size() > 2) f(pid, fields);
    }
}

void show(const fs::path& file) {
    const std::string text = text_of(file);
    constexpr size_t kShown = 8192;
    if (!text.empty()) std::cout << "--- " << file << "\n" << text.substr(text.size() - std::min(text.size(), kShown)) << "\n";
}

}  // namespace

fs::path program(const std::string& name) {
    return fs::path(GVMKIT_BIN) / name;
}

fs::path image(const std::string& name) {
    return fs::path(GVMKIT_TEST_IMAGES) / (name + ".gvmi");
}

std::string text_of(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    try {
        return {std::istreambuf_iterator<char>(stream), {}};
    } catch (const std::ios_base::failure&) {  // the process whose file in /proc it was has ended
        return {};
    }
}

std::vector<pid_t> group_members(pid_t pgid) {
    std::vector<pid_t> members;
    for_each_process([&](pid_t pid, const std::vector<std::string>& fields) {
        if (fields[0] != "Z" && fields[2] == std::to_string(pgid)) members.push_back(pid);
    });
    return members;
}

std::vector<pid_t> qemu_processes() {
    std::vector<pid_t> found;
    for_each_process([&](pid_t pid, const std::vector<std::string>& fields) {
        std::error_code ignored;
        const fs::path file = fs::read_symlink("/proc/" + std::to_string(pid) + "/exe", ignored);
        if (fields[0] != "Z" && file == fs::canonical(program("runtime") / "qemu/qemu-system-x86_64")) found.push_back(pid);
    });
    return found;
}

Runtime::Runtime(const std::vector<std::string>& argv, const fs::path& workdir) {
    const base::UniqueFd log = base::open_file(workdir / "stderr.txt", O_WRONLY | O_CREAT | O_APPEND);
    launched_ = exeunit::launch({.argv = argv, .working_directory = workdir, .stderr_fd = log.get(), .own_process_group = true});
    pid_ = launched_.child.pid();
    exeunit::Events events;
    events.stray_status = [this](const api::ProcessStatus& status) { stray_.push_back(status); };
    events.runtime_status = [this](const api::RuntimeStatus& status) { told_.push_back(status); };
    events.closed = [this](const std::string& reason) { closed_ = reason; };
    client_ =
        std::make_unique<exeunit::Client>(io_.get_executor(), std::move(launched_.input), std::move(launched_.output), std::move(events));
}

Runtime::~Runtime() {
    launched_.child = {};
}

std::string Runtime::hello_error() {
    try {
        hello();
    } catch (const exeunit::ResponseError& e) {
        return e.what();
    }
    return "no error";
}

Process Runtime::run(const std::vector<std::string>& argv, const RunOptions& options, Duration deadline) {
    const auto process = begin(argv, options);
    finish(process, deadline);
    return *process;
}

std::shared_ptr<Process> Runtime::begin(const std::vector<std::string>& argv, const RunOptions& options) {
    api::RunProcess request;
    request.set_bin(options.bin.empty() ? argv.at(0) : options.bin);
    for (const std::string& argument : argv)
        request.add_args(argument);
    request.set_work_dir(options.work_dir);
    if (options.stdout_at_end) request.mutable_stdout()->set_at_end(*options.stdout_at_end);
    if (options.stderr_at_end) request.mutable_stderr()->set_at_end(*options.stderr_at_end);
    auto process = std::make_shared<Process>();
    const auto status = [process, handler = options.status](const api::ProcessStatus& s) {
        if (handler) {
            handler(s);
        } else {
            process->out += s.stdout();
            process->err += s.stderr();
        }
        if (!s.running()) process->code = s.return_code();
    };
    process->pid = wait(client().run(std::move(request), status));
    return process;
}

void Runtime::finish(const std::shared_ptr<Process>& process, Duration deadline) {
    until([this, process] { return process->code || !closed_.empty(); }, deadline);
    if (!process->code) throw base::Error("no final status of process " + std::to_string(process->pid) + ": " + closed_);
}

int Runtime::shutdown() {
    wait(client().shutdown());
    const int code = exit_code();
    EXPECT_EQ(closed_, "the runtime closed its output");  // not a byte that is no message
    EXPECT_TRUE(stray_.empty());
    return code;
}

int Runtime::exit_code(Duration deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (std::chrono::steady_clock::now() < end) {
        serve(10ms);  // a runtime that still has something to say must not wait for us
        const auto code = exeunit::wait_for(launched_.child, 0ms);
        if (!code) continue;
        until([this] { return !closed_.empty(); });
        return *code;
    }
    throw base::Error("the runtime did not end");
}

void Runtime::until(const std::function<bool()>& condition, Duration deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) throw base::Error("the deadline has passed");
        io_.run_one_for(10ms);
    }
}

void Runtime::serve(Duration time) {
    io_.run_for(time);
}

pid_t Runtime::qemu_pid() const {
    pid_t qemu = 0;
    for_each_process([&](pid_t pid, const std::vector<std::string>& fields) {
        const bool ours = fields[0] != "Z" && fields[1] == std::to_string(pid_);
        if (ours && text_of("/proc/" + std::to_string(pid) + "/comm").starts_with("qemu-system")) qemu = pid;
    });
    return qemu;
}

uint64_t Runtime::own_memory_bytes() const {
    std::istringstream lines(text_of("/proc/" + std::to_string(pid_) + "/status"));
    for (std::string word; lines >> word;) {
        uint64_t kib = 0;
        if (word == "RssAnon:" && lines >> kib) return kib * 1024;
    }
    throw base::Error("the runtime's memory is not known: it has ended");
}

SystemTest::SystemTest() : task_package(image("plain")) {}

void SystemTest::SetUpTestSuite() {
    const base::Finished warmed = base::run({program("ya-runtime-vm"), "--accel", "tcg", "template", "warm"});
    ASSERT_EQ(warmed.code, 0) << warmed.output;
}

void SystemTest::SetUp() {
    (void)std::signal(SIGPIPE, SIG_IGN);
    fs::create_directories(GVMKIT_TEST_WORK);
    std::string name = fs::path(GVMKIT_TEST_WORK) / "XXXXXX";
    if (!::mkdtemp(name.data())) base::throw_errno("cannot make ", name);
    workdir = name;
}

// Processes of the groups that were started here, those that another program started in the workdir, and VMs.
std::vector<pid_t> SystemTest::left_behind() const {
    std::vector<pid_t> left = qemu_processes();
    for (const pid_t group : groups_) {
        const std::vector<pid_t> members = group_members(group);
        left.insert(left.end(), members.begin(), members.end());
    }
    for_each_process([&](pid_t pid, const std::vector<std::string>&) {
        std::error_code ignored;
        const fs::path folder = fs::read_symlink("/proc/" + std::to_string(pid) + "/cwd", ignored);
        if (folder.string().starts_with(workdir.string())) left.push_back(pid);
    });
    return left;
}

void SystemTest::TearDown() {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (!left_behind().empty() && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(10ms);
    for (const pid_t left : left_behind()) {
        ADD_FAILURE() << "left behind: " << left << " " << text_of("/proc/" + std::to_string(left) + "/comm");
        (void)::kill(left, SIGKILL);
    }
    if (HasFailure()) {
        show(workdir / "stderr.txt");
        std::error_code ignored;
        for (const auto& file : fs::directory_iterator(workdir / "logs", ignored))
            show(file.path());
    }
    std::error_code ignored;
    fs::remove_all(workdir, ignored);
}

std::vector<std::string> SystemTest::runtime_argv(const std::vector<std::string>& options) const {
    std::vector<std::string> argv = launcher;
    argv.insert(argv.end(), {program("ya-runtime-vm"), "--accel", "tcg", "--workdir", workdir, "--task-package", task_package});
    argv.insert(argv.end(), options.begin(), options.end());
    return argv;
}

nlohmann::json SystemTest::deploy(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = runtime_argv(arguments);
    argv.insert(argv.end(), {"deploy", "--"});
    const Output output = run_program(argv);
    if (output.code != 0) throw base::Error("deploy ended with " + std::to_string(output.code) + ": " + output.err);
    auto json = nlohmann::json::parse(output.out);
    EXPECT_EQ(json["valid"]["Ok"], "");
    EXPECT_EQ(json["startMode"], "blocking");
    EXPECT_TRUE(json["vols"].is_array());
    return json;
}

std::unique_ptr<Runtime> SystemTest::launch(const std::vector<std::string>& options, const std::vector<std::string>& start_arguments) {
    std::vector<std::string> argv = runtime_argv(options);
    argv.emplace_back("start");
    argv.insert(argv.end(), start_arguments.begin(), start_arguments.end());
    auto runtime = std::make_unique<Runtime>(argv, workdir);
    groups_.push_back(runtime->pid());
    return runtime;
}

std::unique_ptr<Runtime> SystemTest::start(const std::vector<std::string>& options, const std::vector<std::string>& start_arguments) {
    auto runtime = launch(options, start_arguments);
    runtime->hello();
    return runtime;
}

SystemTest::Output SystemTest::run_program(const std::vector<std::string>& argv, Duration deadline) {
    const fs::path out_path = workdir / "program.out";
    const fs::path err_path = workdir / "program.err";
    const base::UniqueFd out = base::open_file(out_path, O_WRONLY | O_CREAT | O_TRUNC);
    const base::UniqueFd err = base::open_file(err_path, O_WRONLY | O_CREAT | O_TRUNC);
    base::Command command{.argv = argv, .environment = {}, .fds = {{out.get(), 1}, {err.get(), 2}}};
    for (const char* name : {"PATH", "HOME", "TERM", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"}) {
        if (const char* value = std::getenv(name)) command.environment.push_back(std::string(name) + "=" + value);
    }
    command.before_exec = [folder = workdir.string()] { return ::setpgid(0, 0) == 0 && ::chdir(folder.c_str()) == 0; };
    base::Child child = base::spawn(command);
    groups_.push_back(child.pid());
    const auto code = exeunit::wait_for(child, deadline);
    if (!code) throw base::Error(argv[0] + " did not end: " + text_of(err_path));
    return {*code, text_of(out_path), text_of(err_path)};
}

}  // namespace system_test
