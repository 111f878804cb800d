"""Kills at random moments over a project that is kept busy; then quiet, in which everything must come to its end."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

from tape.core.kernel.errors import Refused
from tests.crash.test_random_kills import FAULTS, POINTS, scripts
from tests.soak.project import CONCURRENCY, Project, Victim, send, try_order

ENDS = ("TERMINAL", "FAILED", "CANCELLED")
QUIET_SECONDS = 60.0
SERVER_EVERY = 60
"""One strike in so many kills the server."""
STRIKES = {
    "a point": 48, "an agent": 22, "any worker": 5, "a hook worker": 8, "a child": 7, "SIGTERM": 5, "SIGSTOP": 5,
}  # fmt: skip


class Storm:
    """`rage`, then `quiet`. `stop` ends the raging early, from any thread."""

    def __init__(self, project: Project, seed: str, longest_pause: float) -> None:
        self.project = project
        self.chance = random.Random(seed)
        self.longest_pause = longest_pause
        self.stop = threading.Event()
        self.killed: Counter[str] = Counter()
        self.helped: Counter[str] = Counter()
        self.expected: dict[str, tuple[str, ...]] = {}
        self.lost_orders = 0
        self._strikes = 0
        self._waiting: list[tuple[str, list[list[Any]]]] = []
        self._started: dict[str, str] = {}
        self._stopped: list[tuple[float, Victim]] = []

    # --- raging -----------------------------------------------------------------------------------------------------

    def rage(self, enough: Callable[[int], bool]) -> None:
        """Strikes until `enough(kills)` says so."""
        project = self.project
        project.upstreams.bank.set_faults(FAULTS["bank"])
        project.upstreams.mint.set_faults(FAULTS["mint"])
        while not self.stop.is_set() and not enough(self.kills()):
            self.feed()
            self.strike()
            self.thaw(time.monotonic())
            self.help()
            self.stop.wait(self.chance.uniform(0.01, self.longest_pause))

    def kills(self) -> int:
        self.killed["a point"] = self.project.points_reached()
        return sum(self.killed.values())

    def feed(self) -> None:
        """As many runs under way as the agents can drive, and some more that wait for one."""
        wanted = self.project.agents * CONCURRENCY + 2
        under_way = sum(status != "STUCK" for _, status, _ in self.project.open_runs())
        for _ in range(wanted - under_way - len(self._waiting)):
            key = f"run {len(self.expected)}"
            steps = self._steps()
            self.expected[key] = ("FAILED",) if steps[-1] == ["fail"] else ("TERMINAL",)
            self._waiting.append((key, steps))
        self.start_waiting()

    def _steps(self) -> list[list[Any]]:
        steps = scripts(self.chance)
        for step in steps:
            if step[0] == "call" and self.chance.random() < 0.3:
                step[1] = self.chance.choice(("errand", "courier"))
            elif step[0] == "batch" and self.chance.random() < 0.5:
                step[1][0][0] = self.chance.choice(("errand", "courier"))
        return steps

    def start_waiting(self) -> None:
        """An order whose answer was lost is placed again: the key makes it the same run."""
        waiting, self._waiting = self._waiting, []
        for key, steps in waiting:
            result = try_order(self.project, "start", agent="script", input=steps, key=key)
            if result is None:
                self.lost_orders += 1
                self._waiting.append((key, steps))
                continue
            self._started[key] = result["run"]
            if self.chance.random() < 0.05:
                again = try_order(self.project, "start", agent="script", input=steps, key=key)
                assert again is None or again == result, f"{key} was started twice: {result}, {again}"
            if self.chance.random() < 0.04:
                self.cancel(key)

    def cancel(self, key: str) -> None:
        """At some moment, so late that it may be refused."""
        self.expected[key] = ENDS
        self.stop.wait(self.chance.uniform(0.0, 0.1))
        try:
            try_order(self.project, "cancel", self._started[key])
        except Refused:
            self.helped["cancelled too late"] += 1

    def strike(self) -> None:
        self._strikes += 1
        if self._strikes % SERVER_EVERY == SERVER_EVERY // 2:
            self.project.kill_server()
            self.killed["a server"] += 1
            return
        kind = self.chance.choices(list(STRIKES), list(STRIKES.values()))[0]
        if kind == "a point":
            self.tell({"at": self.chance.choice(POINTS), "nth": self.chance.randint(1, 3)})
            return
        victims = self.victims(kind)
        if not victims:
            return
        victim = self.chance.choice(victims)
        number = {"SIGTERM": signal.SIGTERM, "SIGSTOP": signal.SIGSTOP}.get(kind, signal.SIGKILL)
        if send(victim, number):
            self.killed[kind] += 1
            if number is signal.SIGSTOP:  # the lease is 2 s long: some wake before its end, some too late
                self._stopped.append((time.monotonic() + self.chance.uniform(0.0, 4.0), victim))

    def victims(self, kind: str) -> list[Victim]:
        """Hook workers and children live for a moment only: they are waited for, a little."""
        look = {
            "any worker": self.project.workers,
            "a hook worker": self.project.hooking,
            "a child": self.project.children,
        }.get(kind, self.project.driving)
        for _ in range(25 if kind in ("a hook worker", "a child") else 1):
            found = look()
            if found or self.stop.wait(0.01):
                return found
        return []

    def tell(self, order: dict[str, Any]) -> None:
        self.project.tell_server(order)

    def thaw(self, now: float) -> None:
        for when, victim in self._stopped:
            if when <= now:
                send(victim, signal.SIGCONT)
        self._stopped = [(when, victim) for when, victim in self._stopped if when > now]

    # --- what only a person can do ----------------------------------------------------------------------------------

    def help(self) -> None:
        """Looks into the upstream, some time after, and decides as it says."""
        for run, status, updated_us in self.project.open_runs():
            if status == "STUCK" and time.time_ns() // 1000 - updated_us > 1_000_000:
                try:
                    self.decide(run)
                except Refused:
                    self.helped["refused, as it has moved"] += 1

    def decide(self, run: str) -> None:
        rows = self.project.rows
        sql = (
            "SELECT key, tool FROM effect JOIN run ON run.no = run_no "
            "WHERE run.id = ? AND step = 'person' AND ended_id IS NULL"
        )
        for key, tool in rows(sql, run):
            acts = [
                act
                for upstream in (self.project.upstreams.bank, self.project.upstreams.mint)
                for act in acts_under(upstream.url, tool, key)
            ]
            how: dict[str, Any] = {"how": "fail"}
            if acts:
                result = {"tool": tool, "n": acts[0]["body"]["n"], "place": key.split("/", 1)[1], "ref": ""}
                how = {"how": "confirm", "result": result}
            try_order(self.project, "resolve", run, key=key, **how)
            self.helped[how["how"]] += 1
            return
        sql = "SELECT key FROM obligation JOIN run ON run.no = run_no WHERE run.id = ? AND obligation.status = 'STUCK'"
        for (key,) in rows(sql, run):
            try_order(self.project, "resolve", run, key=key, how="retry")
            self.helped["undo again"] += 1
            return
        try_order(self.project, "redrive", run)
        self.helped["redrive"] += 1

    # --- quiet ------------------------------------------------------------------------------------------------------

    def quiet(self) -> float:
        """No more kills, no more faults; returns after how many seconds everything had come to its end."""
        self.project.upstreams.quiet()
        self.tell({})
        self.thaw(float("inf"))
        begun = time.monotonic()
        while True:
            self.start_waiting()
            left = self.project.open_runs()
            if not left and not self._waiting:
                self.kills()
                return time.monotonic() - begun
            since = time.monotonic() - begun
            assert since < QUIET_SECONDS, f"not at its end {since:.0f} s after the last kill: {left} {self._waiting}"
            self.help()
            threading.Event().wait(0.1)


def acts_under(url: str, collection: str, key: str) -> list[dict[str, Any]]:
    """What stands there, asked as often as a faulty upstream wants."""
    address = urlsplit(url)
    for _ in range(50):
        link = HTTPConnection(address.hostname or "", address.port, timeout=15)
        try:
            link.request("GET", f"/{collection}?key={quote(key, safe='')}")
            answer = link.getresponse()
            data = answer.read()
        except OSError:
            continue
        finally:
            link.close()
        if answer.status == 200:
            return [act for act in json.loads(data) if not act["undone"]]
    raise AssertionError(f"{url} does not answer")
