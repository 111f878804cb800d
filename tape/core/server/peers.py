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
    """The hook worker died before its answer was taken. `proven`: its body is certainly over."""

    def __init__(self, how: str, *, proven: bool) -> None:
        super().__init__(how)
        self.proven = proven


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
    frame: Frame


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
class Replies:
    """The answers of one drive by frame number (None: not answered yet), kept until the agent says that it had them.
    Frames are numbered from 1 without a gap."""

    had: int = 0
    kept: dict[int, Frame | None] = field(default_factory=lambda: {})

    def next(self) -> int:
        return max(self.kept, default=self.had) + 1

    def follows(self, number: int) -> bool:
        """Whether the frame before this one has been taken, and not sent back because it could not be written."""
        return number - 1 <= self.had or number - 1 in self.kept

    def forget(self, had: int) -> None:
        """The agent had every answer up to this number and will not ask again."""
        while self.had < had and self.kept.get(self.had + 1) is not None:
            self.had += 1
            del self.kept[self.had]


@dataclass(slots=True)
class WorkerPeer:
    """A worker as the server sees it. `held_...` is what a freeze withholds; `pushed` is what was sent
    on its own to each run that it drives, to be sent again after a lost connection; `let_go_boot_us` is when it was
    last let go on at a point of the author's own, which holds up its event loop."""

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
    promised: set[Future[Frame]] = field(default_factory=lambda: set())
    alone_hook: bool = False
    silent_at_boot_us: int = 0
    let_go_boot_us: int = 0
    held_frames: list[Frame] = field(default_factory=lambda: [])
    held_replies: list[tuple[Frame, Frame]] = field(default_factory=lambda: [])
    replies: dict[tuple[str, int], Replies] = field(default_factory=lambda: {})
    pushed: dict[str, list[Frame]] = field(default_factory=lambda: {})

    def takes_work(self) -> bool:
        """Whether it may be given something to do."""
        connected = self.connection is not None
        return connected and self.ready and not (self.frozen or self.doomed or self.leaving)

    def runs_hooks(self) -> bool:
        """Whether a hook is under way, or on its way to it from a reactor's thread."""
        return bool(self.hooks or self.promised)

    def send(self, frame: Mapping[str, Any]) -> None:
        if self.connection is not None and not self.connection.closed:
            self.connection.send(frame)

    def replies_of(self, frame: Frame) -> Replies:
        return self.replies.setdefault((frame["run"], frame["epoch"]), Replies())

    def keep(self, reply: Frame) -> None:
        """Keeps a boundary's answer: the same number asked again gets it again."""
        self.replies_of(reply).kept[reply["n"]] = reply

    def reply(self, reply: Frame) -> None:
        """Gives a boundary's answer, and keeps it."""
        self.keep(reply)
        self.send(reply)
