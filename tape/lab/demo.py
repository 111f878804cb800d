"""`tape dev --kill-resume-demo`: ten lines from a real kill, judged by the upstream's own ledger (api.md section 4)."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass

from tape.core.clock import Clock, SystemClock
from tape.core.config import Config
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import EnvironmentTrouble, UsageError
from tape.core.kernel.events import (
    Attached,
    EffectEnded,
    Entry,
    Event,
    PointReached,
    RunMoved,
    WorkerDied,
)
from tape.core.kernel.lifecycle import RUN_ENDS, RunStatus
from tape.core.kernel.points import Arm, Stage, find_point
from tape.core.server.orders import Order
from tape.core.text import show
from tape.lab.service import Service
from tape.lab.upstream import Upstream, read_ledger
from tape.reactors.host import Voice

INPUT = "pay invoice 7"
DEADLINE_US = 60_000_000
OTHERS_US = 15_000_000
POLL_SECONDS = 0.02
DEFAULT_POINT = "effect.acted"
AFTER_END = frozenset({"run.ended"})
MID_EFFECT = frozenset({"effect.begun", "effect.acted"})
PASSED = (
    "decision.asking", "decision.replied", "decision.recorded", "effect.begun", "effect.acted", "effect.ended",
    "run.ending", "run.ended", "lease.granted", "observe.answered",
)  # fmt: skip

Print = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many acts the upstream saw since the start, and what one is called."""

    acts: int
    noun: str

    @property
    def holds(self) -> bool:
        return self.acts == 1

    def line(self) -> str:
        if self.holds:
            return f"ASSERT: upstream observed exactly 1 {self.noun} ✓"
        return f"ASSERT: upstream observed {self.acts} {self.noun}s, expected exactly 1 ✗"


def judge(upstream: Upstream, since: int) -> Verdict:
    """Counts the acts not undone that the ledger holds beyond its first `since`, whatever their key."""
    acts = [act for act in read_ledger(upstream.ledger_path)[since:] if not act.undone]
    noun = acts[0].collection.removesuffix("s") if acts else "wire"
    return Verdict(len(acts), noun)


def check_point(name: str) -> None:
    """Raises UsageError for a point that the demo's agent does not pass."""
    point = find_point(name)
    if point.stage is not Stage.OWN and name not in PASSED:
        raise UsageError(f"the demo's agent does not pass {name}; it passes: {', '.join(PASSED)}")


class Demo:
    """One run, killed at one point, watched to its end."""

    def __init__(self, config: Config, point: str, say: Print, *, verbose: bool, clock: Clock | None = None) -> None:
        if not config.upstream:
            raise UsageError("the demo needs a stand-in to be judged by: add `upstream: {bank: {}}` to tape.yaml")
        check_point(point)
        self._config = config
        self._point = point
        self._say = say
        self._verbose = verbose
        self._clock = clock or SystemClock()
        self._entries: queue.SimpleQueue[Entry | str] = queue.SimpleQueue()
        self._run_id = ""
        self._killed = False
        self._status: RunStatus | None = None

    def run(self) -> int:
        """Prints the story; returns 0 if the upstream saw exactly one act."""
        voice = Voice(
            entries=self._take, agent_said=lambda pid, line: self._aside(f"agent {pid}: {line}"), trouble=self._aside
        )
        with Service(self._config, clock=self._clock, voice=voice) as service:
            upstream = next(iter(service.upstreams.values()))
            self._say("✓ tape-server up")
            self._say(f"✓ reactors started ({', '.join(service.host.states)})")
            service.host.wait_ready()
            self._say("✓ agent started")
            since = self._await_others(upstream)
            self._say("→ triggering run...")
            self._run_id = service.host.start_armed(Order("start", args={"input": INPUT}), self._arms)
            self._watch(service.host.check)
            verdict = judge(upstream, since)
        if not self._killed:
            self._say(f"✗ nothing was killed: the run did not pass {self._point}")
        self._say(verdict.line())
        return 0 if verdict.holds and self._killed and self._status is RunStatus.TERMINAL else 1

    def _await_others(self, upstream: Upstream) -> int:
        """The ledger's length once no other run of this journal acts any more: whatever is added to it from now on is
        counted, whatever its key. Raises EnvironmentTrouble for runs that do not end soon."""
        deadline = self._clock.boot_us() + OTHERS_US
        with open_reader(self._config.journal) as reader:
            while others := [run.id for run in reader.runs(open_only=True) if run.status != RunStatus.STUCK]:
                if self._clock.boot_us() > deadline:
                    raise EnvironmentTrouble(
                        f"another run has not ended yet ({', '.join(others[:3])}), and the demo counts every act: "
                        "let `tape dev` drive it to its end, `tape cancel` it, or try in a fresh project"
                    )
                self._clock.sleep(POLL_SECONDS)
        return len(read_ledger(upstream.ledger_path))

    def _arms(self, run_id: str) -> list[Arm]:
        """The point, and for one on the recovery's own path the kill that leads there."""
        point = find_point(self._point)
        arms = [Arm(point, run_id=run_id)]
        if point.stage is Stage.HOOK:
            arms.insert(0, Arm(find_point(DEFAULT_POINT), run_id=run_id))
        return arms

    def _take(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._entries.put(entry)

    def _aside(self, line: str) -> None:
        if self._verbose:
            self._entries.put(line)

    def _watch(self, check: Callable[[], None]) -> None:
        """Tells the run's entries until it has ended. Raises EnvironmentTrouble if it does not, and what `check` raises
        if no agent can be started any more."""
        deadline = self._clock.boot_us() + DEADLINE_US
        while self._status is None or (self._point in AFTER_END and not self._killed):
            left = (deadline - self._clock.boot_us()) / 1_000_000
            try:
                entry = self._entries.get(timeout=max(0.0, left))
            except queue.Empty:
                raise EnvironmentTrouble(
                    f"{self._run_id} did not end within {DEADLINE_US // 1_000_000} s: "
                    f"see `tape doctor --dump-run {self._run_id}`"
                ) from None
            if isinstance(entry, str):
                self._say(f"    {show(entry, 300)}")
            elif entry.run_id == self._run_id:
                self._tell(entry.event)
            elif entry.run_id is None and isinstance(entry.event, WorkerDied):
                self._tell_death(entry.event)
            check()

    def _tell(self, event: Event) -> None:
        if self._verbose:
            from tape.core.render import line

            shown = line(Entry(0, self._run_id, None, 0, 0, event))
            self._say(f"    {shown.glyph} {shown.text}")
        if isinstance(event, PointReached):
            self._killed = True
            where = "mid-effect" if event.point in MID_EFFECT else f"at {event.point}"
            who = "hook worker" if find_point(event.point).stage is Stage.HOOK else "agent"
            self._say(f"✗ {who} killed {where} (pid {event.pid})")
        elif isinstance(event, RunMoved):
            self._tell_move(event)
        elif isinstance(event, Attached) and event.drive > 1:
            self._say(f"✓ agent re-attached at decision_index={event.decision_index}, seq={event.next_seq}")
            for key in event.replayed:
                self._say(f"✓ effect `{key.rpartition('/')[2]}` short-circuited (already CONFIRMED)")
        elif isinstance(event, EffectEnded) and event.resolution == "redispatched":
            self._say(f"✓ effect `{event.tool}` dispatched again (attempt {event.attempt}, the same key)")

    def _tell_death(self, event: WorkerDied) -> None:
        if self._verbose:
            self._say(f"    worker {event.worker} (pid {event.pid}) is dead: {event.how}")

    def _tell_move(self, event: RunMoved) -> None:
        status = RunStatus(event.status)
        if status is RunStatus.RUNNABLE and self._killed:
            self._say(f"↻ recovery reactor: run {self._run_id} is RUNNABLE; re-driving")
        if status in RUN_ENDS or status is RunStatus.STUCK:
            self._status = status
            if status is RunStatus.TERMINAL:
                self._say("✓ run terminated cleanly")
            else:
                self._say(f"✗ run ended {status}: {show(event.why, 300)}")


def run_demo(config: Config, say: Print, *, point: str | None = None, verbose: bool = False) -> int:
    """The demo from start to verdict; returns the exit code."""
    return Demo(config, point or DEFAULT_POINT, say, verbose=verbose).run()


__all__ = ["Demo", "Verdict", "check_point", "judge", "run_demo"]
