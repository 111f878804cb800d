"""What the console remembers per project, and that a damaged memory is as good as none."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tape.tui.choices import Choices
from tape.tui.memory import FILE_NAME, LIMIT_BYTES, keep, recall
from tape.tui.screens.asking import REMEMBERED_CHARACTERS, remember
from tests.tui.stage import Stage

CHOSEN = Choices(
    theme="tape-light",
    filter="state:open",
    sort="oldest",
    run_id="r-7f3a00000000",
    point="effect.begun",
    death="TERM",
    lower="log",
    left=0.5,
    weights={"runs": 2.0},
    inputs={"treasury": "pay invoice 7"},
    armed=(("effect.acted", "KILL", "each"),),
    toured=True,
)


def test_what_is_kept_is_recalled(tmp_path: Path) -> None:
    assert recall(tmp_path) == Choices()
    keep(tmp_path, CHOSEN)
    assert recall(tmp_path) == CHOSEN
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_the_largest_inputs_that_are_kept_are_recalled(tmp_path: Path) -> None:
    largest: list[int] = [0] * ((REMEMBERED_CHARACTERS - 2) // 3)
    inputs: dict[str, Any] = {}
    for number in range(20):
        inputs = remember(inputs, f"agent_{number}", largest)
    keep(tmp_path, replace(CHOSEN, inputs=inputs))
    assert recall(tmp_path).inputs == inputs and len(inputs) > 1


DAMAGED = {
    "nothing": b"",
    "half": b'{"theme": "tape-li',
    "no text": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "a number": b"7",
    "deep": b"[" * 100_000,
    "huge": b'{"theme": "' + b"x" * LIMIT_BYTES + b'"}',
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_memory_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(data)
    assert recall(tmp_path) == Choices()


WRONG: dict[str, Any] = {
    "theme": 7,
    "sort": ["newest"],
    "run_id": 1,
    "left": "wide",
    "weights": [1],
    "armed": "effect.acted",
    "toured": "yes",
    "inputs": None,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_that_makes_no_sense_is_forgotten_and_the_rest_is_not(tmp_path: Path, name: str) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({**asdict(CHOSEN), name: WRONG[name]}))
    assert recall(tmp_path) == Choices(**{**_fields(CHOSEN), name: getattr(Choices(), name)})


def test_parts_that_make_no_sense_are_forgotten(tmp_path: Path) -> None:
    odd = {"left": 7.0, "weights": {"runs": 2, "log": -1, "tape": "x"}, "armed": [["a", "b", "c"], ["a"], 7], "new": 1}
    (tmp_path / FILE_NAME).write_text(json.dumps(odd))
    assert recall(tmp_path) == Choices(weights={"runs": 2}, armed=(("a", "b", "c"),))


def _fields(choices: Choices) -> dict[str, Any]:
    return {name: getattr(choices, name) for name in asdict(choices)}


def test_a_folder_that_cannot_be_written_is_no_trouble(tmp_path: Path) -> None:
    keep(tmp_path / "nowhere", CHOSEN)
    keep(Path(os.devnull), CHOSEN)


async def test_the_screen_comes_back_as_it_was_left(stage: Stage) -> None:
    async with stage.console((80, 24)) as seat:
        await seat.press("6", "S", "x", "right", "X", "space", "1", "slash", *"state:ended", "enter", "j", "j")
        kept = seat.main.remembered(theme=seat.app.theme)
    assert (kept.filter, kept.sort, kept.point, kept.death) == ("state:ended", "oldest", "effect.ended", "TERM")
    assert kept.armed == (("effect.ended", "TERM", "each"),)
    assert kept.run_id is not None
    again = Stage(stage.folder, stage.config.journal, stage.clock)
    async with again.console((80, 24), choices=kept) as seat:
        assert seat.main.view.filter == "state:ended" and again.scene.runs.length == 6
        assert again.scene.runs.numbers[-1] == 1, "oldest first"
        assert seat.main.crash.point == "effect.ended" and seat.main.crash.death == "TERM"
        assert seat.main.wish.lower == kept.lower
        run = seat.main.runs.run
        assert run and run.id == kept.run_id == seat.main.view.run_id


async def test_a_filter_that_reads_no_more_is_no_trouble(stage: Stage) -> None:
    async with stage.console(choices=Choices(filter="stat:open", theme="no-such-theme")) as seat:
        assert "no filter is called 'stat'" in seat.lines()[0]
        assert stage.scene.runs.length == 12, "the list is there"
        await seat.press("escape")
        assert "no filter is called" not in seat.lines()[0]
