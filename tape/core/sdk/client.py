"""The agent's end of the server's socket: frames out, replies and pushes in, re-sent after a lost connection.

Every boundary is a frame with a number; its reply says that it is durable. A link that is lost is opened again
within the re-send window and the unanswered frames are sent again, with the same numbers (contract.md section 2).
Past the window the process ends itself and its group: no server, no act.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import NoReturn

from tape.core import wire
from tape.core.clock import Clock
from tape.core.dial import ask, open_socket
from tape.core.kernel.errors import ServerUnavailable, UsageError
from tape.core.sdk.hiding import KNOWN
from tape.core.wire import Frame

Reply = Callable[[Frame], None]
_CHUNK = 1 << 18
BUSY_SECONDS = 0.1
RECONNECT_SECONDS = 0.02


class Link:
    """One worker's connection. `tell` may be called from any thread, everything else from the loop's thread."""

    def __init__(self, path: str, hello: Frame, clock: Clock, resend_seconds: float = 5.0) -> None:
        self.path = path
        self.hello = hello
        self.clock = clock
        self.resend_seconds = resend_seconds
        self.state: Callable[[], Frame] = dict
        """What the hello after a lost connection adds: what this worker has in hand."""
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

    def reach(self, point: str, run_id: str) -> None:
        """Asks, on a connection of its own and without the loop, whether to go on at a point of the author's. A run
        that is stopped there has its answer when somebody lets it go on."""
        ask(self.path, {"t": "point", "name": point, "run": run_id, "nonce": self.hello["nonce"]}, timeout=None)

    def forget(self, run_id: str, epoch: int) -> None:
        """Drops what is unanswered of a drive that is over."""
        for key in [key for key in self._pending if key[0] == run_id and key[1] == epoch]:
            del self._pending[key]

    def _send(self, data: bytes) -> None:
        with self._lock, contextlib.suppress(OSError):  # the reader sees a lost connection too, and sends again
            self._socket.sendall(data)

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
        try:
            frames = self._decoder.feed(data)
        except UsageError as error:
            end_own_group(f"what came from the server is not for this agent: {error}")
        for frame in frames:
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
        key = (frame["run"], frame["epoch"], frame["n"])
        self._loop.call_later(BUSY_SECONDS, self._send_again, key)

    def _send_again(self, key: tuple[str, int, int]) -> None:
        waiting = self._pending.get(key)
        if waiting is not None:
            self._send(waiting[0])

    def _lost(self) -> None:
        self._hang_up()
        if not self._closing:
            self._lost_at_us = self.clock.boot_us()
            self._reconnect()

    def _hang_up(self) -> None:
        """Under the lock: a thread that sends meanwhile must not meet the descriptor's next owner."""
        if self._loop is not None and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
        with self._lock:
            self._socket.close()

    def _reconnect(self) -> None:
        assert self._loop is not None
        if self._closing:
            return
        if self.clock.boot_us() - self._lost_at_us > self.resend_seconds * 1_000_000:
            end_own_group("no server: the connection is lost")
        try:
            fresh = open_socket(self.path, timeout=1.0)
        except ServerUnavailable:
            self._loop.call_later(RECONNECT_SECONDS, self._reconnect)
            return
        data = wire.encode({**self.hello, "again": True, **self.state()})
        try:
            fresh.sendall(data + b"".join(sent for sent, _ in self._pending.values()))
        except OSError:
            fresh.close()
            self._loop.call_later(RECONNECT_SECONDS, self._reconnect)
            return
        with self._lock:
            self._socket = fresh
            self._decoder = wire.Decoder()
        self._loop.add_reader(fresh.fileno(), self._read)

    def close(self) -> None:
        self._closing = True
        self._hang_up()


def end_own_group(why: str) -> NoReturn:
    """Kills this process and everything it started in its session. Never returns."""
    os.write(2, f"tape: this agent ends itself: {KNOWN.scrub(why)}\n".encode("utf-8", "backslashreplace"))
    os.killpg(os.getpgrp(), signal.SIGKILL)
    raise SystemExit(70)  # for the type checker: SIGKILL has come
