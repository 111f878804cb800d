"""tape-server's one thread: whatever has arrived, from agents, reactors and operators, becomes one commit.

The crash points are here, because every boundary passes here: *received, not committed* and *committed, reply
withheld* (api.md sections 2 and 5). The thread never waits for a peer, and no user code runs in it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from tape.core.clock import Clock
from tape.core.journal import claims, records, runs, workers
from tape.core.journal.transaction import Tx
from tape.core.journal.writer import Outcome, Writer
from tape.core.kernel.errors import Fenced, JournalUnavailable, Refused, TapeError, UsageError
from tape.core.kernel.events import EffectEnded, Entry, LeaseEnded, LeaseGranted, PointReached, TimerFired
from tape.core.kernel.lifecycle import WorkerTrigger
from tape.core.kernel.points import Arm, Death, Stage
from tape.core.kernel.policy import LeasePolicy, RecoveryPolicy
from tape.core.server.boundaries import ending_of, refusal, subject_of, verb_of
from tape.core.server.peers import Connection, HookCall, HookLost, WorkerPeer
from tape.core.wire import Frame

T = TypeVar("T")
Verb = Callable[[Tx], Any]
TAPE_CHUNK_RECORDS = 200
LAZY_US = 2_000
BOUNDARIES = frozenset(
    ("ask", "decision", "sample", "timer", "attach", "begin", "attempt", "end", "park", "diverge", "finish")
)


class Ender(Protocol):
    """The supervisor, as the server needs it: the only one that ends, stops or continues a process."""

    def kill(self, worker: int, why: str) -> int | None: ...
    def terminate(self, worker: int, why: str) -> int | None: ...
    def freeze(self, worker: int) -> int | None: ...
    def thaw(self, worker: int) -> int | None: ...


Operator = Callable[["Server", Frame], "Future[dict[str, Any]]"]


@dataclass(slots=True)
class _Job:
    """A verb from a reactor, the supervisor or an operator, and what is done on this thread after its commit."""

    verb: Verb
    future: Future[Any]
    after: Callable[[Any], None] | None = None


@dataclass(slots=True)
class _Boundary:
    """An agent's frame on its way: its worker, and the verb made of it."""

    peer: WorkerPeer
    frame: Frame
    verb: Verb


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    lease: LeasePolicy
    recovery: RecoveryPolicy
    concurrency: int = 1


class Server:
    """The one writer of a journal. `submit`, `call`, `arm`, `hook` may be called from any thread."""

    def __init__(
        self, writer: Writer, socket_path: str, clock: Clock, policy: ServerPolicy, operator: Operator
    ) -> None:
        self.writer = writer
        self.socket_path = socket_path
        self.clock = clock
        self.policy = policy
        self.ender: Ender | None = None
        self.on_entries: list[Callable[[list[Entry]], None]] = []
        self.on_trouble: Callable[[str], None] = lambda text: None
        self.on_failed_load: Callable[[int, str], None] = lambda worker, why: None
        self.peers: dict[int, WorkerPeer] = {}
        self._operator = operator
        self._by_nonce: dict[str, WorkerPeer] = {}
        self._early: dict[str, tuple[Connection, Frame]] = {}
        self._connections: set[Connection] = set()
        self._arms: list[Arm] = []
        self._jobs: queue.SimpleQueue[_Job | Callable[[], None]] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._driving: dict[str, tuple[int, int]] = {}
        self._tickets = 0
        self._stopping = False
        self._lazy: list[_Boundary] = []
        self._lazy_until_us = 0
        self._listener = _listen(socket_path)
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._loop, name="tape-server", daemon=True)

    # --- from any thread --------------------------------------------------------------------------------------

    def run(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; what was submitted before is committed first."""
        self._do(self._set_stopping)
        self._thread.join()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket_path)

    def _set_stopping(self) -> None:
        self._stopping = True

    def submit(self, verb: Callable[[Tx], T], after: Callable[[T], None] | None = None) -> Future[T]:
        """Queues a verb for the next commit; the future holds its result or its error. `after` runs on the server's
        thread once it is durable."""
        future: Future[T] = Future()
        self._jobs.put(_Job(verb, future, after))
        os.write(self._wake_write, b"x")
        return future

    def call(self, verb: Callable[[Tx], T]) -> T:
        """The verb's result, once it is durable. Raises its error."""
        return self.submit(verb).result()

    def _do(self, work: Callable[[], None]) -> None:
        """Runs `work` on the server's thread."""
        self._jobs.put(work)
        os.write(self._wake_write, b"x")

    def do(self, work: Callable[[], T]) -> T:
        """The result of `work`, run on the server's thread."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except TapeError as error:
                future.set_exception(error)

        self._do(run)
        return future.result()

    # --- workers: called by the supervisor --------------------------------------------------------------------

    def worker_started(self, nonce: str, pid: int, start_ticks: int, boot_id: str, host: str) -> int:
        """Records a new agent process; from now on its hello is known."""

        def known(number: int) -> None:
            peer = WorkerPeer(number, nonce, pid)
            self.peers[number] = self._by_nonce[nonce] = peer
            early = self._early.pop(nonce, None)
            if early is not None:
                self._hello(*early)

        return self.submit(lambda tx: workers.start_worker(tx, nonce, pid, start_ticks, boot_id, host), known).result()

    def worker_died(self, number: int, how: str, proven: bool) -> None:
        """What the dead worker had handed over is taken first, then its leases end and its hooks are lost. While the
        journal cannot be written, the death is told again."""

        def died(tx: Tx) -> int:
            return workers.worker_died(tx, number, how, self.policy.recovery, proven=proven)

        self.do(lambda: self._take_rest(number))
        while not self._stopping:
            try:
                self.submit(died, lambda _: self._forget(number, how)).result()
                return
            except JournalUnavailable as error:
                self.on_trouble(str(error))
                self.clock.sleep(0.2)

    def _take_rest(self, number: int) -> None:
        peer = self.peers.get(number)
        if peer is not None and peer.connection is not None and not peer.doomed and not peer.frozen:
            self._drain_connection(peer.connection)
        self._commit([], [])

    def _drain_connection(self, connection: Connection) -> None:
        boundaries: list[_Boundary] = []
        while True:
            frames = connection.receive()
            if not frames:
                break
            for frame in frames:
                self._take(connection, frame, boundaries)
        self._commit([], boundaries)

    def _forget(self, number: int, how: str) -> None:
        peer = self.peers.pop(number, None)
        if peer is None:
            return
        self._by_nonce.pop(peer.nonce, None)
        if peer.connection is not None:
            self._hang_up(peer.connection)
        for hook in peer.hooks.values():
            hook.future.set_exception(HookLost(how))
        peer.hooks.clear()

    # --- hooks: called by the reactors ------------------------------------------------------------------------

    def hook_worker(self, *, alone: bool = False) -> int | None:
        """A worker that may run a hook now: it drives no run; with `alone`, it runs no other hook either."""
        free = [
            peer
            for peer in list(self.peers.values())
            if peer.ready and not (peer.frozen or peer.doomed or peer.drives) and not (alone and peer.hooks)
        ]
        free.sort(key=lambda peer: (len(peer.hooks), peer.number))
        return free[0].number if free else None

    def driver_for(self, *, alone: bool) -> int | None:
        """A worker with room for one more run: it runs no hook, and carries fewer runs than it may."""
        room = 1 if alone else self.policy.concurrency
        free = [
            peer
            for peer in list(self.peers.values())
            if peer.ready and not (peer.frozen or peer.doomed or peer.hooks)
            if len(peer.drives) < room and not (peer.alone and peer.drives)
        ]
        free.sort(key=lambda peer: (-len(peer.drives), peer.number))
        return free[0].number if free else None

    def driving(self) -> int:
        """How many runs are being driven."""
        return sum(len(peer.drives) for peer in list(self.peers.values()))

    def hook(self, worker: int, what: str, key: str, effect: dict[str, Any], limit_us: int) -> Future[Frame]:
        """Sends a hook to a worker; the future holds its answer, or HookLost."""
        future: Future[Frame] = Future()
        self._do(lambda: self._send_hook(worker, what, key, effect, limit_us, future))
        return future

    def _send_hook(
        self, worker: int, what: str, key: str, effect: dict[str, Any], limit_us: int, future: Future[Frame]
    ) -> None:
        peer = self.peers.get(worker)
        if peer is None or not peer.ready or peer.doomed:
            future.set_exception(HookLost("the hook worker is gone"))
            return
        self._tickets += 1
        deadline = self.clock.boot_us() + limit_us
        call = HookCall(
            self._tickets, what, effect["run_id"], effect["tool"], effect["decision_index"], deadline, future
        )
        peer.hooks[call.ticket] = call
        if what == "body" and self._hook_point(peer, call, "dispatch"):
            return
        peer.send({"t": "hook", "ticket": call.ticket, "what": what, "tool": call.tool, "key": key, "effect": effect})

    # --- points -----------------------------------------------------------------------------------------------

    def arm(self, arm: Arm) -> None:
        """Arms a crash point; returns when every connected worker has been told."""
        self.do(lambda: self.arm_here(arm))

    def arm_here(self, arm: Arm) -> None:
        """The same, on the server's thread."""
        self._set_arms([*self._arms, arm])

    def disarm(self) -> None:
        self.do(lambda: self._set_arms([]))

    def arms(self) -> list[Arm]:
        return list(self._arms)

    def _set_arms(self, arms: list[Arm]) -> None:
        self._arms = arms
        for peer in self.peers.values():
            peer.send({"t": "arm", "armed": bool(arms)})

    def _hit(
        self, frame_kind: str, stage: Stage, run_id: str | None, tool: str | None, index: int | None
    ) -> Arm | None:
        """The armed point that this pass reaches; it is used up. Passes before the n-th are counted down."""
        for position, arm in enumerate(self._arms):
            if arm.point.frame != frame_kind or arm.point.stage is not stage or not arm.matches(run_id, tool, index):
                continue
            if arm.nth > 1:
                self._arms[position] = replace(arm, nth=arm.nth - 1)
                continue
            del self._arms[position]
            return arm
        return None

    def _tell_point(self, arm: Arm, peer: WorkerPeer, run_id: str | None) -> None:
        reached = PointReached(point=arm.point.name, death=arm.death, worker=peer.number, pid=peer.pid, order=arm.order)
        self._commit([_Job(lambda tx: workers.reach_point(tx, run_id, reached), Future())], [])

    def _end_at(self, arm: Arm, peer: WorkerPeer, run_id: str | None) -> None:
        peer.doomed = True
        self._tell_point(arm, peer, run_id)
        self._ender.kill(peer.number, f"killed at {arm.point.name}")

    @property
    def _ender(self) -> Ender:
        assert self.ender is not None
        return self.ender

    def strike(self, peer: WorkerPeer, death: Death) -> None:
        """Ends or stops a worker now, at whatever place it is. On the server's thread."""
        if death is Death.KILL:
            self._ender.kill(peer.number, "killed by order")
        elif death is Death.TERM:
            self._ender.terminate(peer.number, "terminated by order")
        elif death is Death.STOP:
            self._ender.freeze(peer.number)
        elif peer.connection is not None:
            self._hang_up(peer.connection)

    def _hook_point(self, peer: WorkerPeer, call: HookCall, frame_kind: str) -> bool:
        """Hook points kill the hook worker, whatever death was chosen: it drives no run."""
        arm = self._hit(frame_kind, Stage.HOOK, call.run_id, call.tool, call.decision_index)
        if arm is None:
            return False
        self._end_at(arm, peer, call.run_id)
        return True

    def _freeze(self, arm: Arm, peer: WorkerPeer, run_id: str) -> None:
        peer.frozen = True
        self._tell_point(arm, peer, run_id)
        self._ender.freeze(peer.number)
        self._commit([_Job(lambda tx: workers.move_worker(tx, peer.number, WorkerTrigger.FREEZE), Future())], [])

    def thaw(self, number: int | None = None) -> list[int]:
        """Lets frozen workers go on; what they held is answered as it now stands. Returns their pids."""
        return self.do(lambda: self.thaw_here(number))

    def thaw_here(self, number: int | None = None) -> list[int]:
        """The same, on the server's thread."""
        thawed: list[int] = []
        for peer in self.peers.values():
            worker = peer.number
            if number is not None and worker != number:
                continue
            if not peer.frozen:
                self._ender.thaw(worker)  # one that was stopped outside a drill just goes on
                continue
            self._commit([_Job(_thaw_verb(worker), Future())], [])
            peer.frozen = False
            self._ender.thaw(worker)
            thawed.append(peer.pid)
            replies, peer.held_replies = peer.held_replies, []
            frames, peer.held_frames = peer.held_frames, []
            for reply in replies:
                live = self._driving.get(reply["run"]) == (worker, reply["epoch"])
                fenced = Fenced(f"{reply['run']}: no write under lease epoch {reply['epoch']}: it has ended")
                if live or reply["t"] == "refused":
                    peer.reply(reply)
                else:
                    peer.reply(_answer(reply, "refused", refusal(fenced)))
                    self._keep_evidence(peer, reply, fenced)
            boundaries: list[_Boundary] = []
            for frame in frames:
                self._boundary(peer, frame, boundaries, held=True)
            self._commit([], boundaries)
        return thawed

    # --- the loop ---------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._stopping:
            ready = self._selector.select(self._patience())
            boundaries: list[_Boundary] = []
            jobs: list[_Job] = []
            works: list[Callable[[], None]] = []
            for key, events in ready:
                if key.fd == self._wake_read:
                    self._drain_wake()
                elif key.fileobj is self._listener:
                    self._accept()
                else:
                    self._serve(key.data, events, boundaries)
            while True:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if isinstance(job, _Job):
                    jobs.append(job)
                else:
                    works.append(job)
            if jobs or works or not self._can_wait(boundaries):
                self._commit(jobs, boundaries)
            for work in works:
                work()
            self._end_late_hooks()
            for connection in [connection for connection in self._connections if connection.out]:
                self._flush(connection)
        self._close()

    def _patience(self) -> float | None:
        if not self._jobs.empty():
            return 0
        deadlines = [hook.deadline_boot_us for peer in self.peers.values() for hook in peer.hooks.values()]
        if self._lazy:
            deadlines.append(self._lazy_until_us)
        if not deadlines:
            return None
        return max(0.0, (min(deadlines) - self.clock.boot_us()) / 1_000_000)

    def _can_wait(self, boundaries: list[_Boundary]) -> bool:
        """Boundaries for which nobody waits go with the next commit, or with one of their own a moment later."""
        now = self.clock.boot_us()
        if not boundaries:
            return bool(self._lazy) and now < self._lazy_until_us
        if any(item.frame.get("waits") is not False for item in boundaries):
            return False
        if not self._lazy:
            self._lazy_until_us = now + LAZY_US
        self._lazy += boundaries
        return True

    def _end_late_hooks(self) -> None:
        now = self.clock.boot_us()
        for peer in list(self.peers.values()):
            if not peer.doomed and any(hook.deadline_boot_us <= now for hook in peer.hooks.values()):
                peer.doomed = True
                self._ender.kill(peer.number, "a hook is over its time")
                for hook in peer.hooks.values():
                    hook.deadline_boot_us = 1 << 62

    def _drain_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 65536):
                pass

    def _accept(self) -> None:
        try:
            link, _ = self._listener.accept()
        except OSError:
            return
        connection = Connection(link)
        self._selector.register(link, selectors.EVENT_READ, connection)
        self._connections.add(connection)

    def _serve(self, connection: Connection, events: int, boundaries: list[_Boundary]) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush(connection)
        if not events & selectors.EVENT_READ:
            return
        frames = connection.receive()
        if frames is None:
            self._hang_up(connection)
            return
        for frame in frames:
            self._take(connection, frame, boundaries)

    def _flush(self, connection: Connection) -> None:
        if connection.closed:
            return
        events = selectors.EVENT_READ if connection.flush() else selectors.EVENT_READ | selectors.EVENT_WRITE
        if self._selector.get_key(connection.socket).events != events:
            self._selector.modify(connection.socket, events, connection)

    def _hang_up(self, connection: Connection) -> None:
        if not connection.closed:
            self._selector.unregister(connection.socket)
            self._connections.discard(connection)
            connection.close()
        if connection.worker is not None and connection.worker.connection is connection:
            connection.worker.connection = None

    def _take(self, connection: Connection, frame: Frame, boundaries: list[_Boundary]) -> None:
        kind = frame["t"]
        peer = connection.worker
        if kind == "hello":
            if frame["role"] == "worker":
                self._hello(connection, frame)
        elif kind == "point":
            self._own_point(connection, frame)
        elif peer is None:
            self._order(connection, frame)
        elif peer.doomed:
            return
        elif kind in BOUNDARIES:
            self._boundary(peer, frame, boundaries)
        elif kind == "beat":
            self._beat(peer, frame)
        elif kind == "hook_result":
            self._hook_result(peer, frame)
        elif kind == "idle":
            self._idle(peer, frame)

    # --- frames of workers ------------------------------------------------------------------------------------

    def _hello(self, connection: Connection, frame: Frame) -> None:
        peer = self._by_nonce.get(frame["nonce"])
        if peer is None:
            if frame.get("again"):
                connection.send({"t": "goodbye", "why": "this server does not know this worker"})
            else:
                self._early[frame["nonce"]] = (connection, frame)
            return
        if "failed" in frame:
            self.on_failed_load(peer.number, frame["failed"])
            return
        connection.worker = peer
        if peer.connection is not None and peer.connection is not connection:
            self._hang_up(peer.connection)
        peer.connection = connection
        peer.send(
            {
                "t": "welcome",
                "worker": peer.number,
                "heartbeat_us": self.policy.lease.heartbeat_us,
                "armed": bool(self._arms),
            }
        )
        if not peer.ready:
            self._jobs.put(
                _Job(
                    lambda tx: workers.move_worker(tx, peer.number, WorkerTrigger.HELLO),
                    Future(),
                    lambda _: self._ready(peer),
                )
            )

    def _ready(self, peer: WorkerPeer) -> None:
        peer.ready = True
        for listener in self.on_entries:
            listener([])

    def _boundary(self, peer: WorkerPeer, frame: Frame, boundaries: list[_Boundary], *, held: bool = False) -> None:
        run_id, number = frame["run"], frame["n"]
        known = peer.replies.setdefault((run_id, frame["epoch"]), {})
        if number in known and not held:
            reply = known[number]
            if reply is not None:
                peer.send(reply)
            return
        known[number] = None
        if frame["t"] == "end":
            peer.open_bodies.discard((run_id, frame["key"]))
        try:
            verb = verb_of(frame, self.policy.recovery)
        except (TapeError, KeyError, TypeError, ValueError) as error:
            bad = UsageError(f"a frame that the server does not understand: {error}")
            peer.reply(_answer(frame, "refused", refusal(bad)))
            return
        if held or not self._arms or frame.get("waits") is False:
            boundaries.append(_Boundary(peer, frame, verb))
            return
        arm = self._hit(frame["t"], Stage.RECEIVED, run_id, *subject_of(frame))
        if arm is not None:
            self._received_at(arm, peer, frame, verb)
        else:
            self._commit([], [*boundaries])
            boundaries.clear()
            self._commit([], [_Boundary(peer, frame, verb)])

    def _received_at(self, arm: Arm, peer: WorkerPeer, frame: Frame, verb: Verb) -> None:
        """An armed *received* point: the process dies with its frame, or lives on in the way that was chosen."""
        if arm.death is Death.KILL:
            self._end_at(arm, peer, frame["run"])
        elif arm.death is Death.STOP:
            if peer.open_bodies:
                self._arms.append(arm)  # a body is open: the next pass, when none is
                self._commit([], [_Boundary(peer, frame, verb)])
                return
            peer.held_frames.append(frame)
            self._freeze(arm, peer, frame["run"])
        elif arm.death is Death.TERM:
            self._tell_point(arm, peer, frame["run"])
            self._ender.terminate(peer.number, f"terminated at {arm.point.name}")
            self._commit([], [_Boundary(peer, frame, verb)])
        else:
            self._tell_point(arm, peer, frame["run"])
            self._commit([], [_Boundary(peer, frame, verb)], lose=True)

    def _beat(self, peer: WorkerPeer, frame: Frame) -> None:
        if frame["silent_us"] > self.policy.lease.stall_us:
            peer.doomed = True
            self._ender.kill(peer.number, f"its event loop was silent for {frame['silent_us'] // 1_000_000} s")
        elif peer.drives:
            ttl_us = self.policy.lease.ttl_us
            self._jobs.put(_Job(lambda tx: runs.renew_leases(tx, peer.number, ttl_us), Future()))

    def _hook_result(self, peer: WorkerPeer, frame: Frame) -> None:
        call = peer.hooks.get(frame["ticket"])
        if call is None or self._hook_point(peer, call, call.what.removeprefix("undo-")):
            return
        del peer.hooks[call.ticket]
        call.future.set_result(frame)

    def _idle(self, peer: WorkerPeer, frame: Frame) -> None:
        if peer.drives.get(frame["run"]) == frame["epoch"]:
            del peer.drives[frame["run"]]
        peer.replies.pop((frame["run"], frame["epoch"]), None)
        peer.open_bodies = {body for body in peer.open_bodies if body[0] != frame["run"]}
        for listener in self.on_entries:
            listener([])

    def _own_point(self, connection: Connection, frame: Frame) -> None:
        """`tape.crash_point`: asked on a connection of its own; the answer lets the author's code go on."""
        peer = self._by_nonce.get(frame["nonce"])
        hit = None
        if peer is not None:
            for position, arm in enumerate(self._arms):
                if arm.point.name == frame["name"] and arm.matches(frame["run"], None, None):
                    if arm.nth > 1:
                        self._arms[position] = replace(arm, nth=arm.nth - 1)
                        continue
                    hit = self._arms.pop(position)
                    break
        if peer is not None and hit is not None:
            if hit.death is Death.TERM:
                self._tell_point(hit, peer, frame["run"])
                self._ender.terminate(peer.number, f"terminated at {hit.point.name}")
            else:
                self._end_at(hit, peer, frame["run"])
                return
        connection.send({"t": "answer"})

    def _order(self, connection: Connection, frame: Frame) -> None:
        """An operator's order: answered when it is durable, without stopping the loop."""
        future = self._operator(self, frame)

        def answer() -> None:
            error = future.exception()
            if error is None:
                connection.send({"t": "answer", "result": future.result()})
            else:
                kind = type(error).__name__ if isinstance(error, TapeError) else "TapeError"
                connection.send({"t": "answer", "error": {"type": kind, "message": str(error)}})

        future.add_done_callback(lambda _: self._do(answer))

    # --- commits ----------------------------------------------------------------------------------------------

    def _commit(self, jobs: list[_Job], boundaries: list[_Boundary], *, lose: bool = False) -> None:
        """One transaction for all of it, what could wait first; then replies, pushes and listeners. An armed point
        commits alone."""
        boundaries, self._lazy = [*self._lazy, *boundaries], []
        if not jobs and not boundaries:
            return
        outcomes = self.writer.commit([*(job.verb for job in jobs), *(item.verb for item in boundaries)])
        entries: list[Entry] = [entry for outcome in outcomes for entry in outcome.entries]
        self._note(entries)
        for listener in self.on_entries:
            listener(entries)
        for job, outcome in zip(jobs, outcomes, strict=False):
            if outcome.error is not None:
                job.future.set_exception(outcome.error)
            else:
                if job.after is not None:
                    job.after(outcome.result)
                job.future.set_result(outcome.result)
        for item, outcome in zip(boundaries, outcomes[len(jobs) :], strict=True):
            self._reply(item, outcome, lose=lose)
        self._push(entries)

    def _reply(self, item: _Boundary, outcome: Outcome[Frame], *, lose: bool) -> None:
        peer, frame, error = item.peer, item.frame, outcome.error
        if error is None:
            reply = _answer(frame, "ok", outcome.result or {})
            if frame["t"] in ("begin", "attempt") and not lose:
                self._note_body(peer, frame)
        elif isinstance(error, JournalUnavailable):
            peer.replies[frame["run"], frame["epoch"]].pop(frame["n"], None)
            self.on_trouble(str(error))
            peer.send(_answer(frame, "busy", {}))
            return
        else:
            reply = _answer(frame, "refused", refusal(error))
            self._keep_evidence(peer, frame, error)
        if lose:
            peer.replies.setdefault((frame["run"], frame["epoch"]), {})[frame["n"]] = reply
            if peer.connection is not None:
                self._hang_up(peer.connection)
            return
        arm = None
        if error is None and self._arms and frame.get("waits") is not False:
            arm = self._hit(frame["t"], Stage.COMMITTED, frame["run"], *subject_of(frame))
        if arm is None:
            peer.reply(reply)
        else:
            self._committed_at(arm, peer, frame, reply)

    def _note_body(self, peer: WorkerPeer, frame: Frame) -> None:
        if frame["t"] == "attempt":
            peer.open_bodies.add((frame["run"], frame["key"]))
        elif frame["call"]["policy"]["dispatch"] == "inline":
            call = frame["call"]
            index = "-" if call["decision_index"] is None else call["decision_index"]
            peer.open_bodies.add((frame["run"], f"{frame['run']}/{index}/{call['ordinal']}/{call['tool']}"))

    def _committed_at(self, arm: Arm, peer: WorkerPeer, frame: Frame, reply: Frame) -> None:
        """An armed *committed* point: the reply is withheld from the dead, or given in the way that was chosen."""
        mine = {body for body in peer.open_bodies if frame["t"] in ("begin", "attempt") and body[0] == frame["run"]}
        if arm.death is Death.KILL:
            self._end_at(arm, peer, frame["run"])
        elif arm.death is Death.STOP:
            if len(peer.open_bodies) > (1 if mine else 0):
                self._arms.append(arm)
                peer.reply(reply)
                return
            peer.held_replies.append(reply)
            self._freeze(arm, peer, frame["run"])
        elif arm.death is Death.TERM:
            self._tell_point(arm, peer, frame["run"])
            self._ender.terminate(peer.number, f"terminated at {arm.point.name}")
            peer.reply(reply)
        else:
            self._tell_point(arm, peer, frame["run"])
            peer.replies.setdefault((frame["run"], frame["epoch"]), {})[frame["n"]] = reply
            if peer.connection is not None:
                self._hang_up(peer.connection)

    def _keep_evidence(self, peer: WorkerPeer, frame: Frame, error: TapeError) -> None:
        """A fenced write is kept as evidence; a fenced outcome may contradict a final state."""
        if not isinstance(error, Fenced):
            return
        run_id, epoch, kind, worker, why = frame["run"], frame["epoch"], frame["t"], peer.number, str(error)
        ending = frame.get("ending", {})
        if kind == "end" and ending.get("how") in ("returned", "failed"):
            key, certain = frame["key"], ending_of(ending)
            job = _Job(lambda tx: claims.note_fenced_end(tx, run_id, worker, epoch, key, certain), Future())
        else:
            job = _Job(lambda tx: workers.refuse_write(tx, run_id, worker, epoch, kind, why, None), Future())
        self._jobs.put(job)
        os.write(self._wake_write, b"x")

    def _note(self, entries: list[Entry]) -> None:
        """Keeps who drives what, from the entries themselves."""
        for entry in entries:
            if entry.run_id is None:
                continue
            if isinstance(entry.event, LeaseGranted):
                self._driving[entry.run_id] = (entry.event.worker, entry.event.epoch)
                peer = self.peers.get(entry.event.worker)
                if peer is not None:
                    peer.drives[entry.run_id] = entry.event.epoch
                    peer.alone = entry.event.alone
            elif isinstance(entry.event, LeaseEnded):
                self._driving.pop(entry.run_id, None)

    def _push(self, entries: list[Entry]) -> None:
        """Sends drives to whom they were granted, and reactors' records to whom drives the run."""
        for entry in entries:
            event = entry.event
            if entry.run_id is None:
                continue
            if isinstance(event, LeaseGranted):
                self._send_drive(entry.run_id, event)
            elif isinstance(event, TimerFired) or (isinstance(event, EffectEnded) and event.writer != "agent"):
                driver = self._driving.get(entry.run_id)
                peer = self.peers.get(driver[0]) if driver else None
                if driver and peer:
                    body = _body_of(event)
                    peer.send(
                        {
                            "t": "record",
                            "run": entry.run_id,
                            "epoch": driver[1],
                            "seq": entry.seq,
                            "kind": event.kind,
                            "body": body,
                        }
                    )

    def _send_drive(self, run_id: str, granted: LeaseGranted) -> None:
        peer = self.peers.get(granted.worker)
        if peer is None:
            return
        arm = self._hit("grant", Stage.COMMITTED, run_id, None, None)
        if arm is not None and arm.death is Death.KILL:
            self._end_at(arm, peer, run_id)
            return
        tape = self._read(lambda tx: records.drive_of(tx, run_id))
        whole: list[Any] = tape["records"]
        for start in range(0, len(whole), TAPE_CHUNK_RECORDS):
            chunk = whole[start : start + TAPE_CHUNK_RECORDS]
            peer.send({"t": "tape", "run": run_id, "epoch": granted.epoch, "records": chunk})
        del tape["records"]
        peer.send(
            {
                "t": "drive",
                "run": run_id,
                "epoch": granted.epoch,
                "drive": granted.drive,
                "armed": bool(self._arms),
                **tape,
            }
        )

    def _read(self, verb: Callable[[Tx], T]) -> T:
        """Reads on the writing connection, on the server's thread."""
        return self.writer.apply(verb)

    def push_cancel(self, run_id: str) -> None:
        """Tells the driver of a run that it is being cancelled."""
        driver = self._driving.get(run_id)
        peer = self.peers.get(driver[0]) if driver else None
        if driver and peer:
            peer.send({"t": "cancel", "run": run_id, "epoch": driver[1]})

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, Connection):
                key.data.close()
        self._listener.close()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)


def _thaw_verb(worker: int) -> Verb:
    return lambda tx: workers.move_worker(tx, worker, WorkerTrigger.THAW)


def _answer(frame: Frame, kind: str, fields: dict[str, Any]) -> Frame:
    return {**fields, "t": kind, "run": frame["run"], "epoch": frame["epoch"], "n": frame["n"]}


def _body_of(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__dataclass_fields__}


def _listen(path: str) -> socket.socket:
    """The socket, readable by its owner only. A left-over one is taken away: the lock says that nobody serves it."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise Refused(f"cannot listen at {path}: {error}") from None
    os.chmod(path, 0o600)
    listener.listen(64)
    listener.setblocking(False)
    return listener
