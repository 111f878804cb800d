"""The runs as a tree: children under the run that started them, the newest root on top.

Only the newest roots show their children by themselves, and only if they are few, so that a journal with a hundred
thousand families costs what a screenful costs. Everything else stays folded until somebody opens it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

OPEN_ROOTS = 100
"""So many of the newest roots may show their children by themselves."""
SMALL_FAMILY = 20
"""A run with more children than these shows them only when it is opened."""


@dataclass(frozen=True, slots=True)
class Rows:
    """`numbers` are read from their end. `places` has the positions of those from the oldest open family on; the ones
    before are roots, ascending."""

    numbers: array[int]
    places: Mapping[int, int] = field(default_factory=lambda: {})
    depths: Mapping[int, int] = field(default_factory=lambda: {})
    open: frozenset[int] = frozenset()


class Tree:
    """Belongs to the feed's thread. What it has handed out does not change, but that `parents` grows."""

    def __init__(self) -> None:
        self.parents: dict[int, int] = {}
        self._roots: array[int] = array("q")
        self._children: dict[int, list[int]] = {}

    def take(self, numbers: array[int], parents: Mapping[int, int], known: array[int]) -> None:
        """New runs, ascending, after all that were taken before; `known` are all runs, these included. A child of a run
        that is not there stands by itself."""
        mine = {number: parent for number, parent in parents.items() if _holds(known, parent)}
        if not mine:
            self._roots = self._roots + numbers
            return
        self.parents |= mine
        for number, parent in mine.items():
            self._children.setdefault(parent, []).append(number)
        self._roots = self._roots + array("q", [number for number in numbers if number not in mine])

    def rows(self, opened: frozenset[int], closed: frozenset[int]) -> Rows:
        roots = self._roots
        if not self._children:
            return Rows(roots)
        own = len(roots) - OPEN_ROOTS
        start = max(0, min([own, *(self._place_of_root(number) for number in opened if number in self._children)]))
        numbers, depths, shown = roots[:start], dict[int, int](), set[int]()

        def stands_open(number: int, by_itself: bool) -> bool:
            children = self._children.get(number)
            if not children or number in closed:
                return False
            return number in opened or (by_itself and len(children) <= SMALL_FAMILY)

        def put(number: int, depth: int, by_itself: bool) -> None:
            if stands_open(number, by_itself):
                shown.add(number)
                for child in reversed(self._children[number]):
                    put(child, depth + 1, by_itself)
            if depth:
                depths[number] = depth
            numbers.append(number)

        for place in range(start, len(roots)):
            put(roots[place], 0, place >= own)
        places = {numbers[place]: place for place in range(start, len(numbers))}
        return Rows(numbers, places, depths, frozenset(shown))

    def _place_of_root(self, number: int) -> int:
        return bisect_left(self._roots, [number, *ancestors(self.parents, number)][-1])


def ancestors(parents: Mapping[int, int], number: int) -> list[int]:
    """The run's parent, its parent, and so on."""
    found: list[int] = []
    while (parent := parents.get(number)) is not None and parent not in found:
        found.append(parent)
        number = parent
    return found


def _holds(numbers: array[int], number: int) -> bool:
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number
