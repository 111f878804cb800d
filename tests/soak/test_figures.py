"""What a whole test run must have shown, judged by its figures."""

from __future__ import annotations

from collections import Counter

from tape.core.kernel.points import POINTS
from tests.conftest import LEAST_KILLS, shortcomings
from tests.crash import tally

EVERY = {point.name for point in POINTS}
GOOD = Counter({"SIGKILL": LEAST_KILLS - 2, "SIGTERM": 1, "SIGSTOP": 1, "acts": 900})


def test_enough_is_enough() -> None:
    assert shortcomings(EVERY, GOOD) == []
    assert tally.line(GOOD) == f"{LEAST_KILLS - 2} SIGKILL, 1 SIGTERM, 1 SIGSTOP; acts 900, doubled 0, lost 0"


def test_each_shortcoming_is_named() -> None:
    assert shortcomings(EVERY - {"effect.acted", "timer.set"}, GOOD) == ["no crash test hits effect.acted, timer.set"]
    few = GOOD - Counter({"SIGTERM": 1})
    assert shortcomings(EVERY, few) == [f"{LEAST_KILLS - 1} real kills in the whole run, {LEAST_KILLS} are asked for"]
    assert shortcomings(EVERY, GOOD + Counter({"doubled": 2})) == ["2 acts are doubled"]
    assert shortcomings(EVERY, GOOD + Counter({"lost": 1})) == ["1 acts are lost"]
