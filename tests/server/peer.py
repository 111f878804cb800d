"""A server with a real journal and a real socket, and peers that speak frames by hand."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tape.core.clock import SystemClock
from tape.core.journal import effects, runs
from tape.core.journal.effects import Call, ToolPolicy
from tape.core.journal.writer import Outcome, Writer
from tape.core.kernel.errors import TapeError, UsageError
from tape.core.kernel.events import Entry
from tape.core.kernel.policy import SECOND_US, LeasePolicy, RecoveryPolicy
from tape.core.kernel.resolution import Dispatch, OnUnknown, Semantics
from tape.core.server.server import Server, ServerPolicy
from tape.core.wire import Decoder, Frame, encode

SECONDS = 10.0
LEASE = LeasePolicy(ttl_us=60 * SECOND_US, heartbeat_us=SECOND_US, stall_us=5 * SECOND_US)
RECOVERY = RecoveryPolicy()
POLICY = {
    "semantics": "idempotent", "look_up": False, "authoritative": False, "settle_us": 0, "on_unknown": "ask",
    "key_lifetime_us": None, "retries": 0, "dispatch": "inline", "compensable": False, "undo_auto": False,
    "undo_semantics": "non_idempotent", "undo_look_up": False,
}  # fmt: skip


class CountingWriter(Writer):
    """Counts commits, and may be told to fail."""

    commits: list[int]
    failing: Callable[[int], TapeError | None] = staticmethod(lambda count: None)

    def commit(self, verbs: Any, chains: Any = ()) -> list[Outcome[Any]]:
        error = self.failing(len(verbs))
        if error is not None:
            return [Outcome(None, error) for _ in verbs]
        self.__dict__.setdefault("commits", []).append(len(verbs))
        return super().commit(verbs, chains)


@dataclass
class FakeEnder:
    """The supervisor: remembers what it was told to do, and does nothing."""

    told: list[tuple[str, int, str]] = field(default_factory=list)

    def kill(self, worker: int, why: str) -> int | None:
        self.told.append(("kill", worker, why))
        return 1

    def terminate(self, worker: int, why: str) -> int | None:
        self.told.append(("terminate", worker, why))
        return 1

    def freeze(self, worker: int) -> int | None:
        self.told.append(("freeze", worker, ""))
        return 1

    def thaw(self, worker: int) -> int | None:
        self.told.append(("thaw", worker, ""))
        return 1


class Heard:
    """Entries as they are committed, from the server's thread, and the way to wait for one."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._changed = threading.Condition()

    def __call__(self, entries: list[Entry]) -> None:
        with self._changed:
            self.entries += entries
            self._changed.notify_all()

    def until(self, happened: Callable[[], Any], what: str = "") -> Any:
        with self._changed:
            assert self._changed.wait_for(happened, SECONDS), f"never: {what}"
            return happened()

    def kinds(self, run_id: str | None = None) -> list[str]:
        return [entry.event.kind for entry in self.entries if run_id is None or entry.run_id == run_id]

    def of(self, kind: str) -> list[Any]:
        return [entry.event for entry in self.entries if entry.event.kind == kind]


class House:
    """One running server. `peer` connects; `worker` also says hello and is ready."""

    def __init__(self, folder: Path, concurrency: int = 1) -> None:
        self.clock = SystemClock()
        self.journal = folder / "tape" / "dev.db"
        self.writer = CountingWriter(self.journal, self.clock)
        self.socket_folder = Path(tempfile.mkdtemp(prefix="tape-"))
        self.path = str(self.socket_folder / "s.sock")
        self.heard = Heard()
        self.trouble: list[str] = []
        self.failed_loads: list[str] = []
        self.orders: list[Frame] = []
        self.ender = FakeEnder()
        self.server = Server(
            self.writer, self.path, self.clock, ServerPolicy(LEASE, RECOVERY, concurrency), self.operate
        )
        self.server.points.ender = self.ender
        self.server.on_entries.append(self.heard)
        self.server.on_trouble = self.trouble.append
        self.server.on_failed_load = lambda worker, why: self.failed_loads.append(why)
        self.server.run()
        self.peers: list[Peer] = []
        self.nonces = 0

    def operate(self, server: Server, frame: Frame) -> Future[dict[str, Any]]:
        """Orders: `echo`, `start`, `fail`, `crash` (an error that nobody foresaw)."""
        self.orders.append(frame)
        done: Future[dict[str, Any]] = Future()
        verb = frame.get("verb")
        if verb == "echo":
            done.set_result({"said": frame["text"]})
        elif verb == "start":
            return server.submit(lambda tx: {"run": runs.start_run(tx, "agent", frame.get("input"))})
        elif verb == "crash":
            raise RuntimeError("nobody foresaw this")
        else:
            done.set_exception(UsageError(f"no order is called {verb!r}"))
        return done

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.server.stop()
        self.writer.close()

    # --- workers and runs ---

    def peer(self) -> Peer:
        peer = Peer(self.path)
        self.peers.append(peer)
        return peer

    def start_worker(self) -> tuple[int, str]:
        """A worker that the supervisor has started; its number and nonce."""
        self.nonces += 1
        nonce = f"{self.nonces:032x}"
        return self.server.worker_started(nonce, 1000 + self.nonces, 1, self.clock.boot_id, "here"), nonce

    def worker(self) -> Peer:
        number, nonce = self.start_worker()
        peer = self.peer()
        peer.hello(nonce)
        peer.number = number
        assert peer.until("welcome")["worker"] == number
        self.heard.until(lambda: self.server.peers[number].ready, "the worker is ready")
        return peer

    def start_run(self, given: Any = None) -> str:
        return self.server.call(lambda tx: runs.start_run(tx, "agent", given))

    def grant(self, run_id: str, worker: Peer, concurrency: int = 1) -> int:
        ttl_us, number = LEASE.ttl_us, worker.number
        granted = self.server.call(
            lambda tx: runs.grant(tx, run_id, number, ttl_us=ttl_us, concurrency=concurrency, recovery=RECOVERY)
        )
        return granted.epoch

    def drive(self, worker: Peer | None = None, given: Any = None) -> Drive:
        """A run under a live lease of the worker, with its drive frame taken."""
        peer = worker or self.worker()
        run_id = self.start_run(given)
        epoch = self.grant(run_id, peer)
        drive = peer.until("drive")
        assert (drive["run"], drive["epoch"]) == (run_id, epoch)
        return Drive(self, peer, run_id, epoch)

    def row(self, sql: str, *values: Any) -> Any:
        return self.server.call(lambda tx: tx.connection.execute(sql, values).fetchone())

    def begin_outbox(self, drive: Drive) -> str:
        policy = ToolPolicy(Semantics.IDEMPOTENT, dispatch=Dispatch.OUTBOX, on_unknown=OnUnknown.ASK)
        call = Call(None, 0, "mail", {}, policy)
        self.server.call(lambda tx: effects.begin_effect(tx, drive.run, drive.epoch, call, "f"))
        return f"{drive.run}/-/0/mail"


class Peer:
    """A raw connection."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.socket.settimeout(SECONDS)
        self.decoder = Decoder()
        self.got: list[Frame] = []
        self.number = 0
        self.nonce = ""

    def send(self, *frames: Frame) -> None:
        self.raw(b"".join(encode(frame) for frame in frames))

    def raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hello(self, nonce: str, **more: Any) -> None:
        self.nonce = nonce
        self.send({"t": "hello", "role": "worker", "nonce": nonce, "pid": 1, **more})

    def back(self, house: House, **in_hand: Any) -> Peer:
        """The same worker on a new connection, after a lost one."""
        fresh = house.peer()
        fresh.number, fresh.nonce = self.number, self.nonce
        fresh.hello(self.nonce, again=True, **{"drives": {}, "hooks": [], "leaving": False, **in_hand})
        fresh.until("welcome")
        return fresh

    def until(self, kind: str, **fields: Any) -> Frame:
        """The next frame of this kind (with these fields); what comes before it stays in `got`."""
        while True:
            for position, frame in enumerate(self.got):
                if frame["t"] == kind and all(frame.get(name) == value for name, value in fields.items()):
                    return self.got.pop(position)
            data = self.socket.recv(1 << 18)
            assert data, f"the server hung up before any {kind}"
            self.got += self.decoder.feed(data)

    def ended(self) -> bool:
        """Whether the server has hung up; what it had sent before is in `got`."""
        while True:
            try:
                data = self.socket.recv(1 << 18)
            except ConnectionError:
                return True
            if not data:
                return True
            self.got += self.decoder.feed(data)

    def close(self) -> None:
        self.socket.close()


class Drive:
    """One lease's boundaries, numbered as an agent numbers them."""

    def __init__(self, house: House, peer: Peer, run: str, epoch: int) -> None:
        self.house = house
        self.peer = peer
        self.run = run
        self.epoch = epoch
        self.number = 0

    def frame(self, kind: str, **body: Any) -> Frame:
        self.number += 1
        return {"t": kind, "run": self.run, "epoch": self.epoch, "n": self.number, **body}

    def ask(self, kind: str, **body: Any) -> Frame:
        """Sends a boundary; returns its answer."""
        frame = self.frame(kind, **body)
        self.peer.send(frame)
        return self.answer(frame["n"])

    def answer(self, number: int) -> Frame:
        while True:
            for position, frame in enumerate(self.peer.got):
                if frame.get("n") == number and frame["run"] == self.run:
                    return self.peer.got.pop(position)
            data = self.peer.socket.recv(1 << 18)
            assert data, f"the server hung up before its answer to {number}"
            self.peer.got += self.peer.decoder.feed(data)

    def decision(self, index: int = 0, **more: Any) -> Frame:
        decision = {"index": index, "name": "ask", "fingerprint": "f", "request": None, "reply": index}
        usage = {"tokens_in": 1, "tokens_out": 2, "usd_micro": 3}
        return self.frame("decision", decision=decision, usage=usage, **more)

    def sample(self, index: int = 0, **more: Any) -> Frame:
        return self.frame("sample", sample={"index": index, "name": "now", "fingerprint": "f", "value": 1}, **more)

    def begin(self, ordinal: int = 0, **policy: Any) -> Frame:
        call = {"decision_index": None, "ordinal": ordinal, "tool": "pay", "args": {}, "business_key": None}
        return self.frame("begin", call={**call, "policy": {**POLICY, **policy}}, fingerprint="f")

    def end(self, ordinal: int = 0, number: int = 1, **ending: Any) -> Frame:
        ended = {"how": "returned", "result": 1, **ending}
        return self.frame("end", key=f"{self.run}/-/{ordinal}/pay", number=number, ending=ended, usage=None)

    def send(self, frame: Frame) -> Frame:
        self.peer.send(frame)
        return self.answer(frame["n"])
