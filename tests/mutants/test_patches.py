"""Every planted bug fits the tree as it is and names tests that exist; the runner acquits and convicts as it should."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from tests.mutants import __main__ as runner
from tests.mutants import trial
from tests.mutants.patches import Patch, PatchError, all_patches, apply, patched, read_patch
from tests.mutants.trial import ROOT, Outcome, Verdict, try_patch

PATCHES = all_patches()
JUDGED = "tests/kernel/test_policy.py::test_asks_are_bounded"
HEAD = f"""\
A bug that was made up. Breaks I0.
Tests: {JUDGED}
--- a/tape/core/kernel/policy.py
+++ b/tape/core/kernel/policy.py
@@ -1,1 +1,1 @@
"""


def test_they_are_numbered_without_a_gap() -> None:
    assert [patch.name[:3] for patch in PATCHES] == [f"{number:02}-" for number in range(1, 33)]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_a_patch_fits_the_tree(patch: Patch) -> None:
    assert all(path.startswith("tape/") for path in patch.hunks)
    for path, text in patched(patch, ROOT).items():
        assert text != path.read_text("utf-8")
        ast.parse(text)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_a_patch_says_what_it_breaks_and_who_should_see_it(patch: Patch) -> None:
    said = " ".join(patch.head)
    assert "Breaks I" in said or "Breaks section" in said
    assert 2 <= len([line for line in patch.head if line]) <= 4
    assert len(patch.tests) >= 2
    for test in patch.tests:
        file, _, name = test.partition("::")
        defined = ast.parse((ROOT / file).read_text("utf-8")).body
        assert name.partition("[")[0] in {node.name for node in defined if isinstance(node, ast.FunctionDef)}, test


# --- the runner -------------------------------------------------------------------------------------------------


BOUND = "    max_asks: int = 6"
SECOND = "SECOND_US = 1_000_000"
DELAY = "    def delay_us(self, failures: int) -> int:"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "verdict", "says"),
    [
        (BOUND, "    max_asks: int = 60", Verdict.CAUGHT, JUDGED),
        (SECOND, f"{SECOND}  # a whole second", Verdict.SURVIVED, "every named test passed"),
        (SECOND, "import no_such_module", Verdict.BROKEN, "no test ran"),
        (DELAY, DELAY.replace("delay_us", "pause_us"), Verdict.BROKEN, "no assertion: AttributeError"),
        ("    max_asks: int = 7", BOUND, Verdict.BROKEN, "does not apply"),
    ],
    ids=["caught", "harmless", "breaks an import", "breaks a name", "does not fit"],
)
def test_only_an_assertion_convicts(tmp_path: Path, old: str, new: str, verdict: Verdict, says: str) -> None:
    outcome = try_patch(read_patch("made", f"{HEAD}-{old}\n+{new}\n"), tmp_path / "copy")
    assert (outcome.verdict, says in outcome.by) == (verdict, True), outcome.by


@pytest.mark.slow
def test_another_trees_package_is_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that a test starts would run the package without the bug."""
    monkeypatch.setattr(trial, "_surroundings", lambda root: {**os.environ, "PYTHONPATH": str(ROOT)})
    outcome = try_patch(read_patch("made", f"{HEAD}-{BOUND}\n+{BOUND}0\n"), tmp_path / "copy")
    assert outcome.verdict is Verdict.BROKEN
    assert "is imported, which is not in" in outcome.by


@pytest.mark.parametrize(
    ("healthy", "verdict", "code"),
    [
        (True, Verdict.CAUGHT, 0),
        (True, Verdict.SURVIVED, 1),
        (True, Verdict.BROKEN, 1),
        (False, Verdict.CAUGHT, 1),
    ],
)
def test_one_that_is_not_caught_fails_the_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], healthy: bool, verdict: Verdict, code: int
) -> None:
    def judged(patch: Patch, folder: Path, *, to_the_end: bool) -> Outcome:
        return Outcome("made", verdict if patch.name == PATCHES[-1].name else Verdict.CAUGHT, "as the test says", 1.0)

    monkeypatch.setattr(sys, "argv", ["mutants"])
    monkeypatch.setattr(runner, "_healthy", lambda patches, jobs: healthy)
    monkeypatch.setattr(runner, "try_patch", judged)
    assert runner.main() == code
    if healthy:
        assert f"{len(PATCHES) - code} of {len(PATCHES)} caught" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        HEAD.replace("Tests: ", "") + f"-{BOUND}\n+\n",
        HEAD.partition("Tests: ")[2] + f"-{BOUND}\n+\n",
        HEAD + f"-{BOUND}\n+{BOUND}\n",
    ],
    ids=["no change", "no tests", "no head", "the same again"],
)
def test_a_patch_file_that_makes_no_sense(text: str) -> None:
    with pytest.raises(PatchError, match="made"):
        read_patch("made", text)


def test_a_line_that_is_there_twice_is_no_place(tmp_path: Path) -> None:
    file = tmp_path / "tape/core/kernel/policy.py"
    file.parent.mkdir(parents=True)
    patch = read_patch("made", f"{HEAD}-{BOUND}\n+\n")
    file.write_text(f"{BOUND}\nrest\n")
    assert patched(patch, tmp_path) == {file: "\nrest\n"}
    file.write_text(f"{BOUND}\n{BOUND}\n")
    with pytest.raises(PatchError, match="2 places"):
        apply(patch, tmp_path)
    assert file.read_text() == f"{BOUND}\n{BOUND}\n"
