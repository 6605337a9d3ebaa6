#pragma once

namespace init {

// A system call that leaves errno alone: a child that shares our memory shares errno too. Returns the result or a negative errno.
inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
    long result = number;
    register long fourth asm("r10") = d;
    asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
    return result;
}

template <typename T>
long address(T* pointer) {
    return reinterpret_cast<long>(pointer);
}

}  // namespace init
