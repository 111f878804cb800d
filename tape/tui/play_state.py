"""The project's scenarios and what came of them until now. Pure: a state and a line in, the next state out.

The lines are those of `tape scenario run --events`; a result's shape is that of tape/lab/scenario_result.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from tape.core.text import count, duration, show

if TYPE_CHECKING:
    from tape.lab.scenario import Scenario
    from tape.lab.scenario_result import ScenarioResult

Json = Any


class Phase(StrEnum):
    """READY: nothing is being played."""

    READY = "ready"
    PLAYING = "playing"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Listed:
    """A scenario file; `file` is its path from the project's folder. `mistakes` is there if it cannot be played."""

    file: str
    scenario: Scenario | None = None
    mistakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlayState:
    """`files` is None until they have been read. `playing` are the files that were given to the process last, `ended`
    which of them have ended; `results` are the last ones of all files. `error` says in one line or more why nothing
    came of the last play."""

    files: tuple[Listed, ...] | None = None
    phase: Phase = Phase.READY
    playing: tuple[str, ...] = ()
    ended: frozenset[str] = frozenset()
    results: Mapping[str, ScenarioResult] = field(default_factory=lambda: {})
    told_all: bool = False
    error: str = ""

    @property
    def under_way(self) -> bool:
        return self.phase is not Phase.READY

    @property
    def wrong(self) -> int:
        """How many of those that were played last did not hold."""
        return sum(not self.results[file].ok for file in self.ended)

    @property
    def holds(self) -> bool:
        """Whether all is well as far as it is known."""
        return not self.error and not self.wrong

    def awaits(self, file: str) -> bool:
        """Whether it is being played, or waits for its turn."""
        return self.under_way and file in self.playing and file not in self.ended

    def mark(self, file: Listed) -> str:
        """Its sign: `!` cannot be played, `…` is awaited, `·` has not been played."""
        if self.awaits(file.file):
            return "…"
        result = self.results.get(file.file)
        if file.mistakes:
            return "!"
        return "·" if result is None else "✓" if result.ok else "✗"


def listed(state: PlayState, files: Sequence[Listed]) -> PlayState:
    """The files as they are now. What came of one that is gone is forgotten."""
    known = {one.file for one in files} | set(state.playing)
    results = {file: result for file, result in state.results.items() if file in known}
    return replace(state, files=tuple(files), results=results)


def begun(state: PlayState, files: Sequence[str]) -> PlayState:
    return replace(state, phase=Phase.PLAYING, playing=tuple(files), ended=frozenset[str](), told_all=False, error="")


def stopping(state: PlayState) -> PlayState:
    return replace(state, phase=Phase.STOPPING) if state.under_way else state


def take(state: PlayState, line: str) -> PlayState:
    """The state after one more line. One that is not understood is an error, and the rest is not listened to."""
    if not state.under_way or state.error:
        return state
    try:
        told: Json = json.loads(line)
        if not isinstance(told, dict):
            raise TypeError("no object")
        return _take(state, cast("dict[str, Json]", told))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        said = show(line, 60) or "an empty line"
        return replace(state, error=f"`tape scenario run` said what this console does not understand: {said}")


def _take(state: PlayState, told: Mapping[str, Json]) -> PlayState:
    from tape.lab.scenario_result import scenario_from

    if "result" in told:
        number = int(told["result"]["number"])
        if number < 0:
            raise IndexError(number)
        return _with_result(state, state.playing[number], scenario_from(told["result"]))
    if "done" in told:
        return replace(state, told_all=True)
    if "error" in told and state.phase is not Phase.STOPPING:
        return replace(state, error=str(told["error"]))
    return state


def _with_result(state: PlayState, file: str, result: ScenarioResult) -> PlayState:
    """Files of one name may share the place of their journals: the older one's is gone then."""
    others = {
        other: replace(known, journal=None) if known.journal is not None and known.journal == result.journal else known
        for other, known in state.results.items()
        if other != file
    }
    return replace(state, results={**others, file: result}, ended=state.ended | {file})


def ended(state: PlayState, code: int, last_words: str) -> PlayState:
    """The process is gone. If it has not told all it was stopped, or it has failed: `last_words` say why."""
    if not state.under_way:
        return state
    ready = replace(state, phase=Phase.READY)
    if state.error or state.told_all or state.phase is Phase.STOPPING:
        return ready
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    why = last_words or "it said nothing; run it in a shell to see more"
    return replace(ready, error=f"`tape scenario run` ended before it was through ({how}): {why}")


def summary_text(state: PlayState) -> str:
    """What one line says of it: `playing 3/12  1 ✗`, `12 scenarios: all hold ✓`, `1 of 12 does not hold ✗`."""
    done, of = len(state.ended), len(state.playing)
    wrong = f" {state.wrong} ✗" if state.wrong else ""
    if state.phase is Phase.PLAYING:
        return f"playing {done}/{of}{wrong}"
    if state.phase is Phase.STOPPING:
        return f"stopping at {done}/{of}{wrong}"
    if state.error:
        return "scenarios failed ✗"
    if not of:
        return ""
    if done < of:
        return f"stopped at {done}/{of}{wrong}"
    if state.wrong:
        return f"{state.wrong} of {count(of, 'scenario')} {'does' if state.wrong == 1 else 'do'} not hold ✗"
    taken = duration(int(sum(state.results[file].seconds for file in state.playing) * 1_000_000))
    return f"{count(of, 'scenario')} {'holds' if of == 1 else 'hold'} ✓ {taken}"
