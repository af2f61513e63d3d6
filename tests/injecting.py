# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls made from inside another process: what it may do is asked of the process itself, as whoever took it over would. By ptrace, as gdb's
`call` does it; x86-64 alone."""
import ctypes
import os
import platform
import struct

import cases

PTRACE_SINGLESTEP, PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_ATTACH, PTRACE_DETACH = 9, 12, 13, 16, 17
WALL = 0x40000000  # __WALL: not a child of this process
REGISTERS = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs".split()
ARGUMENTS = "rdi rsi rdx r10 r8 r9".split()

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, 0, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


class Inside:
    """with Inside(PID) as call: call(NUMBER, ARGUMENT...) returns what the system call returned, negative errno included. A str argument is put into the
    process's memory. The process waits in a system call; it goes on there afterwards."""

    def __init__(self, pid):
        if platform.machine() != "x86_64":
            raise cases.Skip("system calls are injected on x86-64 alone")
        self.pid = pid

    def registers(self):
        buffer = ctypes.create_string_buffer(8 * len(REGISTERS))
        ptrace(PTRACE_GETREGS, self.pid, ctypes.addressof(buffer))
        return dict(zip(REGISTERS, struct.unpack(f"{len(REGISTERS)}Q", buffer.raw)))

    def set(self, registers):
        values = struct.pack(f"{len(REGISTERS)}Q", *(registers[name] & (1 << 64) - 1 for name in REGISTERS))
        buffer = ctypes.create_string_buffer(values, len(values))
        ptrace(PTRACE_SETREGS, self.pid, ctypes.addressof(buffer))

    def __enter__(self):
        ptrace(PTRACE_ATTACH, self.pid)
        os.waitpid(self.pid, WALL)
        self.memory = open(f"/proc/{self.pid}/mem", "r+b", buffering=0)
        self.before = self.registers()
        self.memory.seek(self.before["rip"] - 2)
        if self.memory.read(2) != b"\x0f\x05":
            self.__exit__()
            raise AssertionError("the process does not wait in a system call")
        return self.call

    def call(self, number, *arguments):
        registers = dict(self.before, rax=number, orig_rax=-1, rip=self.before["rip"] - 2)
        free = self.before["rsp"] - 1024  # beyond the 128 bytes below the stack's end that functions use
        for name, argument in zip(ARGUMENTS, arguments):
            if isinstance(argument, str):
                self.memory.seek(free)
                self.memory.write(argument.encode() + b"\0")
                argument, free = free, free + 256
            registers[name] = argument
        self.set(registers)
        ptrace(PTRACE_SINGLESTEP, self.pid)
        os.waitpid(self.pid, WALL)
        result = self.registers()["rax"]
        return result - (1 << 64) if result >> 63 else result

    def __exit__(self, *_):
        self.memory.close()
        self.set(self.before)
        ptrace(PTRACE_DETACH, self.pid)
