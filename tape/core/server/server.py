"""tape-server's one thread: whatever has arrived, from agents, reactors and operators, becomes one commit.

The thread never waits for a peer, and no user code runs in it. Crash points are in `points`, because every boundary
passes here (api.md sections 2 and 5).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from tape.core.clock import Clock
from tape.core.journal import workers
from tape.core.journal.transaction import Tx
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import EnvironmentTrouble, JournalUnavailable, TapeError, one_line
from tape.core.kernel.events import Entry
from tape.core.kernel.lifecycle import WorkerTrigger
from tape.core.kernel.points import Arm, Stop
from tape.core.kernel.policy import LeasePolicy, RecoveryPolicy
from tape.core.server.boundaries import BOUNDARIES, Verb
from tape.core.server.choosing import Choosing
from tape.core.server.drives import Drives
from tape.core.server.exchange import Boundary, Exchange
from tape.core.server.hooks import Hooks
from tape.core.server.manifest import declared_by
from tape.core.server.order_shapes import misshapen
from tape.core.server.peers import Connection, WorkerPeer
from tape.core.server.points import CrashPoints
from tape.core.server.switchboard import Switchboard
from tape.core.wire import Frame

T = TypeVar("T")
LAZY_US = 2_000

Operator = Callable[["Server", Frame], "Future[dict[str, Any]]"]


@dataclass(slots=True)
class _Job:
    """A verb from a reactor, the supervisor or an operator, and what is done on this thread after its commit."""

    verb: Callable[[Tx], Any]
    future: Future[Any]
    after: Callable[[Any], None] | None = None


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    lease: LeasePolicy
    recovery: RecoveryPolicy
    concurrency: int = 1


class Server:
    """The one writer of a journal.

    `submit`, `call`, `do` and what is built on them may be called from any thread; everything else is for the
    server's own. An error that nobody foresaw ends the thread: `fatal` holds it, whoever waits gets an
    EnvironmentTrouble, and the host stops. The next start recovers.
    """

    def __init__(
        self, writer: Writer, socket_path: str, clock: Clock, policy: ServerPolicy, operator: Operator
    ) -> None:
        self.clock = clock
        self.policy = policy
        self.fatal: BaseException | None = None
        self.on_entries: list[Callable[[list[Entry]], None]] = []
        self.on_trouble: Callable[[str], None] = lambda text: None
        self.on_failed_load: Callable[[int, str], None] = lambda worker, why: None
        self.on_manifest: list[Callable[[], None]] = []
        self.manifest: dict[str, Any] | None = None
        """What the project declares, as the newest worker told it (agent/manifest.py): `agents` and `tools`."""
        self.redact_key = ""
        self.peers: dict[int, WorkerPeer] = {}
        self.points = CrashPoints(self)
        self.hooks = Hooks(clock, self.points, policy.lease.ttl_us)
        self.drives = Drives(self, writer)
        self.exchange = Exchange(self)
        self._choosing = Choosing(self.peers, policy.concurrency)
        self._writer = writer
        self._operator = operator
        self._board = Switchboard(socket_path)
        self._by_nonce: dict[str, WorkerPeer] = {}
        self._early: dict[str, tuple[Connection, Frame]] = {}
        self._jobs: queue.SimpleQueue[_Job | Callable[[], None]] = queue.SimpleQueue()
        self._lazy: list[Boundary] = []
        self._lazy_until_us = 0
        self._stopping = False
        self._over = False
        self._gate = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="tape-server", daemon=True)

    # --- from any thread --------------------------------------------------------------------------------------

    def run(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; what was submitted before is committed first."""
        self._post(self._set_stopping)
        self._thread.join()

    def _set_stopping(self) -> None:
        self._stopping = True

    def _post(self, job: _Job | Callable[[], None]) -> None:
        self._jobs.put(job)
        self._board.wake()

    def _expect(self, future: Future[Any]) -> None:
        """Keeps the future, so that it is failed and not forgotten if the thread ends."""
        with self._gate:
            if not self._over:
                self._waiting.add(future)
                future.add_done_callback(self._waiting.discard)
                return
        why = "it was stopped" if self.fatal is None else one_line(self.fatal)
        future.set_exception(EnvironmentTrouble(f"the server has ended: {why}"))

    def submit(self, verb: Callable[[Tx], T], after: Callable[[T], None] | None = None) -> Future[T]:
        """Queues a verb for the next commit; the future holds its result or its error. `after` runs on the server's
        thread once it is durable."""
        future: Future[T] = Future()
        self._expect(future)
        self._post(_Job(verb, future, after))
        return future

    def call(self, verb: Callable[[Tx], T]) -> T:
        """The verb's result, once it is durable. Raises its error."""
        return self.submit(verb).result()

    def do(self, work: Callable[[], T]) -> T:
        """The result of `work`, run on the server's thread. Raises its TapeError."""
        future: Future[T] = Future()
        self._expect(future)

        def run() -> None:
            try:
                future.set_result(work())
            except TapeError as error:
                future.set_exception(error)

        self._post(run)
        return future.result()

    def arm(self, arm: Arm) -> None:
        """Arms a crash point; returns when every connected worker has been told."""
        self.do(lambda: self.arm_here(arm))

    def disarm(self) -> None:
        self.do(self.points.disarm)

    def arms(self) -> list[Arm]:
        """What is armed now."""
        return self.points.arms

    def stops(self) -> list[Stop]:
        """The runs that are stopped now, and where."""
        return list(self.points.steps.stops)

    def soon(self, work: Callable[[], None]) -> None:
        """Runs `work` on the server's thread, after what is being committed now. It must not raise."""
        self._post(work)

    def thaw(self, number: int | None = None) -> list[int]:
        """Lets frozen workers go on. Returns their pids."""
        return self.do(lambda: self.points.thaw(number))

    def arm_here(self, arm: Arm) -> None:
        """`arm`, on the server's thread."""
        self.points.arm(arm)

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
                self.submit(died, lambda _: self._forget(number, how, proven)).result()
                return
            except JournalUnavailable as error:
                self.on_trouble(str(error))
                self.clock.sleep(0.2)

    def _take_rest(self, number: int) -> None:
        peer = self.peers.get(number)
        boundaries: list[Boundary] = []
        if peer is not None:
            peer.leaving = True  # nothing of it stops any more
        if peer is not None and peer.connection is not None and not (peer.doomed or peer.frozen):
            connection = peer.connection
            while frames := connection.receive():
                for frame in frames:
                    self._take(connection, frame, boundaries)
        self._commit([], boundaries)
        if peer is not None:  # last: what came behind a stop is dropped with it
            self.points.steps.lose(peer)

    def _forget(self, number: int, how: str, proven: bool) -> None:
        peer = self.peers.pop(number, None)
        if peer is None:
            return
        self._by_nonce.pop(peer.nonce, None)
        if peer.connection is not None:
            self.hang_up(peer.connection)
        self.hooks.lose(peer, how, proven=proven)

    # --- who does what: called by the reactors, and for orders ------------------------------------------------

    def hook_worker(self, *, alone: bool = False) -> int | None:
        """A worker that may run a hook now: it drives no run. With `alone`, it runs no other hook, and gets none until
        this one is over."""
        return self._choosing.hook_worker(alone=alone)

    def driver_for(self, *, alone: bool) -> int | None:
        """A worker with room for one more run: it runs no hook, and carries fewer runs than it may."""
        return self._choosing.driver_for(alone=alone)

    def driving(self) -> int:
        """How many runs are being driven."""
        return self._choosing.driving()

    def driven(self) -> list[str]:
        """The runs that are under a lease, or stopped at their end. On the server's thread."""
        return self.drives.driven()

    def push_cancel(self, run_id: str) -> None:
        """Tells the driver of a run that it is being cancelled; if the run is stopped, it goes on."""
        self.drives.push_cancel(run_id)

    def hook(self, worker: int, what: str, key: str, effect: dict[str, Any], limit_us: int) -> Future[Frame]:
        """Sends a hook to a worker; the future holds its answer, or HookLost."""
        future: Future[Frame] = Future()
        self._expect(future)
        peer = self.peers.get(worker)
        if peer is not None:
            peer.promised.add(future)
        self._post(lambda: self.hooks.send(peer, what, key, effect, limit_us, future))
        return future

    # --- the loop ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._round()
        except Exception as error:  # nobody foresaw it: better no server than one that half works
            self.fatal = error
            self.on_trouble(f"the server ends: {type(error).__name__}: {one_line(error)}")
        finally:
            with self._gate:
                self._over = True
            self._board.flush()
            self._board.close()
            for future in list(self._waiting):
                future.set_exception(EnvironmentTrouble("the server has ended; the next start takes up what is open"))

    def _round(self) -> None:
        boundaries: list[Boundary] = []
        for connection, frames in self._board.wait(self._patience()):
            for frame in frames:
                self._take(connection, frame, boundaries)
        jobs, works = self._queued()
        if jobs or works or not self._can_wait(boundaries):
            self._commit(jobs, boundaries)
        for work in works:
            work()
        self.hooks.end_late(self.peers.values())
        self._board.flush()

    def _queued(self) -> tuple[list[_Job], list[Callable[[], None]]]:
        jobs: list[_Job] = []
        works: list[Callable[[], None]] = []
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs, works
            if isinstance(job, _Job):
                jobs.append(job)
            else:
                works.append(job)

    def _patience(self) -> float | None:
        if not self._jobs.empty():
            return 0
        now = self.clock.boot_us()
        deadline = self.hooks.next_deadline_us(self.peers.values())
        if self._lazy:
            deadline = min(deadline, self._lazy_until_us)
        return None if deadline - now > 1 << 50 else max(0.0, (deadline - now) / 1_000_000)

    def _can_wait(self, boundaries: list[Boundary]) -> bool:
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

    def hang_up(self, connection: Connection) -> None:
        self._board.hang_up(connection)

    # --- frames -----------------------------------------------------------------------------------------------

    def _take(self, connection: Connection, frame: Frame, boundaries: list[Boundary]) -> None:
        """One frame. One that does not make sense ends its connection, and nothing else."""
        try:
            self._sort(connection, frame, boundaries)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.on_trouble(f"a peer sent what nobody understands ({error!r}): its connection was ended")
            self.hang_up(connection)

    def _sort(self, connection: Connection, frame: Frame, boundaries: list[Boundary]) -> None:
        kind, peer = frame["t"], connection.worker
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
            self.exchange.take(peer, frame, boundaries)
        elif kind == "beat":
            self.hooks.heard(peer)
            self.drives.renew(peer, frame["silent_us"])
        elif kind == "hook_result":
            self.hooks.take_answer(peer, frame)
        elif kind == "idle":
            self.drives.give_up(peer, frame["run"], frame["epoch"])
        elif kind == "leaving":
            self._let_go(peer)
        elif kind == "manifest":
            self._take_manifest(frame)

    def _own_point(self, connection: Connection, frame: Frame) -> None:
        asking = self._by_nonce.get(frame["nonce"])
        if asking is None:
            connection.send({"t": "answer"})
        else:
            self.points.own(asking, frame, lambda: connection.send({"t": "answer"}))

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
        if peer.connection is not None and peer.connection is not connection:
            self.hang_up(peer.connection)
        connection.worker, peer.connection = peer, connection
        armed, heartbeat_us = self.points.waits(), self.policy.lease.heartbeat_us
        welcome: Frame = {"t": "welcome", "worker": peer.number, "heartbeat_us": heartbeat_us, "armed": armed}
        peer.send({**welcome, "redact_key": self.redact_key})
        if frame.get("again"):
            self._compare(peer, frame)
        if not peer.ready:
            self.submit(
                lambda tx: workers.move_worker(tx, peer.number, WorkerTrigger.HELLO), lambda _: self._ready(peer)
            )

    def _compare(self, peer: WorkerPeer, frame: Frame) -> None:
        """After a lost connection: the worker says what it has in hand, and what it lacks comes again."""
        self.drives.compare(peer, frame["drives"])
        self.hooks.send_again(peer, frame["hooks"])
        if frame["leaving"]:
            self._let_go(peer)

    def _let_go(self, peer: WorkerPeer) -> None:
        """The worker drains: it gets nothing new, and its runs stop nowhere. Whatever is on its way to it comes before
        this answer."""
        peer.leaving = True
        self.points.steps.release_all(peer)
        self.soon(lambda: peer.send({"t": "left"}))

    def _ready(self, peer: WorkerPeer) -> None:
        peer.ready = True
        self.notify([])

    def _take_manifest(self, frame: Frame) -> None:
        declared = declared_by(frame)
        if declared is None:
            self.on_trouble("a worker told what the project declares, and it makes no sense: it is passed over")
            return
        self.manifest = declared
        for listener in self.on_manifest:
            listener()

    def _order(self, connection: Connection, frame: Frame) -> None:
        """An operator's order: answered when it is durable, without stopping the loop."""
        wrong = misshapen(frame)
        if wrong is not None:
            told = {"type": "UsageError", "message": f"an order that is not understood: {wrong}"}
            connection.send({"t": "answer", "error": told})
            return
        future = self._operator(self, frame)

        def answer() -> None:
            error = future.exception()
            if error is None:
                connection.send({"t": "answer", "result": future.result()})
            else:
                kind = type(error).__name__ if isinstance(error, TapeError) else "TapeError"
                connection.send({"t": "answer", "error": {"type": kind, "message": str(error)}})

        future.add_done_callback(lambda _: self._post(answer))

    # --- commits ----------------------------------------------------------------------------------------------

    def commit_verb(self, verb: Callable[[Tx], Any]) -> None:
        """One verb in a commit of its own."""
        self._commit([_Job(verb, Future())], [])

    def commit_boundary(self, peer: WorkerPeer, frame: Frame, verb: Verb, *, lose: bool = False) -> None:
        """One boundary in a commit of its own; with `lose` its reply is lost with the connection."""
        self._commit([], [Boundary(peer, frame, verb)], lose=lose)

    def commit_batch(self, batch: list[Boundary]) -> None:
        """These boundaries, and those that could wait, in a commit of their own."""
        self._commit([], batch)

    def _commit(self, jobs: list[_Job], boundaries: list[Boundary], *, lose: bool = False) -> None:
        """One transaction for all of it, what could wait first; then listeners, results, replies and pushes."""
        boundaries, self._lazy = [*self._lazy, *boundaries], []
        if not jobs and not boundaries:
            return
        verbs = [*(job.verb for job in jobs), *(item.verb for item in boundaries)]
        drives: list[Hashable] = [None for _ in jobs]
        drives += [(item.frame["run"], item.frame["epoch"]) for item in boundaries]
        outcomes = self._writer.commit(verbs, drives)
        entries = [entry for outcome in outcomes for entry in outcome.entries]
        self.drives.note(entries)
        if entries:  # a batch that was refused as a whole is no news: it must not wake whoever asked for it
            self.notify(entries)
        for job, outcome in zip(jobs, outcomes, strict=False):
            if outcome.error is not None:
                job.future.set_exception(outcome.error)
            else:
                if job.after is not None:
                    job.after(outcome.result)
                job.future.set_result(outcome.result)
        self.drives.push(entries)  # before the replies: an agent sees the records of a commit before it goes on
        for item, outcome in zip(boundaries, outcomes[len(jobs) :], strict=True):
            self.exchange.reply(item.peer, item.frame, outcome, lose=lose)

    def notify(self, entries: list[Entry]) -> None:
        """Tells the listeners of entries, or with none of them that a worker is free or ready."""
        for listener in self.on_entries:
            listener(entries)
