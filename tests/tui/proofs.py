"""Recorded proofs: what `tape prove --events` says of the demo's agent, as the lines of a child."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tape.core.kernel.points import Death
from tape.lab.proof import (
    DEATHS,
    Cause,
    Cell,
    Mark,
    Mistake,
    Place,
    Proof,
    Result,
    cell_json,
    place_json,
    proof_json,
    result_json,
)

TURN = ("decision.asking", "decision.replied", "decision.recorded")
EFFECT = ("effect.begun", "effect.acted", "effect.ended")
PLACES = (
    Place("lease.granted"),
    *(Place(point, decision_index=turn) for turn in (0, 1) for point in TURN),
    *(Place(point, "wire_money", 1) for point in EFFECT),
    *(Place(point, decision_index=2) for point in TURN),
    Place("run.ending"),
)
ASKED, AGAIN = Place("observe.answered", "wire_money", 1), Place("lease.granted", nth=2)
DURABLE = ("decision.recorded", "effect.begun", "effect.ended")
DOUBLED = Cause(
    Mistake.DOUBLED,
    "the bank has two wires with one key: its tool wire_money sends a new key on each attempt; take tape.key() for it",
    "wire_money",
)
OTHER = Cause(Mistake.OTHER_RESULT, "the run ended with another result than the run without a death", "")
NOTES = ("SIGSTOP was played at durable places only",)


def plan() -> tuple[Cell, ...]:
    cells: list[Cell] = []
    for place in PLACES:
        for death in DEATHS:
            if death not in (Death.LOST, Death.STOP) or place.point in DURABLE:
                cells.append(Cell(len(cells), place, death))
    for second in (ASKED, AGAIN):
        for at in (7, 8):
            cells.append(Cell(len(cells), PLACES[at], Death.KILL, second))
    return tuple(cells)


def result(cell: Cell, mark: Mark = Mark.HOLDS, *causes: Cause, **more: Any) -> Result:
    about_effect = cell.place.point in ("effect.begun", "effect.acted") and cell.death is not Death.LOST
    made = Result(
        cell,
        mark,
        causes,
        status="TERMINAL",
        resolutions=("observed",) if about_effect else (),
        acts=1,
        kills=1 if cell.second is None else 2,
        seconds=0.21 + cell.number / 1000,
        run_id=f"r-{cell.number:012d}",
    )
    return replace(made, **more)


@dataclass(frozen=True)
class Recording:
    """The lines of one proof: the good run, the plan, the results, the last line."""

    results: tuple[Result, ...]
    cells: tuple[Cell, ...]
    proof: Proof

    @property
    def head(self) -> list[str]:
        good = {"good": {"status": self.proof.status, "seconds": 0.304, "boundaries": len(self.proof.boundaries)}}
        told = {
            "agent": self.proof.agent,
            "boundaries": [place_json(place) for place in self.proof.boundaries],
            "cells": [cell_json(cell) for cell in self.cells],
            "jobs": 3,
        }
        return [line(good), line({"plan": told})]

    def told(self, first: int = 0, last: int | None = None) -> list[str]:
        return [line({"result": result_json(one)}) for one in self.results[first:last]]

    @property
    def last(self) -> str:
        return line({"proof": proof_json(self.proof)})

    def lines(self) -> list[str]:
        return [*self.head, *self.told(), self.last]


def line(told: Mapping[str, Any]) -> str:
    return json.dumps(told)


def recording(
    changes: Mapping[int, Result] = {},
    *,
    agent: str = "treasury",
    notes: Sequence[str] = NOTES,
    places: Sequence[Place] = PLACES,
    cells: Sequence[Cell] | None = None,
    about_good: Sequence[Cause] = (),
) -> Recording:
    known = tuple(plan() if cells is None else cells)
    results = tuple(changes.get(cell.number) or result(cell) for cell in known)
    proof = Proof(agent, "TERMINAL", tuple(places), tuple(about_good), tuple(notes), results, 4.1)
    return Recording(results, known, proof)


def number_of(label: str) -> int:
    """The cell with this label."""
    return next(cell.number for cell in plan() if cell.label == label)


def with_failures(journal: Path | None = None, run_id: str = "") -> Recording:
    """Two doubled acts, another result, a question to a person, and a cell that was not played."""
    cells = plan()
    changes: dict[int, Result] = {}

    def change(label: str, mark: Mark, *causes: Cause, **more: Any) -> None:
        number = number_of(label)
        changes[number] = result(cells[number], mark, *causes, **more)

    kept = {"journal": journal, "run_id": run_id} if journal is not None else {}
    scenario = Path(".tape/proof/effect.acted-wire_money-KILL.yaml")
    change("effect.acted 1/wire_money KILL", Mark.WRONG, DOUBLED, acts=2, scenario=scenario, **kept)
    change("effect.acted 1/wire_money TERM", Mark.WRONG, DOUBLED, acts=2)
    change("run.ending KILL", Mark.WRONG, OTHER)
    change("effect.begun 1/wire_money KILL", Mark.PERSON, status="STUCK")
    change("decision.asking 0 TERM", Mark.MISSED, Cause(Mistake.NOT_PASSED, "the run did not pass it"), kills=0)
    return recording(changes)
