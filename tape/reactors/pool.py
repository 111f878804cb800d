"""The agent processes of one host: who lives, who is old, who may be started, and why none can be."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tape.core.clock import Clock
from tape.core.config import Config
from tape.core.kernel.errors import EnvironmentTrouble, UsageError, one_line
from tape.core.kernel.events import Entry, Event, WorkerMoved
from tape.core.kernel.lifecycle import WorkerStatus
from tape.core.kernel.policy import Backoff
from tape.core.server.peers import WorkerPeer
from tape.core.server.server import Server
from tape.core.server.supervisor import Notices, Supervisor
from tape.reactors.turnover import Seen, Step, Turnover
from tape.reactors.voice import Voice

LOAD_BACKOFF = Backoff(first_us=500_000, cap_us=30_000_000)
START_BACKOFF = Backoff(first_us=200_000, cap_us=10_000_000)
EARLY_DEATHS_LIMIT = 5


class Pool:
    """Keeps as many agent processes alive as there is work for, and is the reactors' `Pool`.

    `wake` lets the reactors tick; `spare`, `patient` and `drain_seconds` are the host's. Nothing is started before
    `open`. `broken`: why the code of now cannot be loaded, while it cannot; `load_error`: why the service cannot go on.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        voice: Voice,
        wake: Callable[[], None],
        *,
        spare: int,
        patient: bool,
        drain_seconds: float,
    ) -> None:
        self.load_error: str | None = None
        self.broken: str | None = None
        self._config = config
        self._clock = clock
        self._voice = voice
        self._wake = wake
        self._spare = spare
        self._patient = patient
        self._turnover = Turnover(clock, int(drain_seconds * 1_000_000))
        self._reload_why = ""
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._stopping = False
        self._draining = False
        self._failed: set[int] = set()
        self._failed_loads = 0
        self._failed_starts = 0
        self._not_started = ""
        self._hold_until_us = 0
        self._was_ready = False
        self._early_deaths = 0
        self._said = ""

    # --- life -------------------------------------------------------------------------------------------------

    def open(self, server: Server, supervisor: Supervisor) -> None:
        """From now on it may start processes, and hears of them. Before either of the two runs."""
        self._server = server
        self._supervisor = supervisor
        server.on_failed_load = self._on_failed_load

    def notices(self) -> Notices:
        """What the supervisor is to tell of the processes."""
        host = socket.gethostname()
        return Notices(
            started=lambda nonce, pid, ticks: self._worker_started(nonce, pid, ticks, host),
            died=self._worker_died,
            said=self._agent_said,
            failed=self._start_failed,
            trouble=self._voice.trouble,
        )

    def close(self) -> None:
        """The host ends: nothing more is started, and no death says anything about the project."""
        self._stopping = True

    def drain(self, seconds: float) -> None:
        """Lets every agent finish its boundary and give its leases back, and starts none; returns when all have ended,
        or after so many seconds. For the moment before the host stops."""
        with self._lock:
            self._draining = True
        peers = list(self._server.peers.values())
        with contextlib.suppress(EnvironmentTrouble):  # the server has ended: there is nothing to give back to
            self._server.do(lambda: _let_go(peers))
        for peer in peers:
            self._supervisor.kill(peer.number, "drained before the end", signal.SIGTERM)
        deadline = self._clock.boot_us() + int(seconds * 1_000_000)
        while self._supervisor.count() and self._clock.boot_us() < deadline:
            self._clock.sleep(0.02)

    def fill(self) -> None:
        """As many agent processes as drive runs at once, the warm spare, and one more per worker that is busy with
        hooks or frozen. Those of the old code do not count."""
        with self._lock:
            if (
                self._stopping
                or self._draining
                or self.load_error is not None
                or self._clock.boot_us() < self._hold_until_us
            ):
                return
            peers = [peer for peer in list(self._server.peers.values()) if not self._turnover.is_old(peer.number)]
            extra = sum(1 for peer in peers if peer.frozen or (peer.hooks and not peer.drives))
            wanted = self._config.workers + max(self._spare, 0) + min(extra, 4)
            for _ in range(wanted - self._turnover.fresh()):
                self._turnover.ask()
                self._supervisor.start(anew=self._turnover.reloaded)

    # --- the code changes -------------------------------------------------------------------------------------

    def reload(self, why: str) -> None:
        """Replaces every agent process by one that loads the code anew; returns at once. Any thread, at any time, as
        often as one likes.

        The old ones get nothing new. Those that drive runs finish their boundary and give their leases back, those
        that run hooks finish them; `turnover` says who is ended how. `why` is what the journal says of their deaths.
        """
        with self._lock:
            self._turnover.reload()
            self._reload_why = why
            self._failed_loads = self._failed_starts = self._early_deaths = self._hold_until_us = 0
            self.broken = None
        self._wake()

    def turn_over(self) -> None:
        """On the reactors' thread: what it promised to a worker is on its way before that worker gets nothing new."""
        if not self._turnover.old():
            return
        alive = list(self._server.peers.values())
        peers = {peer.number: peer for peer in alive if self._turnover.is_old(peer.number)}
        staying = [peer for peer in peers.values() if not peer.leaving]
        with contextlib.suppress(EnvironmentTrouble):  # the server has ended: the host's `check` says so
            if staying:
                self._server.do(lambda: _let_go(staying))
        self.fill()
        seen = [Seen(number, peer.ready, peer.frozen) for number, peer in peers.items()]
        for worker, step in self._turnover.due(seen):
            signal_ = signal.SIGTERM if step is Step.DRAIN else signal.SIGKILL
            self._supervisor.kill(worker, self._reload_why, signal_)

    # --- births and deaths: on the supervisor's thread --------------------------------------------------------

    def _worker_started(self, nonce: str, pid: int, ticks: int, host: str) -> int:
        number = self._server.worker_started(nonce, pid, ticks, self._clock.boot_id, host)
        self._turnover.name(self._turnover.begin(), number)
        with self._lock:
            self._failed_starts, self._not_started = 0, ""
        return number

    def _start_failed(self, error: Exception) -> None:
        """Told once, and asked for again ever more slowly, until there is a process."""
        self._turnover.give_up()
        why = f"no agent process can be started: {one_line(error)}"
        with self._lock:
            now = self._clock.boot_us()
            if now >= self._hold_until_us:  # several that were asked for at once fail at once
                self._failed_starts += 1
                self._hold_until_us = now + START_BACKOFF.delay_us(self._failed_starts)
            told, self._not_started = self._not_started, why
        if why != told and not self._stopping:
            self._voice.trouble(f"{why}; it is tried again")

    def _worker_died(self, number: int, how: str, proven: bool) -> None:
        peer = self._server.peers.get(number)
        if not self._turnover.is_old(number) and number not in self._failed:
            self._note_early_death(early=peer is not None and not peer.ready, how=how)
        self._failed.discard(number)
        with contextlib.suppress(EnvironmentTrouble):  # the server has ended: the host's `check` says so
            self._server.worker_died(number, how, proven)
        self._turnover.bury(number)
        self.fill()
        self._wake()

    def _agent_said(self, number: int, pid: int, line: str) -> None:
        del number
        self._said = line.strip() or self._said
        self._voice.agent_said(pid, line)

    def _last_words(self) -> str:
        modules = ", ".join(dict.fromkeys(target.module for target in self._config.agents.values()))
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

    # --- whether the code can be loaded -----------------------------------------------------------------------

    def wait_ready(self, seconds: float) -> None:
        """Returns when an agent process is ready; if the host is patient, also when none can be: then `broken` says
        why. Raises UsageError if the project cannot be loaded."""
        if not self._started.wait(seconds):
            why = self._not_started or self._last_words()
            raise EnvironmentTrouble(f"no agent process was ready within {seconds:g} s; {why}")
        if self.load_error is not None:
            raise UsageError(self.load_error)

    def look(self) -> None:
        """Whoever waits for the first agent process goes on if one is ready. On the server's thread."""
        if not self._started.is_set() and any(peer.ready for peer in self._server.peers.values()):
            self._started.set()

    def note(self, entries: list[Entry]) -> None:
        """Learns from the entries themselves that the code can be loaded. On the server's thread."""
        if any(self._is_ready_now(entry.event) for entry in entries):
            self._was_ready, self._failed_loads, self.broken = True, 0, None

    def _is_ready_now(self, event: Event) -> bool:
        """Whether an agent process has loaded the code as it is now."""
        if not isinstance(event, WorkerMoved) or event.status != WorkerStatus.READY:
            return False
        return not self._turnover.is_old(event.worker)

    def _on_failed_load(self, worker: int, why: str) -> None:
        """A project that cannot be loaded ends a start, unless the host is patient. Later (somebody has saved half a
        file) it is tried again."""
        self._failed.add(worker)
        if not self._turnover.is_old(worker):
            self._cannot_load(why, ends=not (self._patient or self._was_ready))

    def _cannot_load(self, why: str, *, ends: bool) -> None:
        """The code of now cannot be loaded: told once, and tried again ever more slowly, until it can or changes."""
        with self._lock:
            told, self.broken = self.broken, why
            self._failed_loads += 1
            self._hold_until_us = self._clock.boot_us() + LOAD_BACKOFF.delay_us(self._failed_loads)
            if ends and self.load_error is None:
                self.load_error = why
        self._started.set()
        if why != told:
            self._voice.trouble(why)

    # --- for the reactors -------------------------------------------------------------------------------------

    def hook_worker(self, *, alone: bool = False) -> int | None:
        return self._server.hook_worker(alone=alone)

    def driver_for(self, *, alone: bool) -> int | None:
        return self._server.driver_for(alone=alone)

    def driving(self) -> int:
        """A frozen worker takes no slot: its place is filled by another one until it is thawed."""
        peers = list(self._server.peers.values())
        return sum(len(peer.drives) for peer in peers if not peer.frozen)

    def hook(self, worker: int, what: str, key: str, effect: dict[str, Any], limit_us: int) -> Future[Any]:
        answer = self._server.hook(worker, what, key, effect, limit_us)
        answer.add_done_callback(lambda _: self._wake())
        return answer

    def end_silent(self, worker: int) -> bool:
        """Ends a silent worker; False if it is frozen by a drill (then only its lease ends)."""
        peer = self._server.peers.get(worker)
        if peer is not None and peer.frozen:
            return False
        self._supervisor.kill(worker, "its lease ran out")
        return True


def _let_go(peers: list[WorkerPeer]) -> None:
    for peer in peers:
        peer.leaving = True
