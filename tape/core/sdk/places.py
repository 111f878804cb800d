"""The numbers by which the tape knows what the code asks for."""

from __future__ import annotations


class Places:
    """Decisions are numbered from 0; calls from 0 after each of them."""

    def __init__(self) -> None:
        self._decisions = 0
        self._ordinals: dict[int, int] = {}

    def next_decision(self) -> int:
        """The index of the decision that is asked for now."""
        index, self._decisions = self._decisions, self._decisions + 1
        return index

    def take_back_decision(self) -> None:
        """The decision was refused: the next one has its index, and calls are numbered on after the one before."""
        self._decisions -= 1

    def next_call(self) -> tuple[int | None, int]:
        """The place of the call that is made now: the decision before it, and its ordinal."""
        decision = self._decisions - 1
        ordinal = self._ordinals.get(decision, 0)
        self._ordinals[decision] = ordinal + 1
        return (decision if decision >= 0 else None), ordinal
