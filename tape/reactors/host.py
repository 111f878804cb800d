"""The composition root: lock, journal, stand-ins, server, supervisor, reactors. What cli, tui and lab call."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tape.core.clock import Clock, SystemClock
from tape.core.config import Config
from tape.core.journal.work import SQLITE_RELEASE, Work
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import (
    EnvironmentTrouble,
    ServerUnavailable,
    TapeError,
    UsageError,
    one_line,
)
from tape.core.kernel.events import Entry, ServerStarted
from tape.core.kernel.points import Arm, Stop
from tape.core.redact_key import redact_key
from tape.core.server import acts
from tape.core.server.orders import NEEDS_SERVER, Lock, Order, journal_verb, operator_name, socket_path
from tape.core.server.server import Server, ServerPolicy
from tape.core.server.spawning import Forks, Launch
from tape.core.server.supervisor import Supervisor
from tape.core.wire import Frame
from tape.reactors.adoption import adopt
from tape.reactors.compensation import Compensation
from tape.reactors.outbox import Outbox
from tape.reactors.pool import Pool
from tape.reactors.reactor import Desk, Reactor, may_make_work
from tape.reactors.reconciler import Reconciler
from tape.reactors.recovery import Recovery
from tape.reactors.timers import Timers
from tape.reactors.voice import Voice

if TYPE_CHECKING:  # loaded where it is asked for
    from tape.reactors.telemetry import Telemetry

PERIOD_SECONDS = 0.05
__all__ = ["Host", "ReactorState", "Voice"]


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
        self._forks = forks
        self.states: dict[str, ReactorState] = {}
        self._lock = Lock(config.journal)
        self._own_lock = contextlib.ExitStack()
        self._wake = threading.Event()
        self._stopping = False
        self.pool = Pool(
            config, self.clock, self.voice, self._wake.set, spare=spare, patient=patient, drain_seconds=drain_seconds
        )
        self.fatal: Exception | None = None

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
        fatal = self.server.fatal or self.supervisor.fatal or self.fatal
        if fatal is not None:
            raise EnvironmentTrouble(f"the server has ended: {one_line(fatal)}; start it again")
        if self.load_error is not None:
            raise UsageError(self.load_error)

    def _start(self) -> None:
        config, clock = self.config, self.clock
        self._telemetry = self._open_telemetry() if config.telemetry else None
        self.writer = Writer(config.journal, clock, config.recovery.asks)
        try:  # behind the writer: a journal that it refuses (an imported one) gets no key beside it
            key = redact_key(config.journal, clock)
        except BaseException:
            self.writer.close()
            raise
        policy = ServerPolicy(config.lease, config.recovery, config.concurrency)
        self.server = Server(self.writer, socket_path(config.journal), clock, policy, self._operator)
        self.server.on_entries.append(self._on_entries)
        if self._telemetry is not None:
            self.server.on_entries.append(self._telemetry.hear)
        self.server.on_trouble = self.voice.trouble
        self.server.redact_key = key
        self.supervisor = Supervisor(self._launch(), self.pool.notices(), clock, self._forks)
        self.server.points.ender = acts.SupervisedEnder(self.supervisor)
        self.pool.open(self.server, self.supervisor)
        self.server.run()
        self.work = Work(config.journal)
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
        self.pool.fill()
        self._thread = threading.Thread(target=self._loop, args=(reactors,), name="reactors", daemon=True)
        self._thread.start()

    def _open_telemetry(self) -> Telemetry:
        """Its packages are an extra. Raises UsageError if they are missing."""
        from tape.core.journal.views import open_reader
        from tape.reactors.telemetry import open_telemetry

        def history(run_id: str) -> list[Entry]:
            with open_reader(self.config.journal) as reader:
                return reader.entries(run_id=run_id)

        return open_telemetry(self.config.name, history, self.voice.trouble)

    def _adopt(self) -> None:
        started = ServerStarted(
            pid=os.getpid(),
            host=socket.gethostname(),
            boot_id=self.clock.boot_id,
            release=_release(),
            sqlite=SQLITE_RELEASE,
        )
        adopt(self._desk(), started)

    def _desk(self) -> Desk:
        config = self.config
        return Desk(
            clock=self.clock,
            work=self.work,
            pool=self.pool,
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

    def drain(self, seconds: float) -> None:
        """Lets every agent finish its boundary and give its leases back, and starts none; returns when all have ended,
        or after so many seconds. For the moment before `stop`."""
        self.pool.drain(seconds)

    def stop(self) -> None:
        """Ends the agents hard, then the reactors, the server, the journal. The next start recovers."""
        self._stopping = True
        self.pool.close()
        self._wake.set()
        self._thread.join()
        self.supervisor.stop()
        self.server.stop()
        if self._telemetry is not None:
            self._telemetry.close()
        self.work.close()
        self.writer.close()
        self._own_lock.close()

    # --- the pool ---------------------------------------------------------------------------------------------

    def reload(self, why: str = "the code has changed") -> None:
        """Replaces every agent process by one that loads the code anew; returns at once. Any thread, at any time, as
        often as one likes. `why` is what the journal says of the deaths of the old ones."""
        self.pool.reload(why)

    @property
    def broken(self) -> str | None:
        """Why the code of now cannot be loaded, while it cannot."""
        return self.pool.broken

    @property
    def load_error(self) -> str | None:
        """Why the project cannot be loaded, if that ends the service."""
        return self.pool.load_error

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Returns when an agent process is ready; if the host is patient, also when none can be: then `broken` says
        why. Raises UsageError if the project cannot be loaded."""
        self.pool.wait_ready(seconds)

    def wake(self) -> None:
        """Lets the reactors tick now."""
        self._wake.set()

    # --- entries and orders -----------------------------------------------------------------------------------

    def _on_entries(self, entries: list[Entry]) -> None:
        self.pool.look()
        if entries:
            self.voice.entries(entries)
        self.pool.note(entries)
        if not entries or any(may_make_work(entry.event) for entry in entries):
            self._wake.set()

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
                    self.pool.turn_over()  # before each: a reload soon gets its turn, whatever the others have to do
                    self._tick(reactor)
                self.pool.fill()
        except Exception as error:  # nobody foresaw it: better no reactors than ones that are silently gone
            self.fatal = error
            self.voice.trouble(f"the reactors end: {type(error).__name__}: {one_line(error)}")

    def _tick(self, reactor: Reactor) -> None:
        state = self.states[reactor.name]
        state.ticks += 1
        try:
            state.moved += reactor.tick()
            state.last_error = ""
        except TapeError as error:  # told once an outage; it is tried again, and the other reactors go on
            state.errors += 1
            if str(error) != state.last_error:
                state.last_error = str(error)
                self.voice.trouble(f"{reactor.name}: {error}")


def _release() -> str:
    from importlib.metadata import PackageNotFoundError, version

    with contextlib.suppress(PackageNotFoundError):
        return version("tape-agents")
    return "unreleased"
