"""The agent's end of the server's socket: frames out, replies and pushes in, re-sent after a lost connection.

Every boundary is a frame with a number; its reply says that it is durable. A link that is lost is opened again
within the re-send window and the unanswered frames are sent again, with the same numbers (contract.md section 2).
Past the window the process ends itself and its group: no server, no act.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable

from tape.core import wire
from tape.core.clock import Clock
from tape.core.dial import open_socket
from tape.core.kernel.errors import ServerUnavailable
from tape.core.wire import Frame

Reply = Callable[[Frame], None]
_CHUNK = 1 << 18


class Link:
    """One worker's connection. `send` may be called from any thread, everything else from the loop's thread."""

    def __init__(self, path: str, hello: Frame, clock: Clock, resend_seconds: float = 5.0) -> None:
        self.path = path
        self.hello = hello
        self.clock = clock
        self.resend_seconds = resend_seconds
        self._on_push: Callable[[Frame], None] = lambda frame: None
        self._pending: dict[tuple[str, int, int], tuple[bytes, Reply]] = {}
        self._lock = threading.Lock()
        self._socket = open_socket(path)
        self._decoder = wire.Decoder()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lost_at_us = 0
        self._closing = False
        self._send(wire.encode(hello))

    def attach(self, loop: asyncio.AbstractEventLoop, on_push: Callable[[Frame], None]) -> None:
        """From now on pushes go to `on_push`, on the loop."""
        self._loop = loop
        self._on_push = on_push
        loop.add_reader(self._socket.fileno(), self._read)

    def request(self, frame: Frame, reply: Reply) -> None:
        """Sends a boundary (`run`, `epoch`, `n`); `reply` is called once with the server's answer."""
        data = wire.encode(frame)
        self._pending[frame["run"], frame["epoch"], frame["n"]] = (data, reply)
        self._send(data)

    def tell(self, frame: Frame) -> None:
        """Sends a frame that needs no answer. It is not sent again after a lost connection."""
        self._send(wire.encode(frame))

    def forget(self, run_id: str, epoch: int) -> None:
        """Drops what is unanswered of a drive that is over."""
        for key in [key for key in self._pending if key[0] == run_id and key[1] == epoch]:
            del self._pending[key]

    def _send(self, data: bytes) -> None:
        with self._lock:
            try:
                self._socket.sendall(data)
            except OSError:
                pass  # the reader sees the lost connection too, opens another and sends again

    def _read(self) -> None:
        try:
            data = self._socket.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        for frame in self._decoder.feed(data):
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        if frame["t"] in ("ok", "refused"):
            waiting = self._pending.pop((frame["run"], frame["epoch"], frame["n"]), None)
            if waiting is not None:
                waiting[1](frame)
        elif frame["t"] == "busy":
            self._retry(frame)
        else:
            self._on_push(frame)

    def _retry(self, frame: Frame) -> None:
        """The journal cannot be written now: the same frame again a little later; the lease sets the limit."""
        assert self._loop is not None
        waiting = self._pending.get((frame["run"], frame["epoch"], frame["n"]))
        if waiting is not None:
            self._loop.call_later(0.1, self._send, waiting[0])

    def _lost(self) -> None:
        assert self._loop is not None
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        if self._closing:
            return
        self._lost_at_us = self.clock.boot_us()
        self._reconnect()

    def _reconnect(self) -> None:
        assert self._loop is not None
        if self.clock.boot_us() - self._lost_at_us > self.resend_seconds * 1_000_000:
            end_own_group("no server: the connection is lost")
        try:
            fresh = open_socket(self.path, timeout=1.0)
        except ServerUnavailable:
            self._loop.call_later(0.02, self._reconnect)
            return
        with self._lock:
            self._socket = fresh
            self._decoder = wire.Decoder()
            try:
                fresh.sendall(wire.encode({**self.hello, "again": True}))
                for data, _ in list(self._pending.values()):
                    fresh.sendall(data)
            except OSError:
                self._loop.call_later(0.02, self._reconnect)
                return
        self._loop.add_reader(fresh.fileno(), self._read)

    def close(self) -> None:
        self._closing = True
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()


def end_own_group(why: str) -> None:
    """Kills this process and everything it started in its session. Never returns."""
    os.write(2, f"tape: this agent ends itself: {why}\n".encode())
    os.killpg(os.getpgrp(), signal.SIGKILL)
    raise SystemExit(70)  # for the type checker: SIGKILL has come
