"""The guide's and the README's commands print what the pages show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dev.harness import TEN_LINES
from tests.dev.harness import masked as masked_ids
from tests.docs.pages import ROOT, Shell, blocks, commands, differences, masked, same

GUIDE = ROOT / "docs" / "guide" / "first-crash-survival.md"
HISTORY = ROOT / "docs" / "guide" / "history-and-bundles.md"
PROVE = ROOT / "docs" / "guide" / "prove-your-agent.md"
FORKS = ROOT / "docs" / "guide" / "replay-and-forks.md"
PERSONS = ROOT / "docs" / "guide" / "when-a-person-decides.md"
FIGURES = ROOT / "docs" / "guide" / "recovery-figures.md"
README = ROOT / "README.md"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", [GUIDE, PROVE, FORKS, HISTORY, PERSONS, FIGURES, README], ids=lambda page: page.name)
def test_every_command_prints_what_the_page_shows(page: Path, programs: Path, tmp_path: Path) -> None:
    found = list(differences(page, Shell(tmp_path, programs)))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", [GUIDE, README], ids=lambda page: page.name)
def test_the_ten_lines_stand_in_the_page(page: Path) -> None:
    shown = [masked_ids(block.text) for block in blocks(page, "console")]
    assert any(TEN_LINES in text for text in shown)


def test_the_guide_goes_the_whole_way() -> None:
    texts = [command.text for command in commands(GUIDE)]
    for needed in (
        "tape init treasury",
        "tape dev --kill-resume-demo",
        "tape status",
        "tape doctor --dump-run r-...",
        "tape dev --headless",
        "tape status --follow",
        "tape kill --at decision.replied --decision 1",
        "tape kill --at effect.acted",
        "tape kill --at effect.ended",
        "^C",
    ):
        assert needed in texts


@pytest.mark.parametrize(
    ("shown", "real", "whole", "is_same"),
    [
        (["a", "b"], ["a", "b"], True, True),
        (["a"], ["a", "b"], True, False),
        (["b"], ["a", "b"], True, False),
        (["a", "..."], ["a", "b"], True, True),
        (["...", "b"], ["a", "b"], True, True),
        (["a", "...", "c"], ["a", "b", "c"], True, True),
        (["b", "...", "a"], ["a", "b"], False, False),
        (["b"], ["a", "b", "c"], False, True),
        (["b", "d"], ["a", "b", "c"], False, False),
        ([], ["a"], True, False),
        (["pid 1 of r-0123456789ab"], ["pid 22 of r-ba9876543210"], True, True),
    ],
)
def test_the_comparison_itself(shown: list[str], real: list[str], whole: bool, is_same: bool) -> None:
    assert same(shown, real, whole=whole) is is_same


def test_masks_leave_what_matters() -> None:
    line = "✓ agent re-attached at decision_index=2, seq=8"
    assert masked(line) == line
