"""The matrix of a proof, for every sink: which rows there are, which result stands where, and the verdict in words."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tape.core.config import FILE_NAME
from tape.core.kernel.points import Death
from tape.core.text import CUT, cells, count, fit, show
from tape.lab.proof import Cause, Cell, Mark, Place, Proof, Result

WORST_FIRST = (Mark.WRONG, Mark.MISSED, Mark.PERSON, Mark.HOLDS)
WORDS: Mapping[Mark, str] = {
    Mark.HOLDS: "holds",
    Mark.PERSON: "holds; a person was asked, as the tool declares",
    Mark.WRONG: "does not hold",
    Mark.MISSED: "not tried",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One place. `second` are the trials whose second death was dealt here, during the recovery."""

    place: Place
    deaths: Mapping[Death, Result]
    second: tuple[Result, ...]


def rows_of(proof: Proof) -> tuple[Row, ...]:
    """All boundaries in the order of the run, tried or not. A place that only a second death knows stands below the
    place of the first death that led there."""
    first: dict[Place, dict[Death, Result]] = {place: {} for place in proof.boundaries}
    second: dict[Place, list[Result]] = {}
    led_to: dict[Place, list[Place]] = {}
    for result in proof.results:
        cell = result.cell
        deaths = first.setdefault(cell.place, {})
        if cell.second is None:
            deaths[cell.death] = result
            continue
        if cell.second not in second:
            led_to.setdefault(cell.place, []).append(cell.second)
        second.setdefault(cell.second, []).append(result)
    order = [place for anchor in first for place in (anchor, *(p for p in led_to.get(anchor, ()) if p not in first))]
    return tuple(Row(place, first.get(place, {}), tuple(second.get(place, ()))) for place in order)


def worst(results: Sequence[Result]) -> Mark:
    """Of at least one."""
    return next(mark for mark in WORST_FIRST if any(result.mark is mark for result in results))


def tally(results: Sequence[Result]) -> str:
    """How many, or how many of them are as bad as the worst: `5`, `2/5`."""
    bad = sum(result.mark is worst(results) for result in results)
    return str(bad) if bad == len(results) else f"{bad}/{len(results)}"


def marks_of(proof: Proof) -> tuple[Mark, ...]:
    """Those that occur, in the order of the enum."""
    return tuple(mark for mark in Mark if proof.count(mark))


def ordered_causes(proof: Proof) -> tuple[tuple[Cause, tuple[Result, ...], Mark], ...]:
    """Each cause with its cells and the worst of their marks; what is wrong stands before what was not tried."""
    found = [(cause, results, worst(results) if results else Mark.WRONG) for cause, results in proof.causes()]
    return tuple(sorted(found, key=lambda item: WORST_FIRST.index(item[2])))


def verdict(proof: Proof) -> tuple[str, Mark]:
    """What came of it, in words. A proof that tried nothing says so and never that all holds."""
    wrong, missed = proof.count(Mark.WRONG), proof.count(Mark.MISSED)
    tried = len(proof.results) - missed
    if not proof.results and proof.about_good:
        return (f"the good run is {show(proof.status, 20)}" if proof.status else "the good run is wrong"), Mark.WRONG
    good = "the good run is wrong" if proof.about_good else ""
    fails = f"{wrong} of {tried} {'does' if wrong == 1 else 'do'} not hold" if wrong else ""
    if good or fails:
        return " and ".join(word for word in (good, fails) if word), Mark.WRONG
    if not tried:
        return "nothing was tried", Mark.MISSED
    return f"all hold, {missed} not tried" if missed else "all hold", Mark.HOLDS


def head(proof: Proof) -> str:
    """`treasury: 15 boundaries, 52 kills`."""
    boundaries = count(len(proof.boundaries), "boundary", "boundaries")
    return f"{show(proof.agent, 40)}: {boundaries}, {count(proof.kills, 'kill')}"


def place_text(place: Place, width: int) -> str:
    """The label, safe and in at most `width` columns. A long tool name loses its middle, so that what tells two
    places apart (their ends, and which pass it is) stays."""
    tool = show(place.tool) if place.tool is not None else None
    label = show(replace(place, tool=tool).label)
    if tool and cells(label) > width:
        room = width - (cells(label) - cells(tool))
        label = show(replace(place, tool=_middle_cut(tool, max(room, 8))).label)
    return fit(label, width).rstrip()


def cell_text(cell: Cell, width: int) -> str:
    """The same of a cell's label."""
    if cells(show(cell.label)) <= width:
        return show(cell.label)
    death = f" {cell.death}"
    if cell.second is None:
        return place_text(cell.place, width - len(death)) + death
    then = f"{death}, then "
    end = f" {Death.KILL}"
    room = (width - len(then) - len(end)) // 2
    return place_text(cell.place, room) + then + place_text(cell.second, room) + end


def _middle_cut(text: str, width: int) -> str:
    front = back = ""
    room = width - 1
    while cells(front) + cells(back) < room and len(front) + len(back) < len(text):
        grown = text[: len(front) + 1], text[len(text) - len(back) - 1 :]
        front, back = (grown[0], back) if len(front) <= len(back) else (front, grown[1])
    if cells(front) + cells(back) > room:  # the last sign was a wide one
        front = front[:-1]
    return front + CUT + back


def near(path: Path, here: Path) -> str:
    """The path as somebody in the folder `here` would write it; it is safe to print."""
    full = Path(os.path.abspath(here / path))
    return show(str(full.relative_to(here) if full.is_relative_to(here) else full))


def open_command(journal: Path, here: Path) -> str:
    """Absolute: an address with a relative path counts from tape.yaml, wherever that is."""
    absolute = Path(os.path.abspath(here / journal))
    project = next((folder for folder in absolute.parents if (folder / FILE_NAME).is_file()), None)
    away = project is not None and not Path(os.path.abspath(here)).is_relative_to(project)
    go = f"cd {show(shlex.quote(str(project)))} && " if away else ""
    return f"{go}TAPE_JOURNAL={show(shlex.quote(f'sqlite:///{absolute}'))} tape doctor"
