"""Owns messages on the socket between driver and worker: framing, and neither side ever waiting for the other.

A message is one envelope (a tuple, pickled and opened here) and the buffers in it: what the tuple holds as
`pickle.PickleBuffer` is sent from where it lies, and is received into memory of its own, writable.

    count: u32 | size: u64 x count | envelope | buffer | buffer …

What the messages mean is for `worker` and `remote` to know. Both ends are the same user's processes on one
machine, joined by a socket pair that nobody else can reach, so the pickles on it are trusted.
"""

from __future__ import annotations

import contextlib
import mmap
import pickle
import select
import socket
import struct
from collections import deque
from collections.abc import Iterator
from typing import Any

Buffer = bytearray | memoryview

_COUNT = struct.Struct("<I")
_CHUNK = 1 << 16  # what one read asks for: more would be a mapping of its own for every small message
_DIRECT = 1 << 16  # parts above this are received in place, not by way of the read buffer
_IOV = 256  # buffers a single gathering write may name (the system's limit is 1024)


class Channel:
    """One end of the socket. Reading and writing never block, so two full pipes cannot wait for each other.

    Not thread-safe: one thread reads; whoever writes holds a lock of its own.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.closed = False  #: the other side is gone, or closed its end
        self._unsent: deque[memoryview] = deque()
        self._reader = _Reader(sock)

    def fileno(self) -> int:
        return self.sock.fileno()

    @property
    def unsent(self) -> bool:
        """Whether bytes still wait for the socket to take them: call `flush` when it is writable."""
        return bool(self._unsent)

    def send(self, envelope: tuple[Any, ...]) -> None:
        """Queue a message and write what the socket takes now."""
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(envelope, 5, buffer_callback=buffers.append)
        parts = [memoryview(body), *(buffer.raw() for buffer in buffers)]
        head = struct.pack(f"<I{len(parts)}Q", len(parts), *(part.nbytes for part in parts))
        self._unsent.append(memoryview(head))
        self._unsent.extend(part for part in parts if part.nbytes)
        self.flush()

    def flush(self) -> None:
        """Write what the socket takes now; sets `closed` when the other side is gone."""
        while self._unsent and not self.closed:
            try:
                written = self.sock.sendmsg([self._unsent[i] for i in range(min(len(self._unsent), _IOV))])
            except BlockingIOError:
                return
            except OSError:  # EPIPE, ECONNRESET: its death is dealt with where it is noticed
                self.closed = True
                return
            self._drop(written)

    def flush_all(self) -> None:
        """Write everything, waiting for the other side to take it: for a worker, whose driver always reads."""
        poll = select.poll()
        poll.register(self.sock, select.POLLOUT)
        self.flush()
        while self._unsent and not self.closed:
            poll.poll()
            self.flush()

    def receive(self) -> Iterator[tuple[Any, ...]]:
        """Read what has come, and yield each whole message; sets `closed` at the end of the stream."""
        for body, *buffers in self._reader.messages():
            yield pickle.loads(body, buffers=buffers)
        self.closed = self.closed or self._reader.ended

    def close(self) -> None:
        self.closed = True
        self._unsent.clear()
        self.sock.close()

    def _drop(self, written: int) -> None:
        while written:
            first = self._unsent[0]
            if written < first.nbytes:
                self._unsent[0] = first[written:]
                return
            written -= first.nbytes
            self._unsent.popleft()


class _Reader:
    """Cuts the stream of bytes into messages."""

    def __init__(self, sock: socket.socket) -> None:
        self.ended = False
        self._sock = sock
        self._read = bytearray()  # come, and not yet part of anything
        self._sizes: list[int] = []  # of the message being read, still to come; first is next
        self._parts: list[Buffer] = []
        self._large: memoryview | None = None  # the part being received in place …
        self._filled = 0  # … and how much of it is there

    def messages(self) -> Iterator[list[Buffer]]:
        """Read until the socket has no more, or a fair share has been read; yield whole messages."""
        for _ in range(64):  # so that one worker's flood does not starve the others
            if not self._fill():
                return
            while self._next_part():
                if not self._sizes:
                    parts, self._parts = self._parts, []
                    yield parts

    def _fill(self) -> bool:
        """Read once; False when nothing is there."""
        try:
            if self._large is not None:
                count = self._sock.recv_into(self._large[self._filled :])
                self._filled += count
            else:
                chunk = self._sock.recv(_CHUNK)
                self._read += chunk
                count = len(chunk)
        except BlockingIOError:
            return False
        except OSError:
            count = 0
        self.ended = count == 0
        return count > 0

    def _next_part(self) -> bool:
        """Move one part from the stream to the message; False when more bytes are needed."""
        if self._large is not None:
            return self._end_large()
        if not self._sizes and not self._begin():
            return False
        size = self._sizes[0]
        if size > _DIRECT and len(self._read) < size:
            self._begin_large(size)
            return False
        if len(self._read) < size:
            return False
        self._parts.append(self._read[:size])
        del self._read[:size], self._sizes[0]
        return True

    def _begin(self) -> bool:
        if len(self._read) < _COUNT.size:
            return False
        (count,) = _COUNT.unpack_from(self._read)
        end = _COUNT.size + 8 * count
        if len(self._read) < end:
            return False
        self._sizes = list(struct.unpack_from(f"<{count}Q", self._read, _COUNT.size))
        del self._read[:end]
        return True

    def _begin_large(self, size: int) -> None:
        """Receive the next part straight into memory of its own."""
        self._large = memoryview(_memory(size))
        self._filled = len(self._read)
        self._large[: self._filled] = self._read
        self._read.clear()

    def _end_large(self) -> bool:
        assert self._large is not None
        if self._filled < self._large.nbytes:
            return False
        self._parts.append(self._large)
        self._large, self._filled = None, 0
        del self._sizes[0]
        return True


def _memory(size: int) -> mmap.mmap:
    """Fresh writable memory. A bytearray would be filled with zeros first, at a third of the cost of the
    transfer; pages of a mapping are zeroed as they are touched, huge pages several hundred times fewer."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without huge pages: slower, no more
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
