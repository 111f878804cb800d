"""The composition root: lock, journal, stand-ins, server, supervisor, reactors. What cli, tui and lab call."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from tape.core.clock import Clock, SystemClock
from tape.core.config import Config
from tape.core.journal import workers
from tape.core.journal.work import SQLITE_RELEASE, Work
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import (
    EnvironmentTrouble,
    ServerUnavailable,
    TapeError,
    UsageError,
    one_line,
)
from tape.core.kernel.events import (
    Attached,
    Charge,
    Decision,
    EffectBegun,
    EffectEnded,
    Entry,
    Event,
    ModelAsked,
    Sample,
    ServerStarted,
    TimerSet,
    WorkerMoved,
)
from tape.core.kernel.lifecycle import WorkerStatus
from tape.core.kernel.points import Arm, Stop
from tape.core.kernel.policy import Backoff
from tape.core.kernel.resolution import Dispatch
from tape.core.kernel.resolution import Writer as By
from tape.core.server import acts
from tape.core.server.orders import NEEDS_SERVER, Lock, Order, journal_verb, operator_name, socket_path
from tape.core.server.peers import WorkerPeer
from tape.core.server.server import Server, ServerPolicy
from tape.core.server.spawning import Forks, Launch
from tape.core.server.supervisor import Notices, Supervisor, end_carriers
from tape.core.wire import Frame
from tape.reactors.compensation import Compensation
from tape.reactors.outbox import Outbox
from tape.reactors.reactor import Desk, Reactor
from tape.reactors.reconciler import Reconciler
from tape.reactors.recovery import Recovery, void
from tape.reactors.timers import Timers
from tape.reactors.turnover import Seen, Step, Turnover

PERIOD_SECONDS = 0.05
LOAD_BACKOFF = Backoff(first_us=500_000, cap_us=30_000_000)
EARLY_DEATHS_LIMIT = 5
FOREVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Voice:
    """Whom the host tells what happens outside the journal, from threads of its own."""

    entries: Callable[[list[Entry]], None] = lambda entries: None
    agent_said: Callable[[int, str], None] = lambda pid, line: None
    trouble: Callable[[str], None] = lambda line: None
    reloaded: Callable[[str], None] = lambda what: None


@dataclass(slots=True)
class ReactorState:
    """What one reactor has done, for the console and `status`."""

    name: str
    ticks: int = 0
    moved: int = 0
    last_error: str = ""
    errors: int = field(default=0)


class Host:
    """Everything that runs while `tape dev` or `tape server` runs. Context manager: `with Host(config) as host`.

    `patient`: a project that cannot be loaded never ends the service, not even its start: it waits for a `reload`.
    `drain_seconds`: how long the processes of the old code have, at a reload, to finish what they do.
    `forks`: where agent processes are forked from, for drills; after a reload they are exec'ed, with the new code.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        voice: Voice | None = None,
        environment: Mapping[str, str] | None = None,
        spare: int = 1,
        patient: bool = False,
        drain_seconds: float = 30.0,
        forks: Forks | None = None,
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.voice = voice or Voice()
        self.environment = dict(environment or {})
        self.spare = spare
        self._forks = forks
        self.states: dict[str, ReactorState] = {}
        self._lock = Lock(config.journal)
        self._own_lock = contextlib.ExitStack()
        self._wake = threading.Event()
        self._stopping = False
        self._draining = False
        self._failed: set[int] = set()
        self._failed_loads = 0
        self._hold_until_us = 0
        self._was_ready = False
        self._early_deaths = 0
        self._said = ""
        self._patient = patient
        self._turnover = Turnover(self.clock, int(drain_seconds * 1_000_000))
        self._reload_why = ""
        self._pool_lock = threading.Lock()
        self.load_error: str | None = None
        self.broken: str | None = None
        self.fatal: Exception | None = None
        self._started = threading.Event()

    # --- life -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Host:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextlib.contextmanager
    def holding(self) -> Generator[None]:
        """Holds the journal's lock: nothing else is started before it is ours. Raises ServerUnavailable."""
        if not self._lock.take_patiently(self.clock):
            raise ServerUnavailable(
                f"another server (pid {self._lock.holder()}) holds {self.config.journal}: stop it first, "
                f"or look at it with `tape status --follow`"
            )
        try:
            yield
        finally:
            self._lock.release()

    def start(self) -> None:
        """Takes the journal, if `holding` has not, and starts everything. Raises ServerUnavailable if another server
        holds it."""
        if not self._lock.held:
            self._own_lock.enter_context(self.holding())
        try:
            self._start()
        except BaseException:
            self._own_lock.close()
            raise

    def check(self) -> None:
        """Raises what keeps the service from going on."""
        fatal = self.server.fatal or self.fatal
        if fatal is not None:
            raise EnvironmentTrouble(f"the server has ended: {one_line(fatal)}; start it again")
        if self.load_error is not None:
            raise UsageError(self.load_error)

    def _start(self) -> None:
        config, clock = self.config, self.clock
        self.writer = Writer(config.journal, clock, config.recovery.asks)
        policy = ServerPolicy(config.lease, config.recovery, config.concurrency)
        self.server = Server(self.writer, socket_path(config.journal), clock, policy, self._operator)
        self.server.on_entries.append(self._on_entries)
        self.server.on_trouble = self.voice.trouble
        self.server.on_failed_load = self._on_failed_load
        self.server.run()
        self.work = Work(config.journal)
        self.supervisor = Supervisor(self._launch(), self._notices(), clock, self._forks)
        self.server.points.ender = acts.SupervisedEnder(self.supervisor)
        self.supervisor.run()
        self._adopt()
        self.desk = self._desk()
        reactors: list[Reactor] = [
            Recovery(self.desk),
            Reconciler(self.desk),
            Outbox(self.desk),
            Timers(self.desk),
            Compensation(self.desk),
        ]
        self.states = {reactor.name: ReactorState(reactor.name) for reactor in reactors}
        self._fill_pool()
        self._thread = threading.Thread(target=self._loop, args=(reactors,), name="reactors", daemon=True)
        self._thread.start()

    def _adopt(self) -> None:
        """Whatever an earlier server left: its agents are ended, its claims are void, its leases are over."""
        clock = self.clock
        started = ServerStarted(
            pid=os.getpid(),
            host=socket.gethostname(),
            boot_id=clock.boot_id,
            release=_release(),
            sqlite=SQLITE_RELEASE,
        )
        self.server.call(lambda tx: workers.start_service(tx, started))
        for number, nonce, _, host in self.work.live_workers():
            proven = host == socket.gethostname() and end_carriers(nonce, clock)
            self.server.call(
                lambda tx, number=number, proven=proven: workers.worker_died(
                    tx, number, "its server ended", self.config.recovery, proven=proven
                )
            )
        desk = self._desk()
        for stale in self.work.stale_claims(FOREVER):
            void(desk, stale, "its server ended", proven=True)

    def _desk(self) -> Desk:
        config = self.config
        return Desk(
            clock=self.clock,
            work=self.work,
            pool=_Pool(self),
            call=self.server.call,
            lease=config.lease,
            recovery=config.recovery,
            slots=config.workers * config.concurrency,
            concurrency=config.concurrency,
            who=str(os.getpid()),
        )

    def _launch(self) -> Launch:
        config = self.config
        targets = {name: str(target) for name, target in config.agents.items()}
        return Launch(
            command=(sys.executable, "-m", "tape.core.agent"),
            folder=config.root,
            environment={
                "TAPE_SOCKET": socket_path(config.journal),
                "TAPE_PROJECT": str(config.root),
                "TAPE_AGENTS": json.dumps(targets),
                "PYTHONUNBUFFERED": "1",
                **self.environment,
            },
        )

    def _notices(self) -> Notices:
        host = socket.gethostname()
        return Notices(
            started=lambda nonce, pid, ticks: self._worker_started(nonce, pid, ticks, host),
            died=self._worker_died,
            said=self._agent_said,
        )

    def drain(self, seconds: float) -> None:
        """Lets every agent finish its boundary and give its leases back, and starts none; returns when all have ended,
        or after so many seconds. For the moment before `stop`."""
        with self._pool_lock:
            self._draining = True
        peers = list(self.server.peers.values())
        with contextlib.suppress(EnvironmentTrouble):  # the server has ended: there is nothing to give back to
            self.server.do(lambda: _let_go(peers))
        for peer in peers:
            self.supervisor.kill(peer.number, "drained before the end", signal.SIGTERM)
        deadline = self.clock.boot_us() + int(seconds * 1_000_000)
        while self.supervisor.count() and self.clock.boot_us() < deadline:
            self.clock.sleep(0.02)

    def stop(self) -> None:
        """Ends the agents hard, then the reactors, the server, the journal. The next start recovers."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self.supervisor.stop()
        self.server.stop()
        self.work.close()
        self.writer.close()
        self._own_lock.close()

    # --- the pool ---------------------------------------------------------------------------------------------

    def reload(self, why: str = "the code has changed") -> None:
        """Replaces every agent process by one that loads the code anew; returns at once. Any thread, at any time, as
        often as one likes.

        The old ones get nothing new. Those that drive runs finish their boundary and give their leases back, those
        that run hooks finish them; `turnover` says who is ended how. `why` is what the journal says of their deaths.
        """
        with self._pool_lock:
            self._turnover.reload()
            self._reload_why = why
            self._failed_loads = self._early_deaths = self._hold_until_us = 0
            self.broken = None
        self._wake.set()

    def _turn_over(self) -> None:
        """On the reactors' thread: what it promised to a worker is on its way before that worker gets nothing new."""
        if not self._turnover.old():
            return
        peers = {peer.number: peer for peer in list(self.server.peers.values()) if self._turnover.is_old(peer.number)}
        staying = [peer for peer in peers.values() if not peer.leaving]
        with contextlib.suppress(EnvironmentTrouble):  # the server has ended: `check` says so
            if staying:
                self.server.do(lambda: _let_go(staying))
        self._fill_pool()
        seen = [Seen(number, peer.ready, peer.frozen) for number, peer in peers.items()]
        for worker, step in self._turnover.due(seen):
            signal_ = signal.SIGTERM if step is Step.DRAIN else signal.SIGKILL
            self.supervisor.kill(worker, self._reload_why, signal_)

    def _worker_started(self, nonce: str, pid: int, ticks: int, host: str) -> int:
        order = self._turnover.begin()
        number = self.server.worker_started(nonce, pid, ticks, self.clock.boot_id, host)
        self._turnover.name(order, number)
        return number

    def _worker_died(self, number: int, how: str, proven: bool) -> None:
        peer = self.server.peers.get(number)
        if not self._turnover.is_old(number) and number not in self._failed:
            self._note_early_death(early=peer is not None and not peer.ready, how=how)
        self._failed.discard(number)
        self.server.worker_died(number, how, proven)
        self._turnover.bury(number)
        self._fill_pool()
        self._wake.set()

    def _agent_said(self, number: int, pid: int, line: str) -> None:
        del number
        self._said = line.strip() or self._said
        self.voice.agent_said(pid, line)

    def _last_words(self) -> str:
        modules = ", ".join(dict.fromkeys(target.module for target in self.config.agents.values()))
        said = f"the last that it said: {self._said}" if self._said else "it said nothing"
        return f"{said}; look at what {modules} does when it is imported"

    def _note_early_death(self, *, early: bool, how: str) -> None:
        """Agent processes that end before they are ready, several in a row: no use in starting more. Once one has been
        ready, a kill from outside says nothing about the project."""
        if early and self._started.is_set() and how.startswith(("SIGKILL", "SIGTERM")):
            return
        self._early_deaths = self._early_deaths + 1 if early and not self._stopping else 0
        if self._early_deaths >= EARLY_DEATHS_LIMIT:
            why = f"the agent process ends before it is ready ({how}); {self._last_words()}"
            self._cannot_load(why, ends=not (self._patient or self._turnover.reloaded))

    def _fill_pool(self) -> None:
        """As many agent processes as drive runs at once, the warm spare, and one more per worker that is busy with
        hooks or frozen. Those of the old code do not count."""
        with self._pool_lock:
            if (
                self._stopping
                or self._draining
                or self.load_error is not None
                or self.clock.boot_us() < self._hold_until_us
            ):
                return
            peers = [peer for peer in list(self.server.peers.values()) if not self._turnover.is_old(peer.number)]
            extra = sum(1 for peer in peers if peer.frozen or (peer.hooks and not peer.drives))
            wanted = self.config.workers + max(self.spare, 0) + min(extra, 4)
            for _ in range(wanted - self._turnover.fresh()):
                self._turnover.ask()
                self.supervisor.start(anew=self._turnover.reloaded)

    def _on_failed_load(self, worker: int, why: str) -> None:
        """A project that cannot be loaded ends a start, unless the host is patient. Later (somebody has saved half a
        file) it is tried again."""
        self._failed.add(worker)
        if not self._turnover.is_old(worker):
            self._cannot_load(why, ends=not (self._patient or self._was_ready))

    def _cannot_load(self, why: str, *, ends: bool) -> None:
        """The code of now cannot be loaded: told once, and tried again ever more slowly, until it can or changes."""
        with self._pool_lock:
            told, self.broken = self.broken, why
            self._failed_loads += 1
            self._hold_until_us = self.clock.boot_us() + LOAD_BACKOFF.delay_us(self._failed_loads)
            if ends and self.load_error is None:
                self.load_error = why
        self._started.set()
        if why != told:
            self.voice.trouble(why)

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Returns when an agent process is ready; if the host is patient, also when none can be: then `broken` says
        why. Raises UsageError if the project cannot be loaded."""
        if not self._started.wait(seconds):
            raise EnvironmentTrouble(f"no agent process was ready within {seconds:g} s; {self._last_words()}")
        if self.load_error is not None:
            raise UsageError(self.load_error)

    def wake(self) -> None:
        """Lets the reactors tick now."""
        self._wake.set()

    # --- entries and orders -----------------------------------------------------------------------------------

    def _on_entries(self, entries: list[Entry]) -> None:
        if not self._started.is_set() and any(peer.ready for peer in self.server.peers.values()):
            self._started.set()
        if entries:
            self.voice.entries(entries)
        if any(self._is_ready_now(entry.event) for entry in entries):
            self._was_ready, self._failed_loads, self.broken = True, 0, None
        if not entries or any(_may_make_work(entry.event) for entry in entries):
            self._wake.set()

    def _is_ready_now(self, event: Event) -> bool:
        """Whether an agent process has loaded the code as it is now."""
        if not isinstance(event, WorkerMoved) or event.status != WorkerStatus.READY:
            return False
        return not self._turnover.is_old(event.worker)

    def _operator(self, server: Server, frame: Frame) -> Future[dict[str, Any]]:
        """An operator's order on the server's thread."""
        failed: Future[dict[str, Any]] = Future()
        try:
            order = Order(frame["verb"], frame.get("run_id"), frame.get("args", {}), frame["actor"], frame["reason"])
            if order.verb in NEEDS_SERVER:
                return acts.act(server, order.run_id, order.verb, order.args, order.actor, order.reason)
            verb = journal_verb(self.config, order)
        except TapeError as error:
            failed.set_exception(error)
            return failed
        except (KeyError, TypeError, ValueError) as error:
            failed.set_exception(UsageError(f"an order that is not understood: {error!r}"))
            return failed
        run_id = order.run_id

        def after(done: dict[str, Any]) -> None:
            if order.verb == "cancel" and run_id is not None:
                server.push_cancel(run_id)

        return server.submit(verb, after)

    def order(self, order: Order) -> dict[str, Any]:
        """An order of this process's own (console, demo, scenario): the same way as the command line's."""
        frame = {
            "verb": order.verb,
            "run_id": order.run_id,
            "args": dict(order.args),
            "actor": order.actor or operator_name(),
            "reason": order.reason,
        }
        return self.server.do(lambda: self._operator(self.server, frame)).result()

    def start_run(self, agent: str | None = None, given: Any = None, key: str | None = None) -> str:
        """Starts a run; its id is durable when this returns."""
        return self.order(Order("start", args={"agent": agent, "input": given, "key": key}))["run"]

    def start_armed(self, order: Order, arms: Callable[[str], list[Arm]]) -> str:
        """Starts a run with crash points armed for it before anything can drive it; returns its id."""
        verb = journal_verb(self.config, order)

        def arm(started: dict[str, Any]) -> None:
            for armed in arms(started["run"]):
                self.server.arm_here(armed)

        return self.server.submit(verb, arm).result()["run"]

    def arm(self, arm: Arm) -> None:
        self.server.arm(arm)

    def arms(self) -> list[Arm]:
        """What is armed now, and where runs are to stop. From any thread."""
        return self.server.arms()

    def stops(self) -> list[Stop]:
        """The runs that are stopped now, and where. From any thread."""
        return self.server.stops()

    @property
    def manifest(self) -> dict[str, Any] | None:
        """What the project declares: `agents` and `tools`, see agent/manifest.py. None until a worker has told it."""
        return self.server.manifest

    # --- the reactors' thread ---------------------------------------------------------------------------------

    def _loop(self, reactors: list[Reactor]) -> None:
        try:
            while not self._stopping:
                self._wake.wait(PERIOD_SECONDS)
                self._wake.clear()
                for reactor in reactors:
                    self._turn_over()  # before each: a reload soon gets its turn, whatever the others have to do
                    self._tick(reactor)
                self._fill_pool()
        except Exception as error:  # nobody foresaw it: better no reactors than ones that are silently gone
            self.fatal = error
            self.voice.trouble(f"the reactors end: {type(error).__name__}: {one_line(error)}")

    def _tick(self, reactor: Reactor) -> None:
        state = self.states[reactor.name]
        state.ticks += 1
        try:
            state.moved += reactor.tick()
        except TapeError as error:  # told once; it is tried again, and the other reactors go on
            state.errors += 1
            if str(error) != state.last_error:
                state.last_error = str(error)
                self.voice.trouble(f"{reactor.name}: {error}")


class _Pool:
    """The server and the supervisor as the reactors' pool."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def hook_worker(self, *, alone: bool = False) -> int | None:
        return self._host.server.hook_worker(alone=alone)

    def driver_for(self, *, alone: bool) -> int | None:
        return self._host.server.driver_for(alone=alone)

    def driving(self) -> int:
        """A frozen worker takes no slot: its place is filled by another one until it is thawed."""
        peers = list(self._host.server.peers.values())
        return sum(len(peer.drives) for peer in peers if not peer.frozen)

    def hook(self, worker: int, what: str, key: str, effect: dict[str, Any], limit_us: int) -> Future[Any]:
        answer = self._host.server.hook(worker, what, key, effect, limit_us)
        answer.add_done_callback(lambda _: self._host.wake())
        return answer

    def end_silent(self, worker: int) -> bool:
        """Ends a silent worker; False if it is frozen by a drill (then only its lease ends)."""
        peer = self._host.server.peers.get(worker)
        if peer is not None and peer.frozen:
            return False
        self._host.supervisor.kill(worker, "its lease ran out")
        return True


def _let_go(peers: list[WorkerPeer]) -> None:
    for peer in peers:
        peer.leaving = True


_PROGRESS = (ModelAsked, Decision, Charge, Sample, TimerSet, Attached)


def _may_make_work(event: Event) -> bool:
    """Whether a reactor may have something to do now. A run's plain progress gives none, and the reactors' queries
    would only hold it up; their period is the net."""
    if isinstance(event, EffectBegun):
        return event.dispatch == Dispatch.OUTBOX
    return not isinstance(event, _PROGRESS) and not (isinstance(event, EffectEnded) and event.writer == By.AGENT)


def _release() -> str:
    from importlib.metadata import PackageNotFoundError, version

    with contextlib.suppress(PackageNotFoundError):
        return version("tape-agents")
    return "unreleased"
