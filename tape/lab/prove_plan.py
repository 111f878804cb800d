"""Which trials a proof has: pure functions of the places that a good run passed."""

from __future__ import annotations

from tape.core.config import Config, suggest
from tape.core.kernel.errors import UsageError
from tape.core.kernel.points import Death, Stage
from tape.core.text import show
from tape.lab.proof import DEATHS, Place

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
