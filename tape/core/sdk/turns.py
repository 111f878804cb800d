"""What the code asks for and the tape does not hold: work that waits for its turn, is under way, or waits for a cap."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from tape.core.sdk.replay import Outcome


@dataclass(frozen=True, slots=True)
class Turn:
    """Work that sends the first boundary towards an outcome. `settles`: it ends an effect that is open, even in a
    cancelled run."""

    name: Outcome
    work: Callable[[], None]
    settles: bool = False
    context: Context = field(default_factory=copy_context)

    def take(self) -> None:
        """Does the work as if the code did it now: what it begins sees the code's own context variables."""
        self.context.run(self.work)


class Turns:
    """In the order of the calls."""

    def __init__(self) -> None:
        self._waiting: list[Turn] = []
        self._taken: dict[Outcome, Turn] = {}
        self._capped: dict[Outcome, Turn] = {}

    # --- until the tape is used up --------------------------------------------------------------------------------

    def wait(self, turn: Turn) -> None:
        self._waiting.append(turn)

    def waiting(self, name: Outcome) -> Turn | None:
        return next((turn for turn in self._waiting if turn.name == name), None)

    def first(self) -> Outcome | None:
        return self._waiting[0].name if self._waiting else None

    def drain(self) -> list[Turn]:
        """All that wait; none does any more."""
        turns, self._waiting = self._waiting, []
        return turns

    # --- from then on ---------------------------------------------------------------------------------------------

    def take(self, turn: Turn) -> None:
        """Kept until its outcome comes: it is taken again if it had to wait for a cap."""
        self._taken[turn.name] = turn
        turn.take()

    def over(self, name: Outcome) -> None:
        self._taken.pop(name, None)

    def await_cap(self, name: Outcome) -> None:
        """Nothing of it has begun, and a person is asked to raise a cap."""
        self._capped[name] = self._taken[name]

    def capped(self) -> list[Outcome]:
        """What waits for a person to raise a cap."""
        return list(self._capped)

    def drain_capped(self) -> list[Turn]:
        turns, self._capped = self._capped, {}
        return list(turns.values())
