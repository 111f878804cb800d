"""The crash points are the same everywhere: in the registry, on their page, in the crash suite, in the console and
where `tape prove` gets its places from. A point that is missing in one of these fails here."""

from __future__ import annotations

import ast
import re

import pytest

from tape.core.kernel.points import BY_PLACE, OWN_PREFIX, POINTS, Stage
from tape.core.server.boundaries import BOUNDARIES
from tape.core.story_passes import Passes
from tape.lab.proof import Place
from tape.lab.prove_plan import deaths_at
from tape.tui.crash_rows import LABELS
from tests.crash import test_points, test_random_kills
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "reference" / "crash-points.md").read_text("utf-8")
REGISTRY = [point.name for point in POINTS]
AWAITS, GRANT, HOOKS = "awaits", "grant", {"look-up", "dispatch", "body", "undo"}
"""What the server passes beside the boundaries that an agent asks for: an ask or a begin that waits for a cap instead,
its own grant, and what a hook worker does."""
CALM = "budget.awaited"
"""No storm comes to it: whoever waits there waits for a person."""


def own(points: set[str] | frozenset[str]) -> set[str]:
    return {point for point in points if not point.startswith(OWN_PREFIX)}


LISTS = {
    "docs/reference/crash-points.md": set(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", PAGE, re.MULTILINE)),
    "tests/crash/test_points.py": own(test_points.KILLED_AT),
    "tests/crash/test_random_kills.py": own({*test_random_kills.POINTS, CALM}),
    "tape/tui/crash_rows.py, the console's buttons": set(LABELS),
    "tape/core/story_passes.py, the console's counts": set(Passes().counts),
    "the places at which `tape prove` kills": {
        point.name
        for point in BY_PLACE.values()
        if point.frame in (HOOKS if point.stage is Stage.HOOK else {*BOUNDARIES, AWAITS, GRANT})
        and deaths_at(Place(point.name))
    },
}


@pytest.mark.parametrize("where", LISTS)
def test_the_same_points(where: str) -> None:
    assert sorted(LISTS[where]) == sorted(REGISTRY)


def test_every_count_comes_of_an_entry() -> None:
    """The counts start with a nought for each point: each must be named again where entries are counted."""
    tree = ast.parse((ROOT / "tape" / "core" / "story_passes.py").read_text("utf-8"))
    named = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert {*REGISTRY} <= {*named}


def test_the_console_names_no_point_twice() -> None:
    assert len(set(LABELS.values())) == len(LABELS)


def test_boundaries_without_a_point_are_told() -> None:
    """A new boundary gets a point, or a line on the page that says why it has none."""
    unnamed = BOUNDARIES - {point.frame for point in POINTS}
    told = re.findall(r"^\| `([a-z]+)`, [^|]*\|", PAGE.partition("## Where there is no point")[2], re.MULTILINE)
    assert sorted(told) == sorted(unnamed)
