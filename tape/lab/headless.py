"""`tape dev --headless` and `tape server`: the same roles as the console's, with a readable line per event."""

from __future__ import annotations

import queue
import signal
import sys
from collections.abc import Callable
from types import FrameType

from tape.core.clock import Clock, SystemClock
from tape.core.config import Config
from tape.core.kernel.errors import Refused, one_line
from tape.core.kernel.events import Entry
from tape.core.report import Paper, print_entry
from tape.core.server.orders import Order
from tape.core.text import show
from tape.lab.service import Service
from tape.reactors.host import Host, Voice

TWICE_WITHIN_US = 2_000_000
SAME_TROUBLE_US = 10_000_000

Work = Callable[[], None]


class Screenless:
    """Prints what happens until it is told to stop. Everything is printed by the main thread: a terminal that stalls
    holds up nothing else.

    `kills_first`: for somebody who develops. Ctrl-C kills the agent first, and saving the code restarts it.
    """

    def __init__(self, config: Config, *, kills_first: bool, clock: Clock | None = None) -> None:
        self._config = config
        self._kills_first = kills_first
        self._clock = clock or SystemClock()
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._paper = Paper(sys.stdout)
        self._interrupted_at_us = -TWICE_WITHIN_US
        self._last_trouble = ""
        self._trouble_at_us = 0
        self._host: Host | None = None

    def run(self) -> int:
        """Runs until Ctrl-C (twice, where the first kills the agent), SIGTERM or SIGHUP. Returns the exit code."""
        voice = Voice(
            entries=lambda entries: self._queue.put(lambda: self._print(entries)),
            agent_said=lambda pid, line: self._say(f"agent {pid}: {line}"),
            trouble=self._trouble,
            reloaded=self._reloaded,
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        with Service(self._config, clock=self._clock, voice=voice, reload=self._kills_first) as service:
            for upstream in service.upstreams.values():
                self._say(f"stand-in {upstream.name} at {upstream.url}, ledger {upstream.ledger_path}")
            service.host.wait_ready()
            self._host = service.host
            if self._kills_first:
                self._say("ready; Ctrl-C kills the agent, twice within two seconds stops everything")
            else:
                self._say("ready; Ctrl-C stops everything, the next start takes up what is open")
            while (work := self._queue.get()) is not None:
                work()
                service.host.check()
        return 0

    def _print(self, entries: list[Entry]) -> None:
        for entry in entries:
            print_entry(self._paper, entry)

    def _say(self, line: str) -> None:
        """Puts a line of ours or of the agent's on standard error, safe to look at."""
        self._queue.put(lambda: print(show(line, 2000), file=sys.stderr, flush=True))

    def _trouble(self, line: str) -> None:
        """The same trouble is said again only after a while: it is met many times a second."""
        now = self._clock.boot_us()
        if line == self._last_trouble and now - self._trouble_at_us < SAME_TROUBLE_US:
            return
        self._last_trouble, self._trouble_at_us = line, now
        self._say(f"trouble: {line}")

    def _reloaded(self, what: str) -> None:
        """The same trouble after another save is news."""
        self._last_trouble = ""
        self._say(f"reloaded: {what}")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._host is None:
            raise KeyboardInterrupt  # still starting: there is nothing to kill but all of it
        now = self._clock.boot_us()
        again = now - self._interrupted_at_us < TWICE_WITHIN_US
        if number != signal.SIGINT or again or not self._kills_first:
            self._queue.put(lambda: self._say("stopping everything"))
            self._queue.put(None)
            return
        self._interrupted_at_us = now
        self._queue.put(self._kill)

    def _kill(self) -> None:
        assert self._host is not None
        killed: list[int] = []
        try:
            killed = self._host.order(Order("kill", reason="Ctrl-C"))["killed"]
        except Refused as error:
            self._say(one_line(error))
        what = (
            f"killed the agent (pid {', '.join(map(str, killed))}), the reactors take over"
            if killed
            else ("no agent is driving a run now")
        )
        self._say(f"Ctrl-C: {what}; once more within two seconds stops everything")
