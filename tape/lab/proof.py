"""What a proof is made of: places, cells, causes, results. Values only, and their JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tape.core.kernel.points import OWN_PREFIX, Death, Stage, find_point
from tape.lab.scenario import Kill

Json = Any
_VALUES = re.compile(r"\"[^\"]*\"|'[^']*'|[0-9.]+")
DEATHS = (Death.KILL, Death.TERM, Death.STOP, Death.LOST)
"""The columns of the matrix. What a second death adds stands in the row of its own place."""


LONGEST_SLUG = 120


class Mark(StrEnum):
    """How a cell came out. PERSON holds too: what only a person can know was asked of one, as the tool declares."""

    HOLDS = "holds"
    PERSON = "person"
    WRONG = "wrong"
    MISSED = "missed"

    @property
    def glyph(self) -> str:
        return {"holds": "✓", "person": "?", "wrong": "✗", "missed": "–"}[self]

    @property
    def fine(self) -> bool:
        return self in (Mark.HOLDS, Mark.PERSON)


class Mistake(StrEnum):
    """What is wrong, as a word to look for; the sentence says it in full."""

    NO_GOOD_RUN = "no-good-run"
    TWO_ACTS = "two-acts-in-one-effect"
    ACTS_OUTSIDE = "acts-outside-tools"
    READ_ONLY_ACTS = "read-only-acts"
    UNRECORDABLE = "unrecordable-result"
    NO_KEY = "no-key-sent"
    KEY_IGNORED = "key-not-honoured"
    LOOK_UP_LIES = "look-up-lies"
    LOOK_UP_LAGS = "look-up-lags"
    DIVERGED = "diverged-on-replay"
    NOT_UNDONE = "not-undone"
    DOUBLED = "acted-twice"
    LOST = "act-lost"
    OTHER_END = "other-end"
    OTHER_RESULT = "other-result"
    OTHER_TAPE = "other-tape"
    ASKED_AGAIN = "asked-again"
    OVERRUN = "budget-overrun"
    NEVER_ENDS = "never-ends"
    ORPHAN = "orphan-process"
    JOURNAL = "journal-damaged"
    NOT_PLAYED = "not-played"
    NOT_PASSED = "not-passed"


@dataclass(frozen=True, slots=True)
class Cause:
    """One mistake, in one sentence that says what to do."""

    mistake: Mistake
    sentence: str
    tool: str = ""

    @property
    def same(self) -> tuple[str, ...]:
        """Causes that have this in common are one: values in a sentence differ from cell to cell."""
        return self.mistake, self.tool, _VALUES.sub("", self.sentence)


@dataclass(frozen=True, slots=True)
class Place:
    """One pass of a crash point in the good run: the `nth` with this tool and decision."""

    point: str
    tool: str | None = None
    decision_index: int | None = None
    nth: int = 1

    @property
    def label(self) -> str:
        """`effect.acted wire_money`, `decision.recorded 1`, `effect.begun 2/pay #3`."""
        about = self.tool or ""
        if self.decision_index is not None:
            about = f"{self.decision_index}/{about}" if about else str(self.decision_index)
        more = f"#{self.nth}" if self.nth > 1 else ""
        return " ".join(word for word in (self.point, about, more) if word)

    @property
    def stage(self) -> Stage:
        return Stage.OWN if self.point.startswith(OWN_PREFIX) else find_point(self.point).stage

    def kill(self, death: Death) -> Kill:
        return Kill(self.point, self.tool, self.nth, self.decision_index, death)


@dataclass(frozen=True, slots=True)
class Cell:
    """One trial of the matrix: a death at a place, and perhaps a second one (always a SIGKILL) during the recovery."""

    number: int
    place: Place
    death: Death
    second: Place | None = None

    @property
    def label(self) -> str:
        then = f", then {self.second.label} KILL" if self.second is not None else ""
        return f"{self.place.label} {self.death}{then}"

    @property
    def slug(self) -> str:
        """A file's name; a long one ends with the cell's number."""
        name = "".join(char if char.isalnum() or char in ".-_" else "-" for char in self.label.replace(",", ""))
        return name if len(name) <= LONGEST_SLUG else f"{name[:LONGEST_SLUG]}-{self.number}"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one cell. `status` is the run's, `resolutions` how open effects were settled, `acts` what the
    upstreams hold (not undone). `kills` are deaths that were dealt. Files are there where something is wrong."""

    cell: Cell
    mark: Mark
    causes: tuple[Cause, ...] = ()
    status: str = ""
    resolutions: tuple[str, ...] = ()
    acts: int = 0
    kills: int = 0
    seconds: float = 0.0
    run_id: str = ""
    scenario: Path | None = None
    journal: Path | None = None

    @property
    def wrong(self) -> bool:
        return self.mark is Mark.WRONG


@dataclass(frozen=True, slots=True)
class Proof:
    """A whole proof. `about_good` are causes found in the good run itself; if it did not end there are no results.
    `notes` say what was not looked at."""

    agent: str
    status: str
    boundaries: tuple[Place, ...]
    about_good: tuple[Cause, ...]
    notes: tuple[str, ...]
    results: tuple[Result, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        return not self.about_good and all(result.mark is not Mark.WRONG for result in self.results)

    @property
    def kills(self) -> int:
        return sum(result.kills for result in self.results)

    def count(self, mark: Mark) -> int:
        return sum(result.mark is mark for result in self.results)

    def causes(self) -> tuple[tuple[Cause, tuple[Result, ...]], ...]:
        """Each cause once, as the first of its cells says it, with the cells that show it, the most frequent first;
        those of the good run come first."""
        found: dict[tuple[str, ...], tuple[Cause, list[Result]]] = {}
        for cause in self.about_good:
            found[cause.same] = cause, []
        first = len(found)
        for result in self.results:
            for cause in result.causes:
                found.setdefault(cause.same, (cause, []))[1].append(result)
        ordered = [(cause, tuple(cells)) for cause, cells in found.values()]
        return (*ordered[:first], *sorted(ordered[first:], key=_weight))


def _weight(found: tuple[Cause, Sequence[Result]]) -> int:
    return -len(found[1])


# --- JSON ---------------------------------------------------------------------------------------------------------


def place_json(place: Place) -> Json:
    return {"point": place.point, "tool": place.tool, "decision": place.decision_index, "nth": place.nth}


def place_from(body: Mapping[str, Json]) -> Place:
    return Place(body["point"], body["tool"], body["decision"], body["nth"])


def cause_json(cause: Cause) -> Json:
    return {"mistake": str(cause.mistake), "sentence": cause.sentence, "tool": cause.tool}


def cell_json(cell: Cell) -> Json:
    second = None if cell.second is None else place_json(cell.second)
    return {"number": cell.number, "place": place_json(cell.place), "signal": str(cell.death), "second": second}


def cell_from(body: Mapping[str, Json]) -> Cell:
    second = None if body["second"] is None else place_from(body["second"])
    return Cell(body["number"], place_from(body["place"]), Death(body["signal"]), second)


def result_json(result: Result) -> Json:
    return {
        "cell": cell_json(result.cell),
        "label": result.cell.label,
        "mark": str(result.mark),
        "causes": [cause_json(cause) for cause in result.causes],
        "status": result.status,
        "resolutions": list(result.resolutions),
        "acts": result.acts,
        "kills": result.kills,
        "seconds": round(result.seconds, 3),
        "run": result.run_id,
        "scenario": None if result.scenario is None else str(result.scenario),
        "journal": None if result.journal is None else str(result.journal),
    }


def result_from(body: Mapping[str, Json]) -> Result:
    return Result(
        cell=cell_from(body["cell"]),
        mark=Mark(body["mark"]),
        causes=tuple(Cause(Mistake(cause["mistake"]), cause["sentence"], cause["tool"]) for cause in body["causes"]),
        status=body["status"],
        resolutions=tuple(body["resolutions"]),
        acts=body["acts"],
        kills=body["kills"],
        seconds=body["seconds"],
        run_id=body["run"],
        scenario=None if body["scenario"] is None else Path(body["scenario"]),
        journal=None if body["journal"] is None else Path(body["journal"]),
    )


def proof_json(proof: Proof) -> Json:
    return {
        "agent": proof.agent,
        "holds": proof.holds,
        "status": proof.status,
        "boundaries": [place_json(place) for place in proof.boundaries],
        "cells": len(proof.results),
        "kills": proof.kills,
        "marks": {str(mark): proof.count(mark) for mark in Mark},
        "good_run": [cause_json(cause) for cause in proof.about_good],
        "notes": list(proof.notes),
        "causes": [
            {**cause_json(cause), "cells": [result.cell.label for result in results]}
            for cause, results in proof.causes()
        ],
        "results": [result_json(result) for result in proof.results],
        "seconds": round(proof.seconds, 3),
    }
