"""What the fixtures of tape/lab/pytest_plugin.py hand to a test. Each mistake in their use is one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal

from tape.core.config import suggest
from tape.core.kernel.errors import UsageError
from tape.core.kernel.points import Death, Stage, find_point
from tape.lab.proof import DEATHS, Place
from tape.lab.prove_plan import deaths_at
from tape.lab.pytest_result import RunResult, UpstreamActs
from tape.lab.pytest_stage import Crash, plainly, refuse
from tape.lab.pytest_stage import Stage as TestStage
from tape.lab.scenario import Kill, Timers
from tape.lab.upstream_ledger import Act
from tape.lab.upstream_options import parse_duration, parse_options

Json = Any
DEFAULT_WITHIN = 30.0


class Unsaid(Enum):
    """Stands where a test said nothing: `None` is an input too."""

    UNSAID = "unsaid"


class TapeRun:
    """The fixture `tape_run`: plays one run of the project, with real processes, in a journal of its own.

    def test_pays_once(tape_run, tape_upstream):
        result = tape_run("pay invoice 7", agent="treasury", within=30)
        assert result.status == "TERMINAL"
        assert tape_upstream("bank").count("wires") == 1
    """

    def __init__(self, stage: TestStage) -> None:
        self._stage = stage

    def __call__(
        self,
        input: Json | Literal[Unsaid.UNSAID] = Unsaid.UNSAID,
        *,
        agent: str | None = None,
        within: float | str = DEFAULT_WITHIN,
        judge: bool = True,
    ) -> RunResult:
        """`input` is JSON; left out, it is that of the mark `tape_every_crash_point`, or null. `agent` may be left out
        if the project has one. `within` (seconds, or `"2m"`) is how long the run may take to come to rest.

        Deaths, options and time that were ordered before apply; the deaths are for a test's first run. When the test
        is over the run is judged, unless `judge` is False. Fails the test if the run cannot be played, or does not
        come to rest."""
        with plainly():
            seconds = parse_duration(within, "tape_run: within")
        given = None if isinstance(input, Unsaid) else (input,)
        return self._stage.run(given, agent, int(seconds * 1_000_000), judge)


class StandIn:
    """One stand-in of tape.yaml, as a test sees it: told what to do before the run, looked at after it."""

    def __init__(self, stage: TestStage, name: str) -> None:
        self._stage = stage
        self.name = name

    def options(self, **options: Json) -> StandIn:
        """Sets options for the runs of this test, over those of tape.yaml, written as there:
        `options(honours_key=True, latency="20ms")`."""
        self._stage.not_too_late(f"tape_upstream({self.name!r}).options")
        told = {**self._stage.upstream.get(self.name, {}), **options}
        with plainly():
            parse_options(told, f"tape_upstream({self.name!r})")
        self._stage.upstream[self.name] = told
        return self

    def faults(self, faults: Sequence[Mapping[str, Json]]) -> StandIn:
        """Sets its faults, written as in tape.yaml: `faults([{"kind": "lose_answer", "nth": 1}])`."""
        return self.options(faults=[dict(fault) for fault in faults])

    def acts(self, collection: str | None = None) -> tuple[Act, ...]:
        """The acts of the latest run that stand, oldest first."""
        return self._ledger().acts(collection)

    def all(self, collection: str | None = None) -> tuple[Act, ...]:
        """Every act of the latest run, undone or not."""
        return self._ledger().all(collection)

    def count(self, collection: str | None = None) -> int:
        """How many acts of the latest run stand."""
        return self._ledger().count(collection)

    def _ledger(self) -> UpstreamActs:
        if not self._stage.played:
            refuse(f"tape_upstream({self.name!r}) holds nothing yet: call tape_run first")
        return UpstreamActs(self.name, self._stage.played[-1].outcome.acts.get(self.name, ()))


class TapeUpstream:
    """The fixture `tape_upstream`: the stand-ins of tape.yaml, by name.

    tape_upstream("bank").options(latency="20ms")
    """

    def __init__(self, stage: TestStage) -> None:
        self._stage = stage

    def __call__(self, name: str) -> StandIn:
        """Fails the test if tape.yaml names no such stand-in."""
        with plainly():
            names = list(self._stage.config.upstream)
            if name not in names:
                near = suggest(name, names)
                hint = f"did you mean {near}?" if near else f"it has {', '.join(names) or 'none'}"
                raise UsageError(f"the project has no stand-in {name!r} in tape.yaml; {hint}")
        return StandIn(self._stage, name)


class CrashAt:
    """The fixture `crash_at`: orders a death at a crash point of the run that comes next; several strike in order.

    crash_at("effect.acted", tool="wire_money")
    crash_at("observe.answered")
    """

    def __init__(self, stage: TestStage) -> None:
        self._stage = stage

    def __call__(
        self,
        point: str,
        *,
        tool: str | None = None,
        nth: int = 1,
        decision: int | None = None,
        signal: str = "KILL",
        required: bool = True,
    ) -> None:
        """At the `nth` pass of `point` that is about this tool and decision (None: any). `signal`: KILL, TERM, STOP
        (frozen, and thawed when the run has ended) or LOST (the reply). A point that the run never comes to fails the
        test, unless `required` is False."""
        self._stage.not_too_late(f"crash_at({point!r})")
        with plainly():
            death = self._death(point, signal)
            if nth < 1:
                raise UsageError(f"crash_at({point!r}): nth is {nth}; passes are counted from 1")
        if death is Death.STOP and self._stage.advances:
            refuse("crash_at with STOP puts time forward itself: use tape_clock.skip_timers() instead of advance")
        kill = Kill(at=point, tool=tool, nth=nth, decision=decision, signal=death)
        about = {"tool": tool, "nth": None if nth == 1 else nth, "decision": decision}
        told = [repr(point), *(f"{name}={value!r}" for name, value in about.items() if value is not None)]
        self._stage.crashes.append(Crash(kill, required, f"crash_at({', '.join(told)})"))

    @staticmethod
    def _death(point: str, signal: str) -> Death:
        stage = find_point(point).stage
        if signal not in list(DEATHS):
            names = ", ".join(DEATHS)
            raise UsageError(f"crash_at({point!r}): no death is called {signal!r}; there are {names}")
        death = Death(signal)
        allowed = deaths_at(Place(point))
        if death not in allowed:
            where = "on the recovery's own path" if stage is Stage.HOOK else "at a point of your own"
            raise UsageError(f"crash_at({point!r}): {where} only {' and '.join(allowed)} can be dealt, not {signal}")
        return death


class TapeClock:
    """The fixture `tape_clock`: durable timers of hours, in a moment.

    tape_clock.skip_timers()
    """

    def __init__(self, stage: TestStage) -> None:
        self._stage = stage

    def skip_timers(self) -> None:
        """Puts time forward to the next timer whenever nothing else is waited for."""
        self._stage.not_too_late("tape_clock.skip_timers")
        self._stage.timers = Timers.SKIPPED

    def advance(self, by: float | str) -> None:
        """Puts time forward by `"1h"`, or so many seconds, once: the first call when the run has set its first timer
        and nothing drives it any more, the second at its second timer, and so on."""
        self._stage.not_too_late("tape_clock.advance")
        with plainly():
            seconds = parse_duration(by, "tape_clock.advance")
        if any(crash.kill.signal is Death.STOP for crash in self._stage.crashes):
            refuse("crash_at with STOP puts time forward itself: use tape_clock.skip_timers() instead of advance")
        self._stage.advances.append(int(seconds * 1_000_000))
