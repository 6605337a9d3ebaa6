"""Which system calls a process's seccomp filters leave it, by running them (cBPF) on each number."""

import ctypes
import os
import struct

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_SECCOMP_GET_FILTER = 17, 0x4206, 0x4207, 0x420C
AUDIT_ARCH_X86_64 = 0xC000003E
ALLOW = 0x7FFF0000
NUMBERS = range(463)  # Linux 6.12's
MAX_INSTRUCTIONS = 4096

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, address=0, data=None):
    result = libc.ptrace(request, pid, address, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def filters(pid):
    """The programs of all filters of a process, as lists of (code, jt, jf, k). Needs root."""
    ptrace(PTRACE_SEIZE, pid)
    try:
        ptrace(PTRACE_INTERRUPT, pid)
        os.waitpid(pid, 0)
        found = []
        while True:
            program = ctypes.create_string_buffer(8 * MAX_INSTRUCTIONS)
            try:
                length = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, len(found), ctypes.addressof(program))
            except FileNotFoundError:  # no more
                return found
            found.append(list(struct.iter_unpack("<HBBI", program.raw[:8 * length])))
    finally:
        ptrace(PTRACE_DETACH, pid)


def run(program, data):
    """What a filter answers to a struct seccomp_data. It knows the instructions that libseccomp writes."""
    accumulator, position = 0, 0
    while True:
        code, if_true, if_false, k = program[position]
        position += 1
        if code == 0x20:  # load a word
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif code == 0x54:  # and
            accumulator &= k
        elif code == 0x05:  # jump
            position += k
        elif code in (0x15, 0x25, 0x35, 0x45):
            taken = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k, 0x45: accumulator & k != 0}[code]
            position += if_true if taken else if_false
        elif code == 0x06:  # return
            return k
        else:
            raise ValueError(f"a filter has an instruction that is not known here: {code:#x}")


def allowed(pid):
    """The numbers of the system calls that all filters allow with arguments of 0."""
    programs = filters(pid)
    if not programs:
        raise RuntimeError("the process has no filter")
    return [number for number in NUMBERS
            if all(run(program, struct.pack("<iIQ6Q", number, AUDIT_ARCH_X86_64, 0, *[0] * 6)) == ALLOW for program in programs)]
