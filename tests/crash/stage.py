"""The stage of the crash tests: stand-ins, a project, a host in this process, real agent processes, and what they left.

Waiting is always on an entry of the journal, with a deadline far beyond what a loaded machine needs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tape.core.kernel.events import Entry
from tape.core.kernel.points import Arm, Death, find_point
from tape.core.server.orders import Order
from tape.reactors.host import Host, Voice
from tests.crash import checker
from tests.crash.checker import Evidence, Promise
from tests.crash.layout import SETTLE, Upstreams, configured, surroundings
from tests.crash.nursery import Nursery

DEADLINE_SECONDS = 30.0
ENDS = frozenset({"TERMINAL", "FAILED", "CANCELLED"})
REST = ENDS | {"STUCK"}
DRAIN_SECONDS = 2.0


@dataclass
class Watch:
    """What the journal says, entry by entry, and the way to wait for it. Fed from any thread."""

    entries: list[Entry] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def hear(self, entries: Iterable[Entry]) -> None:
        with self._changed:
            for entry in entries:
                self.entries.append(entry)
                if entry.run_id is None:
                    continue
                kind = entry.event.kind
                if kind == "run_started":
                    self.status[entry.run_id] = "RUNNABLE"
                elif kind == "lease_granted":
                    self.status[entry.run_id] = "RUNNING"
                elif kind == "run_moved":
                    self.status[entry.run_id] = str(entry.event.status)
            self._changed.notify_all()

    def until(self, happened: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
        """What `happened` returns, once that is true. Fails the test after the deadline, with the latest entries."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                found = happened()
                if found:
                    return found
                left = deadline - time.monotonic()
                self._changed.wait(min(max(left, 0.0), 0.05))  # not every fact is an entry
                if left <= 0:
                    raise AssertionError(f"not within {seconds:g} s: {what}\n{self.tail()}")

    def pause(self, seconds: float) -> None:
        """Lets time pass: for kills at random moments."""
        until = time.monotonic() + seconds
        with self._changed:
            while (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def of(self, kind: str, run_id: str | None = None, **where: Any) -> list[Any]:
        """Events of this kind whose fields are as said."""
        with self._changed:
            return [
                entry.event
                for entry in self.entries
                if entry.event.kind == kind
                and (run_id is None or entry.run_id == run_id)
                and all(getattr(entry.event, name) == value for name, value in where.items())
            ]

    def tail(self, count: int = 40) -> str:
        lines = [
            f"{entry.run_id} seq={entry.seq} epoch={entry.epoch} {str(entry.event)[:200]}"
            for entry in self.entries[-count:]
        ]
        return "\n".join([*lines, *self.said[-20:], *self.trouble[-10:]])


@dataclass(frozen=True)
class House:
    """What all stages of a test process share: the stand-ins, the crew's project, who gives birth to agents (None:
    each is started anew)."""

    upstreams: Upstreams
    root: Path
    nursery: Nursery | None


class Stage:
    """One journal of the crew's project, and its host. `arm`, `run`, `until`, then `close`; the fixture judges what
    is left."""

    def __init__(self, folder: Path, house: House, *, settle: float = SETTLE, spare: int = 1, **settings: Any):
        self.folder = folder
        self.house = house
        if house.nursery is not None:
            house.nursery.open()
        self.upstreams = house.upstreams
        self.watch = Watch()
        self.root = house.root
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        self.config = configured(self.root, folder, **settings)
        self.untrue: set[str] = set()
        self.at_rest = True
        self.spare = spare
        self.environment = surroundings(folder, house.upstreams, settle)
        self.host = self._new_host()
        self.is_open = False

    def _new_host(self) -> Host:
        voice = Voice(
            entries=self.watch.hear,
            agent_said=lambda pid, line: self.watch.said.append(f"agent {pid}: {line}"),
            trouble=self.watch.trouble.append,
        )
        return Host(
            self.config,
            voice=voice,
            environment=self.environment,
            spare=self.spare,
            drain_seconds=DRAIN_SECONDS,
            forks=self.house.nursery,
        )

    def open(self) -> Stage:
        self.host.start()
        self.is_open = True
        self.host.wait_ready()
        return self

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.host.stop()

    def restart(self) -> None:
        """Another server on the same journal, after an orderly stop of this one (its agents are killed)."""
        self.close()
        self.host = self._new_host()
        self.open()

    # --- what a test does ---------------------------------------------------------------------------------------

    def arm(self, point: str, death: str = "KILL", **narrow: Any) -> None:
        self.host.arm(Arm(find_point(point), Death(death), **narrow))

    def run(self, *steps: Sequence[Any], key: str | None = None, agent: str = "script") -> str:
        return self.host.start_run(agent, [list(step) for step in steps], key)

    def order(self, verb: str, run_id: str | None = None, reason: str = "as the test says", **args: Any) -> Any:
        return self.host.order(Order(verb, run_id, args, "tester", reason))

    def status(self, run_id: str) -> str:
        return self.watch.status.get(run_id, "")

    def until_status(self, run_id: str, *statuses: str, seconds: float = DEADLINE_SECONDS) -> str:
        return self.watch.until(
            lambda: self.status(run_id) if self.status(run_id) in statuses else "",
            f"{run_id} is {' or '.join(statuses)}",
            seconds,
        )

    def until_rest(self, run_id: str, seconds: float = DEADLINE_SECONDS) -> str:
        """TERMINAL, FAILED, CANCELLED or STUCK."""
        return self.until_status(run_id, *REST, seconds=seconds)

    def until_event(self, kind: str, run_id: str | None = None, count: int = 1, **where: Any) -> Any:
        """The `count`-th event of this kind."""
        found = self.watch.until(
            lambda: found if len(found := self.watch.of(kind, run_id, **where)) >= count else None,
            f"{count} x {kind} {where} of {run_id or 'any run'}",
        )
        return found[count - 1]

    def reached(self, point: str) -> int:
        return len(self.watch.of("point_reached", point=point))

    def until_reached(self, point: str, count: int = 1) -> Any:
        return self.until_event("point_reached", point=point, count=count)

    def lines(self, file: str) -> list[dict[str, Any]]:
        """What the crew has noted in one of its files."""
        return checker.lines(self.logs / file)

    def until_line(self, file: str, **where: Any) -> dict[str, Any]:
        """The first such line. The crew's files tell nobody that they grow, so they are looked at often."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            for line in self.lines(file):
                if all(line.get(name) == value for name, value in where.items()):
                    return line
            self.watch.pause(0.01)
        raise AssertionError(f"{file} has no line {where}\n{self.watch.tail()}")

    # --- what is left -------------------------------------------------------------------------------------------

    @property
    def journal(self) -> Path:
        return self.config.journal

    def evidence(self) -> Evidence:
        return Evidence(self.journal, self.upstreams.ledgers, self.logs / "questions.jsonl", self.logs / "bodies.jsonl")

    def promise(self) -> Promise:
        recovery = self.config.recovery
        return Promise(
            untrue=frozenset(self.untrue),
            at_rest=self.at_rest,
            first_backoff_us=recovery.backoff.first_us,
            longest_backoff_us=recovery.backoff.cap_us,
            stuck_after=recovery.max_crashes,
        )

    def judge(self) -> None:
        """Closes the stage and raises AssertionError for whatever the checker finds."""
        self.close()
        findings = [str(finding) for finding in checker.judge(self.evidence(), self.promise())]
        findings += [f"lives on: {process}" for process in checker.living_with_nonces(self.journal)]
        if self.house.nursery is not None:
            findings += self.house.nursery.trouble()
        assert not findings, "\n".join([*findings, self.watch.tail(100)])

    def acts(self, run_id: str, tool: str | None = None) -> list[dict[str, Any]]:
        """What the upstreams hold of this run, undone or not."""
        seen = checker.read(self.evidence())
        return [
            act
            for key, acts in seen.acts.items()
            for act in acts
            if key.startswith(f"{run_id}/") and (tool is None or key.endswith(f"/{tool}"))
        ]

    def standing(self, run_id: str, tool: str | None = None) -> int:
        return sum(not act["undone"] for act in self.acts(run_id, tool))

    def asked(self, run_id: str) -> dict[int, int]:
        """How often the model was asked for each decision of the run."""
        counts: dict[int, int] = {}
        for line in checker.read(self.evidence()).questions:
            if line["run"] == run_id:
                counts[line["index"]] = counts.get(line["index"], 0) + 1
        return counts

    def tape(self, run_id: str) -> list[str]:
        return checker.normalised_tape(self.journal, run_id)
