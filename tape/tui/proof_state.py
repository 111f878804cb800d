"""What a proof has told until now, line by line. Pure: a state and a line in, the next state out.

The lines are those of `tape prove --events`; the shapes inside them are those of tape/lab/proof.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from tape.core.text import count, duration, show

if TYPE_CHECKING:
    from tape.lab.proof import Cause, Cell, Place, Result

Json = Any


class Phase(StrEnum):
    """GOOD: the run without a death; PROVED: it has come to its end, whatever came out."""

    GOOD = "good"
    CELLS = "cells"
    STOPPING = "stopping"
    PROVED = "proved"
    STOPPED = "stopped"
    BROKEN = "broken"


UNDER_WAY = frozenset({Phase.GOOD, Phase.CELLS, Phase.STOPPING})


@dataclass(frozen=True, slots=True)
class Summary:
    """What the last line adds: causes with how many cells show each (0: it is the good run's own), and notes."""

    holds: bool
    status: str
    causes: tuple[tuple[Cause, int], ...]
    notes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class ProofState:
    """`good` is the status of the run without a death, empty until it has ended; `error` says in one line why nothing
    came of it. With second deaths there is a second plan, of all cells. `planned_us` is when the first cell could
    begin, by the boot clock."""

    agent: str
    phase: Phase = Phase.GOOD
    good: str = ""
    good_seconds: float = 0.0
    places: tuple[Place, ...] = ()
    cells: tuple[Cell, ...] = ()
    results: Mapping[int, Result] = field(default_factory=lambda: {})
    summary: Summary | None = None
    error: str = ""
    planned_us: int = 0

    @property
    def under_way(self) -> bool:
        return self.phase in UNDER_WAY

    @property
    def done(self) -> int:
        return len(self.results)

    @property
    def wrong(self) -> int:
        """Cells that came out wrong."""
        from tape.lab.proof import Mark

        return sum(result.mark is Mark.WRONG for result in self.results.values())

    @property
    def missed(self) -> int:
        """Cells whose death did not come to pass: nothing is known of them."""
        from tape.lab.proof import Mark

        return sum(result.mark is Mark.MISSED for result in self.results.values())

    @property
    def holds(self) -> bool:
        """Whether all is well as far as it is known."""
        return not self.error and not self.wrong and (self.summary is None or self.summary.holds)

    def left_us(self, now_us: int) -> int | None:
        """How long the rest takes if it goes on like this; None if nothing is known yet, or nothing is left."""
        if self.phase is not Phase.CELLS or not self.done:
            return None
        return max(0, now_us - self.planned_us) * (len(self.cells) - self.done) // self.done


def take(state: ProofState, line: str, now_us: int) -> ProofState:
    """The state after one more line. A line that is not understood ends the proof: its figures would be false."""
    try:
        told: Json = json.loads(line)
        if not isinstance(told, dict):
            raise TypeError("no object")
        return _take(state, cast("dict[str, Json]", told), now_us)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        said = show(line, 60)
        error = f"`tape prove` said what this console does not understand: {said or 'an empty line'}"
        return replace(state, phase=Phase.BROKEN, error=error)


def _take(state: ProofState, told: Mapping[str, Json], now_us: int) -> ProofState:
    from tape.lab.proof import cell_from, place_from, result_from

    if "good" in told:
        good = told["good"]
        return replace(state, good=str(good["status"]), good_seconds=float(good["seconds"]))
    if "plan" in told:
        plan = told["plan"]
        return replace(
            state,
            phase=Phase.CELLS if state.phase is Phase.GOOD else state.phase,
            agent=str(plan["agent"]),
            places=tuple(place_from(place) for place in plan["boundaries"]),
            cells=tuple(cell_from(cell) for cell in plan["cells"]),
            planned_us=state.planned_us if state.cells else now_us,
        )
    if "result" in told:
        result = result_from(told["result"])
        return replace(state, results={**state.results, result.cell.number: result})
    if "proof" in told:
        return _proved(state, told["proof"])
    if "error" in told and state.phase is not Phase.STOPPING:
        return replace(state, phase=Phase.BROKEN, error=str(told["error"]))
    return state


def _proved(state: ProofState, body: Mapping[str, Json]) -> ProofState:
    """The last line has everything, so what was missed before is made good."""
    from tape.lab.proof import Cause, Mistake, place_from, result_from

    def cause(given: Mapping[str, Json]) -> Cause:
        return Cause(Mistake(given["mistake"]), given["sentence"], given["tool"])

    found = {**state.results, **{result.cell.number: result for result in map(result_from, body["results"])}}
    whole = len(found) >= len(state.cells)
    return replace(
        state,
        phase=Phase.PROVED if whole else Phase.STOPPED,
        agent=str(body["agent"]),
        good=str(body["status"]),
        places=state.places or tuple(place_from(place) for place in body["boundaries"]),
        cells=state.cells or tuple(result.cell for result in found.values()),
        results=found,
        summary=Summary(
            holds=bool(body["holds"]),
            status=str(body["status"]),
            causes=tuple((cause(given), len(given["cells"])) for given in body["causes"]),
            notes=tuple(str(note) for note in body["notes"]),
            seconds=float(body["seconds"]),
        ),
    )


def stopping(state: ProofState) -> ProofState:
    return replace(state, phase=Phase.STOPPING) if state.under_way else state


def ended(state: ProofState, code: int, last_words: str) -> ProofState:
    """The process is gone. Without a last line it was stopped, or it has failed: `last_words` say why."""
    if not state.under_way:
        return state
    if state.phase is Phase.STOPPING:
        return replace(state, phase=Phase.STOPPED)
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    why = last_words or "it said nothing; run it in a shell to see more"
    return replace(state, phase=Phase.BROKEN, error=f"`tape prove` ended before it was through ({how}): {why}")


def summary_text(state: ProofState) -> str:
    """What one line says of it: `proving 23/52`, `proved 52/52 ✓ 4.1 s`, `3 of 52 ✗`."""
    done, of = state.done, len(state.cells)
    wrong = f" {state.wrong} ✗" if state.wrong else ""
    if state.phase is Phase.GOOD:
        return "proving: the good run"
    if state.phase is Phase.CELLS:
        return f"proving {done}/{of}{wrong}"
    if state.phase is Phase.STOPPING:
        return f"stopping at {done}/{of}{wrong}" if of else "stopping"
    if state.phase is Phase.STOPPED:
        return f"proof stopped at {done}/{of}{wrong}" if of else "proof stopped"
    if state.phase is Phase.BROKEN or state.summary is None:
        return "proof failed ✗"
    if state.wrong:
        return f"{state.wrong} of {of} ✗"
    if not state.holds:
        return f"{count(sum(1 for _, cells in state.summary.causes if not cells), 'mistake')} in the good run ✗"
    missed = f"{state.missed} – " if state.missed else ""
    return f"proved {done - state.missed}/{of} ✓ {missed}{duration(int(state.summary.seconds * 1_000_000))}"
