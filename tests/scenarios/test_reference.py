"""docs/reference/scenarios.md: it names every key and word, its examples can be read, and what it shows is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tape.core.kernel.lifecycle import EffectStatus, ObligationStatus
from tape.core.kernel.points import Death
from tape.core.kernel.resolution import Resolution
from tape.core.scaffold.scaffold import TEMPLATE
from tape.lab.scenario import How, Timers, Verb
from tape.lab.scenario_file import parse_scenario
from tape.lab.scenario_model import SHAPES
from tests.dev.harness import Project
from tests.docs.pages import Shell, blocks, commands
from tests.scenarios.conftest import ROOT

PAGE = ROOT / "docs" / "reference" / "scenarios.md"
TEXT = PAGE.read_text("utf-8")
STORY, ALL_KEYS, FAILED, FORKED = (block.text for block in blocks(PAGE, "yml"))


@pytest.mark.parametrize("path", SHAPES, ids=lambda path: ".".join(path) or "top")
def test_every_key_is_explained_and_stands_in_the_example(path: tuple[str, ...]) -> None:
    for key in SHAPES[path].model_fields:
        assert re.search(rf"`{key}[`:]", TEXT), key
        assert re.search(rf"(^|[ {{]){key}:", ALL_KEYS + FAILED, re.M), key


def test_every_word_is_there() -> None:
    for words in (Verb, How, EffectStatus, ObligationStatus, Resolution, [death for death in Death if death != "HOLD"]):
        assert not [word for word in words if not re.search(rf"\b{word}\b", TEXT)]
    assert all(f"`{timers}`" in TEXT or f"| {timers} |" in TEXT for timers in Timers)


def test_the_example_with_all_keys_can_be_read() -> None:
    scenario = parse_scenario(ALL_KEYS.encode(), "all.yaml", None)
    assert scenario.settings.max_crashes == 3 and len(scenario.orders) == 8
    assert parse_scenario(FAILED.encode(), "failed.yaml", None).expect.error == "the visa was refused"
    assert parse_scenario(FORKED.encode(), "forked.yaml", None).expect.forks["trial"].acts is not None


def test_the_story_is_the_scaffold_s() -> None:
    assert (TEMPLATE / "scenario-mid-wire.yaml.tmpl").read_text("utf-8") == STORY


def without_times(lines: list[str]) -> list[str]:
    return [re.sub(r" +\d+(\.\d+)?( s)?(?=$|:)", " TIME", line) for line in lines]


def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "tape"
    program.write_text('#!/bin/sh\nexec python -c "import sys; from tape.cli import main; sys.exit(main())" "$@"\n')
    program.chmod(0o755)
    shell.environment["PATH"] = f"{program.parent}:{shell.environment['PATH']}"
    for command in commands(PAGE):
        assert without_times(shell.run(command) or []) == without_times(command.shown), command.text


def test_what_is_wrong_is_told_as_the_page_shows(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.edit("scenarios/mid-wire.yaml", ("bank.wires: 1", "bank.wires: 2"))
    done = project.tape("scenario", "run", "scenarios/mid-wire.yaml")
    shown = next(block.lines for block in blocks(PAGE, "") if block.lines[0].startswith("✗"))
    assert done.returncode == 1 and set(shown) <= set(done.stdout.splitlines()), done.stdout
    (project.folder / "scenarios/mine.yaml").write_text("name: x\nagnt: y\nkill:\n  - {at: effect.actd}\n")
    done = project.tape("scenario", "run")
    shown = next(block.lines for block in blocks(PAGE, "") if block.lines[0].startswith("tape:"))
    assert done.returncode == 2 and done.stderr.splitlines() == shown
