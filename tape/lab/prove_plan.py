"""Which trials a proof has: pure functions of the places that a good run passed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from tape.core.config import Config, suggest
from tape.core.kernel.errors import UsageError
from tape.core.kernel.points import Death, Stage
from tape.core.text import show
from tape.lab.proof import DEATHS, Cell, Place
from tape.lab.scenario import Kill

SAY_AGENT = "say agent=, one of"
"""How a test names an agent."""

RECOVERY_PASSES = 4
"""How many passes after a death count as its recovery."""


def among_bodies(places: tuple[Place, ...]) -> frozenset[Place]:
    """Places where the body of another effect is open, or may be: who of a batch is quicker differs from run to run.
    There nobody is frozen: a body must not outlive its lease."""
    inline = {place.tool for place in places if place.point == "effect.acted"}
    found: set[Place] = set()
    bodies = 0
    batch = False
    for place in places:
        if place.stage is Stage.HOOK:
            continue  # a hook worker passes it
        ends = place.point in ("effect.acted", "effect.ended")
        if place.point == "effect.acted":
            bodies -= 1
        if bodies > 0 or (batch and ends):
            found.add(place)
        batch = bodies > 0 or (batch and ends)
        if place.point == "effect.begun" and place.tool in inline:
            bodies += 1
    return frozenset(found)


def deaths_at(place: Place) -> tuple[Death, ...]:
    """What can be done at a place: a hook worker drives no run and is killed; at an author's own point there is no
    reply to withhold or to lose."""
    if place.stage is Stage.HOOK:
        return (Death.KILL,)
    return (Death.KILL, Death.TERM) if place.stage is Stage.OWN else DEATHS


def cells_of(places: tuple[Place, ...], numbers: Iterator[int], deaths: Collection[Death] = DEATHS) -> Iterator[Cell]:
    """Each place of a good run with each of these deaths that can be dealt there."""
    crowded = among_bodies(places)
    for place in places:
        for death in deaths_at(place):
            if death in deaths and (death is not Death.STOP or place not in crowded):
                yield Cell(next(numbers), place, death)


def recovery_of(cell: Cell, passed: tuple[Place, ...]) -> tuple[Place, ...]:
    """Where a second death may strike: the passes that came right after the cell's, of all that its run passed. A
    cell that is no SIGKILL, or has two deaths already, has no such places."""
    if cell.death is not Death.KILL or cell.second is not None or cell.place not in passed:
        return ()
    first = passed.index(cell.place) + 1
    return passed[first : first + RECOVERY_PASSES]


def pairs_of(recoveries: Iterable[tuple[Cell, tuple[Place, ...]]], numbers: Iterator[int]) -> Iterator[Cell]:
    """Each cell with a second death at each place of its recovery, in the order of the cells."""
    for cell, places in sorted(recoveries, key=lambda item: item[0].number):
        for place in places:
            yield Cell(next(numbers), cell.place, cell.death, place)


def kills_of(cell: Cell) -> tuple[Kill, ...]:
    """The cell's deaths as they are armed. The pass at which the first one strikes does not count for the second."""
    kill = cell.place.kill(cell.death)
    if cell.second is None:
        return (kill,)
    first, second = cell.place, cell.second
    if replace(second, nth=first.nth) == first and second.nth > first.nth:
        second = replace(second, nth=second.nth - 1)
    return kill, second.kill(Death.KILL)


def agent_of(config: Config, wanted: str | None, say: str = "name one of") -> str:
    """The agent that is meant; `say` is how one says it. Raises UsageError for one that the project does not have, or
    if several could be meant."""
    names = list(config.agents)
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None:
        raise UsageError(f"the project has several agents: {say} {', '.join(names)}")
    if wanted not in config.agents:
        near = suggest(wanted, names)
        hint = f"did you mean {near}?" if near else f"there are: {', '.join(names)}"
        raise UsageError(f"the project has no agent {show(wanted, 40)!r}; {hint}")
    return wanted
