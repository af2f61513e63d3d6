# SPDX-License-Identifier: GPL-2.0-or-later
"""io_uring by hand, for binds.py and waits.py: the library of the oldest distribution that we build on does not know all operations."""
import ctypes
import mmap
import struct

from cases import libc

ANY_PLACE = 0xFFFFFFFF


class Ring:
    def __init__(self):
        params = (ctypes.c_uint32 * 30)()
        self.fd = libc.syscall(425, 4, params)  # io_uring_setup
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        sq, cq = list(params[10:20]), list(params[20:30])  # struct io_sqring_offsets, io_cqring_offsets
        self.sq_tail, self.sq_mask, self.sq_array, self.cq_head, self.cqes = sq[1], sq[2], sq[6], cq[0], cq[5]
        self.ring = mmap.mmap(self.fd, max(cq[5] + 16 * params[1], sq[6] + 4 * params[0]), offset=0)  # IORING_FEAT_SINGLE_MMAP
        self.entries = mmap.mmap(self.fd, 64 * params[0], offset=0x10000000)

    def word(self, at):
        return struct.unpack_from("=I", self.ring, at)[0]

    def table(self, places):
        """The ring gets a table of files of its own, all empty."""
        if libc.syscall(427, self.fd, 2, (ctypes.c_int32 * places)(*[-1] * places), places):  # io_uring_register, IORING_REGISTER_FILES
            raise OSError(ctypes.get_errno(), "io_uring_register")

    def run(self, opcode, fd, address=0, length=0, offset=0, place=0):
        """One operation; returns its result. place: in the ring's table, from 1; ANY_PLACE: a free one."""
        tail = self.word(self.sq_tail)
        index = tail & self.word(self.sq_mask)
        struct.pack_into("=BBHiQQIIQHHI", self.entries, 64 * index, opcode, 0, 0, fd, offset, address, length, 0, 0, 0, 0, place)
        struct.pack_into("=I", self.ring, self.sq_array + 4 * index, index)
        struct.pack_into("=I", self.ring, self.sq_tail, tail + 1)
        if libc.syscall(426, self.fd, 1, 1, 1, None, 0) < 0:  # io_uring_enter, GETEVENTS
            raise OSError(ctypes.get_errno(), "io_uring_enter")
        head = self.word(self.cq_head)
        result = struct.unpack_from("=i", self.ring, self.cqes + 16 * (head % 8) + 8)[0]
        struct.pack_into("=I", self.ring, self.cq_head, head + 1)
        return result
