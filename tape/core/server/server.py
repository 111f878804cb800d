"""tape-server's one thread: whatever has arrived, from agents, reactors and operators, becomes one commit.

The thread never waits for a peer, and no user code runs in it. Crash points are in `points`, because every boundary
passes here (api.md sections 2 and 5).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

from tape.core.clock import Clock
from tape.core.journal import claims, records, runs, workers
from tape.core.journal.transaction import Tx
from tape.core.journal.writer import Outcome, Writer
from tape.core.kernel.errors import EnvironmentTrouble, Fenced, JournalUnavailable, TapeError, UsageError, one_line
from tape.core.kernel.events import EffectEnded, Entry, LeaseEnded, LeaseGranted, RunEnded, RunMoved, TimerFired
from tape.core.kernel.lifecycle import RUN_ENDS, WorkerTrigger
from tape.core.kernel.points import Arm, Stop
from tape.core.kernel.policy import LeasePolicy, RecoveryPolicy
from tape.core.kernel.resolution import Writer as By
from tape.core.server.boundaries import Verb, answer_to, body_key, ending_of, refusal, verb_of
from tape.core.server.hooks import Hooks
from tape.core.server.peers import Connection, WorkerPeer
from tape.core.server.points import CrashPoints
from tape.core.server.switchboard import Switchboard
from tape.core.wire import Frame

T = TypeVar("T")
TAPE_CHUNK_RECORDS = 200
LAZY_US = 2_000
BOUNDARIES = frozenset(
    ("ask", "decision", "sample", "timer", "attach", "begin", "attempt", "end", "park", "diverge", "finish")
)

Operator = Callable[["Server", Frame], "Future[dict[str, Any]]"]


@dataclass(slots=True)
class _Job:
    """A verb from a reactor, the supervisor or an operator, and what is done on this thread after its commit."""

    verb: Callable[[Tx], Any]
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
        self.peers: dict[int, WorkerPeer] = {}
        self.points = CrashPoints(self)
        self.hooks = Hooks(clock, self.points, policy.lease.ttl_us)
        self._writer = writer
        self._operator = operator
        self._board = Switchboard(socket_path)
        self._by_nonce: dict[str, WorkerPeer] = {}
        self._early: dict[str, tuple[Connection, Frame]] = {}
        self._driving: dict[str, tuple[int, int]] = {}
        self._jobs: queue.SimpleQueue[_Job | Callable[[], None]] = queue.SimpleQueue()
        self._lazy: list[_Boundary] = []
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
                self.submit(died, lambda _: self._forget(number, how)).result()
                return
            except JournalUnavailable as error:
                self.on_trouble(str(error))
                self.clock.sleep(0.2)

    def _take_rest(self, number: int) -> None:
        peer = self.peers.get(number)
        boundaries: list[_Boundary] = []
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

    def _forget(self, number: int, how: str) -> None:
        peer = self.peers.pop(number, None)
        if peer is None:
            return
        self._by_nonce.pop(peer.nonce, None)
        if peer.connection is not None:
            self.hang_up(peer.connection)
        self.hooks.lose(peer, how)

    # --- the pool: called by the reactors ---------------------------------------------------------------------

    def hook_worker(self, *, alone: bool = False) -> int | None:
        """A worker that may run a hook now: it drives no run. With `alone`, it runs no other hook, and gets none until
        this one is over."""
        free: list[WorkerPeer] = []
        for peer in list(self.peers.values()):
            busy = peer.runs_hooks()
            peer.alone_hook = peer.alone_hook and busy
            if peer.takes_work() and not peer.drives and not (busy and (alone or peer.alone_hook)):
                free.append(peer)
        free.sort(key=lambda peer: (len(peer.hooks), peer.number))
        if not free:
            return None
        free[0].alone_hook = alone
        return free[0].number

    def driver_for(self, *, alone: bool) -> int | None:
        """A worker with room for one more run: it runs no hook, and carries fewer runs than it may."""
        room = 1 if alone else self.policy.concurrency
        free = [
            peer
            for peer in list(self.peers.values())
            if peer.takes_work() and not peer.runs_hooks()
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
        boundaries: list[_Boundary] = []
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

    def hang_up(self, connection: Connection) -> None:
        self._board.hang_up(connection)

    # --- frames -----------------------------------------------------------------------------------------------

    def _take(self, connection: Connection, frame: Frame, boundaries: list[_Boundary]) -> None:
        """One frame. One that does not make sense ends its connection, and nothing else."""
        try:
            self._sort(connection, frame, boundaries)
        except (KeyError, TypeError, ValueError) as error:
            self.on_trouble(f"a peer sent what nobody understands ({error!r}): its connection was ended")
            self.hang_up(connection)

    def _sort(self, connection: Connection, frame: Frame, boundaries: list[_Boundary]) -> None:
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
            self._boundary(peer, frame, boundaries)
        elif kind == "beat":
            self._beat(peer, frame)
        elif kind == "hook_result":
            self.hooks.take_answer(peer, frame)
        elif kind == "idle":
            self._idle(peer, frame)
        elif kind == "leaving":
            self._let_go(peer)
        elif kind == "manifest":
            self._take_manifest(frame)

    def _own_point(self, connection: Connection, frame: Frame) -> None:
        def go_on() -> None:
            connection.send({"t": "answer"})

        asking = self._by_nonce.get(frame["nonce"])
        if asking is None:
            go_on()
        else:
            self.points.own(asking, frame, go_on)

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
        peer.send({"t": "welcome", "worker": peer.number, "heartbeat_us": heartbeat_us, "armed": armed})
        if frame.get("again"):
            self._compare(peer, frame)
        if not peer.ready:
            self.submit(
                lambda tx: workers.move_worker(tx, peer.number, WorkerTrigger.HELLO), lambda _: self._ready(peer)
            )

    def _compare(self, peer: WorkerPeer, frame: Frame) -> None:
        """After a lost connection: what was on its way in either direction, and is no boundary, is made up for. The
        worker says what it has in hand; it takes nothing twice."""
        in_hand: dict[str, int] = frame["drives"]
        for run_id, epoch in list(peer.drives.items()):
            if in_hand.get(run_id) == epoch:
                for pushed in peer.pushed.get(run_id, []):
                    peer.send(pushed)
            elif self.points.steps.withholds_drive(run_id, epoch):
                continue
            elif not self.drives(peer, run_id, epoch):
                self._idle(peer, {"run": run_id, "epoch": epoch})
            elif (run_id, epoch) in peer.replies:
                self.points.end(peer, f"it has given up {run_id} without a word")
            else:
                self.send_drive(peer, run_id, epoch)
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
        self._notify([])

    def _boundary(self, peer: WorkerPeer, frame: Frame, boundaries: list[_Boundary]) -> None:
        known, number = peer.replies_of(frame), frame["n"]
        known.forget(frame.get("had", 0))
        if number in known.kept:  # sent again after a lost connection: the same answer, or none yet
            reply = known.kept[number]
            if reply is not None:
                peer.send(reply)
            return
        if number <= known.had:
            return  # it had that answer, and says so itself
        if number > known.next():  # the one before it could not be written, and comes again: never out of order
            peer.send(answer_to(frame, "busy", {}))
            return
        known.kept[number] = None
        if frame["t"] == "end":
            peer.open_bodies.discard((frame["run"], frame["key"]))
        verb = self._verb_of(peer, frame)
        if verb is None:
            return
        if self.points.steps.defer(frame["run"], frame["epoch"], lambda: self._take_turn(peer, frame, verb)):
            return
        if not self.points.waits() or frame.get("waits") is False:
            boundaries.append(_Boundary(peer, frame, verb))
            return
        self._commit([], [*boundaries])
        boundaries.clear()
        self._take_turn(peer, frame, verb)

    def _take_turn(self, peer: WorkerPeer, frame: Frame, verb: Verb) -> None:
        """A boundary that may be a place to stop or to die: taken alone, after every earlier one of its drive."""
        known = peer.replies_of(frame)
        if not known.follows(frame["n"]):
            known.kept.pop(frame["n"], None)
            peer.send(answer_to(frame, "busy", {}))
        elif not self.points.received(peer, frame, verb):
            self.commit_boundary(peer, frame, verb)

    def _verb_of(self, peer: WorkerPeer, frame: Frame) -> Verb | None:
        try:
            return verb_of(frame, self.policy.recovery)
        except (TapeError, KeyError, TypeError, ValueError) as error:
            bad = UsageError(f"a frame that the server does not understand: {error}")
            peer.reply(answer_to(frame, "refused", refusal(bad)))
            return None

    def take_held(self, peer: WorkerPeer, frame: Frame) -> None:
        """A frame that a freeze withheld is taken as if it arrived now."""
        verb = self._verb_of(peer, frame)
        if verb is not None:
            self.commit_boundary(peer, frame, verb)

    def _beat(self, peer: WorkerPeer, frame: Frame) -> None:
        self.hooks.heard(peer)
        silent_us = min(frame["silent_us"], self.clock.boot_us() - peer.let_go_boot_us)
        if silent_us > self.policy.lease.stall_us and not self.points.steps.blocks_loop(peer):
            self.points.end(peer, f"its event loop was silent for {silent_us // 1_000_000} s")
        elif peer.drives:
            ttl_us = self.policy.lease.ttl_us
            self.submit(lambda tx: runs.renew_leases(tx, peer.number, ttl_us))

    def _take_manifest(self, frame: Frame) -> None:
        declared = {part: frame.get(part) for part in ("agents", "tools")}
        if not all(_are_named(items) for items in declared.values()):
            self.on_trouble("a worker told what the project declares, and it makes no sense: it is passed over")
            return
        self.manifest = declared
        for listener in self.on_manifest:
            listener()

    def _idle(self, peer: WorkerPeer, frame: Frame) -> None:
        if peer.drives.get(frame["run"]) == frame["epoch"]:
            del peer.drives[frame["run"]]
            peer.pushed.pop(frame["run"], None)
        self.points.steps.drop(frame["run"], frame["epoch"])
        peer.replies.pop((frame["run"], frame["epoch"]), None)
        peer.open_bodies = {body for body in peer.open_bodies if body[0] != frame["run"]}
        self._notify([])

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

        future.add_done_callback(lambda _: self._post(answer))

    # --- commits ----------------------------------------------------------------------------------------------

    def commit_verb(self, verb: Callable[[Tx], Any]) -> None:
        """One verb in a commit of its own."""
        self._commit([_Job(verb, Future())], [])

    def commit_boundary(self, peer: WorkerPeer, frame: Frame, verb: Verb, *, lose: bool = False) -> None:
        """One boundary in a commit of its own; with `lose` its reply is lost with the connection."""
        self._commit([], [_Boundary(peer, frame, verb)], lose=lose)

    def _commit(self, jobs: list[_Job], boundaries: list[_Boundary], *, lose: bool = False) -> None:
        """One transaction for all of it, what could wait first; then listeners, results, replies and pushes."""
        boundaries, self._lazy = [*self._lazy, *boundaries], []
        if not jobs and not boundaries:
            return
        verbs = [*(job.verb for job in jobs), *(item.verb for item in boundaries)]
        drives: list[Hashable] = [None for _ in jobs]
        drives += [(item.frame["run"], item.frame["epoch"]) for item in boundaries]
        outcomes = self._writer.commit(verbs, drives)
        entries = [entry for outcome in outcomes for entry in outcome.entries]
        self._note(entries)
        if entries:  # a batch that was refused as a whole is no news: it must not wake whoever asked for it
            self._notify(entries)
        for job, outcome in zip(jobs, outcomes, strict=False):
            if outcome.error is not None:
                job.future.set_exception(outcome.error)
            else:
                if job.after is not None:
                    job.after(outcome.result)
                job.future.set_result(outcome.result)
        self._push(entries)  # before the replies: an agent sees the records of a commit before it goes on
        for item, outcome in zip(boundaries, outcomes[len(jobs) :], strict=True):
            self._reply(item.peer, item.frame, outcome, lose=lose)

    def _notify(self, entries: list[Entry]) -> None:
        for listener in self.on_entries:
            listener(entries)

    def _reply(self, peer: WorkerPeer, frame: Frame, outcome: Outcome[Frame], *, lose: bool) -> None:
        error = outcome.error
        if isinstance(error, JournalUnavailable):
            peer.replies_of(frame).kept.pop(frame["n"], None)
            self.on_trouble(str(error))
            peer.send(answer_to(frame, "busy", {}))
            return
        if error is None:
            reply = answer_to(frame, "ok", {**(outcome.result or {}), "records": _records(outcome.entries)})
            body = body_key(frame)
            if body is not None:
                peer.open_bodies.add(body)
        else:
            reply = answer_to(frame, "refused", refusal(error))
            self.keep_evidence(peer, frame, error)
        if lose:
            self.lose_reply(peer, reply)
            return
        if self.points.steps.defer(frame["run"], frame["epoch"], lambda: self.points.give(peer, frame, reply)):
            return
        waits = self.points.waits() and error is None and frame.get("waits") is not False
        if not (waits and self.points.committed(peer, frame, reply)):
            peer.reply(reply)

    def lose_reply(self, peer: WorkerPeer, reply: Frame) -> None:
        """Hangs up instead of answering; the agent dials again, sends again, and gets the same answer."""
        peer.keep(reply)
        if peer.connection is not None:
            self.hang_up(peer.connection)

    def keep_evidence(self, peer: WorkerPeer, frame: Frame, error: TapeError) -> None:
        """A fenced write is kept as evidence; a fenced outcome may contradict a final state."""
        if not isinstance(error, Fenced):
            return
        run_id, epoch, kind, worker, why = frame["run"], frame["epoch"], frame["t"], peer.number, str(error)
        ending = frame.get("ending", {})
        if kind == "end" and ending.get("how") in ("returned", "failed"):
            key, certain = frame["key"], ending_of(ending)
            self.submit(lambda tx: claims.note_fenced_end(tx, run_id, worker, epoch, key, certain))
        else:
            self.submit(lambda tx: workers.refuse_write(tx, run_id, worker, epoch, kind, why, None))

    def _disarm_of(self, run_id: str) -> None:
        """What was armed for a run that has ended can never be reached."""
        self.points.disarm(lambda arm: arm.run_id == run_id)

    # --- who drives what --------------------------------------------------------------------------------------

    def drives(self, peer: WorkerPeer, run_id: str, epoch: int) -> bool:
        """Whether this worker's lease of that epoch is the run's live one."""
        return self._driving.get(run_id) == (peer.number, epoch)

    def driven(self) -> list[str]:
        """The runs that are under a lease, or stopped at their end. On the server's thread."""
        return sorted({*self._driving, *self.points.steps.runs_stopped})

    def _note(self, entries: list[Entry]) -> None:
        """Keeps who drives what, from the entries themselves."""
        for entry in entries:
            event, run_id = entry.event, entry.run_id
            if run_id is None:
                continue
            if isinstance(event, LeaseGranted):
                self._driving[run_id] = (event.worker, event.epoch)
                peer = self.peers.get(event.worker)
                if peer is not None:
                    peer.drives[run_id] = event.epoch
                    peer.alone = event.alone
            elif isinstance(event, LeaseEnded):
                self._driving.pop(run_id, None)
                self.points.steps.lease_ended(run_id)
            elif isinstance(event, RunEnded) or (isinstance(event, RunMoved) and event.status in RUN_ENDS):
                self.soon(lambda run_id=run_id: self.points.steps.ended(run_id))
                if isinstance(event, RunMoved):
                    self.soon(lambda run_id=run_id: self._disarm_of(run_id))

    def _push(self, entries: list[Entry]) -> None:
        """Sends drives to whom they were granted, and reactors' records to whoever drives the run."""
        for entry in entries:
            event = entry.event
            if entry.run_id is None:
                continue
            if isinstance(event, LeaseGranted):
                peer = self.peers.get(event.worker)
                if peer is not None and not self.points.granted(peer, entry.run_id, event.epoch):
                    self.send_drive(peer, entry.run_id, event.epoch)
            elif isinstance(event, TimerFired) or (isinstance(event, EffectEnded) and event.writer != By.AGENT):
                record = {"t": "record", "seq": entry.seq, "kind": event.kind, "body": asdict(event)}
                self._send_to_driver(entry.run_id, record)

    def _send_to_driver(self, run_id: str, frame: Frame) -> None:
        driver = self._driving.get(run_id)
        peer = self.peers.get(driver[0]) if driver else None
        if driver and peer:
            pushed = {**frame, "run": run_id, "epoch": driver[1]}
            peer.pushed.setdefault(run_id, []).append(pushed)
            peer.send(pushed)

    def push_cancel(self, run_id: str) -> None:
        """Tells the driver of a run that it is being cancelled; if the run is stopped, it goes on."""
        self._send_to_driver(run_id, {"t": "cancel"})
        self.points.go(run_id)

    def send_drive(self, peer: WorkerPeer, run_id: str, epoch: int) -> None:
        """What the worker needs to take the run up, if the lease is still its own; the last frame starts it. If the
        journal cannot be read now, the worker is made to dial again."""
        if not self.drives(peer, run_id, epoch):
            self._idle(peer, {"run": run_id, "epoch": epoch})
            return
        try:
            drive = self._writer.apply(lambda tx: records.drive_of(tx, run_id))
        except JournalUnavailable as error:
            self.on_trouble(str(error))
            if peer.connection is not None:
                self.hang_up(peer.connection)
            return
        head = {"run": run_id, "epoch": epoch}
        whole: list[Any] = drive.pop("records")
        for start in range(0, len(whole), TAPE_CHUNK_RECORDS):
            _send_tape(peer, head, whole[start : start + TAPE_CHUNK_RECORDS])
        peer.send({"t": "drive", **head, **drive, "armed": self.points.waits()})


def _are_named(items: Any) -> bool:
    """Whether these are objects with a name each."""
    if not isinstance(items, list):
        return False
    listed = cast(list[Any], items)
    return all(isinstance(item, dict) and isinstance(cast(Frame, item).get("name"), str) for item in listed)


def _send_tape(peer: WorkerPeer, head: Frame, records: list[Any]) -> None:
    """In one frame, or in several if they are too large for one."""
    try:
        peer.send({"t": "tape", **head, "records": records})
    except UsageError:
        if len(records) == 1:
            raise
        middle = len(records) // 2
        _send_tape(peer, head, records[:middle])
        _send_tape(peer, head, records[middle:])


def _records(entries: Iterable[Entry]) -> int:
    """How many of these stand on the tape: the agent must have seen every record before it hands over a later one."""
    return sum(entry.seq is not None for entry in entries)
