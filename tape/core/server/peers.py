"""Connections as the server keeps them: workers (with what they hold) and operators."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from tape.core import wire
from tape.core.kernel.errors import TapeError, UsageError
from tape.core.wire import Frame


class HookLost(TapeError):
    """The hook worker died before its answer was taken."""


@dataclass(slots=True)
class HookCall:
    """One hook under way. `deadline_boot_us`: then its worker is ended."""

    ticket: int
    what: str
    run_id: str
    tool: str
    decision_index: int | None
    deadline_boot_us: int
    future: Future[Frame]


class Connection:
    """A non-blocking stream of frames with an out-buffer: a stalled peer never blocks the server."""

    def __init__(self, link: socket.socket) -> None:
        link.setblocking(False)
        self.socket = link
        self.decoder = wire.Decoder()
        self.out = bytearray()
        self.worker: WorkerPeer | None = None
        self.closed = False

    def receive(self) -> list[Frame] | None:
        """What has arrived; None at the end of the stream."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        try:
            return self.decoder.feed(data)
        except UsageError:
            return None  # no peer of ours: hang up

    def send(self, frame: Mapping[str, Any]) -> None:
        """Queues the frame; the loop sends what has queued up once a round."""
        self.out += wire.encode(dict(frame))

    def flush(self) -> bool:
        """Sends what the socket takes; True when nothing is left."""
        while self.out and not self.closed:
            try:
                sent = self.socket.send(self.out)
            except BlockingIOError:
                return False
            except OSError:
                self.out.clear()
                return True
            del self.out[:sent]
        return not self.out

    def close(self) -> None:
        self.closed = True
        with contextlib.suppress(OSError):
            self.socket.close()


@dataclass(slots=True)
class WorkerPeer:
    """A worker as the server sees it. `held` is what a freeze withholds: frames to be taken, replies to be given."""

    number: int
    nonce: str
    pid: int
    connection: Connection | None = None
    ready: bool = False
    doomed: bool = False
    frozen: bool = False
    leaving: bool = False
    alone: bool = False
    drives: dict[str, int] = field(default_factory=lambda: {})
    open_bodies: set[tuple[str, str]] = field(default_factory=lambda: set())
    hooks: dict[int, HookCall] = field(default_factory=lambda: {})
    held_frames: list[Frame] = field(default_factory=lambda: [])
    held_replies: list[Frame] = field(default_factory=lambda: [])
    replies: dict[tuple[str, int], dict[int, Frame | None]] = field(default_factory=lambda: {})

    def takes_work(self) -> bool:
        """Whether it may be given something to do."""
        return self.ready and not (self.frozen or self.doomed or self.leaving)

    def send(self, frame: Mapping[str, Any]) -> None:
        if self.connection is not None and not self.connection.closed:
            self.connection.send(frame)

    def keep(self, reply: Frame) -> None:
        """Keeps a boundary's answer: the same number asked again gets it again."""
        self.replies.setdefault((reply["run"], reply["epoch"]), {})[reply["n"]] = reply

    def reply(self, reply: Frame) -> None:
        """Gives a boundary's answer, and keeps it."""
        self.keep(reply)
        self.send(reply)
