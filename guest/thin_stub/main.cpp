// /bin/sh of a thin image as a runtime sees it that does not know thin images. It needs nothing, not even a C library: it is in every thin
// image (docs/spec/thin.md).
namespace {

constexpr long kWrite = 1;
constexpr long kExitGroup = 231;
constexpr long kStderr = 2;
constexpr char kText[] =
    "this is a thin image: it runs where ya-runtime-vm of gvmkit does, whose offers have thin-image among golem.runtime.capabilities\n";

long system_call(long number, long a, long b = 0, long c = 0) {
    long result = 0;
    asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

}  // namespace

extern "C" [[noreturn]] void _start() {  // NOLINT(bugprone-reserved-identifier): the linker's name for it
    system_call(kWrite, kStderr, reinterpret_cast<long>(kText), sizeof kText - 1);
    for (;;)
        system_call(kExitGroup, 1);
}
