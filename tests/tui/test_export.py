"""Copies and exports: what leaves the console, where it goes, and what is said when it cannot."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tape.tui.export import CLIPBOARD_CHARACTERS, TRIES, file_name, for_clipboard, subject_text, write_new
from tape.tui.ink import Ink
from tape.tui.panes.detail import Subject
from tests.tui.stage import Seat, Stage

AT_US = 1_800_000_000_123_456


def test_a_name_says_what_and_when_and_nothing_else() -> None:
    assert file_name("r-7f3a00000000", AT_US) == "r-7f3a00000000-20270115T080000Z"
    assert file_name("../../etc/pass wd\x1b[2J", AT_US) == "etc-pass-wd-2J-20270115T080000Z"
    assert file_name("…", AT_US) == "export-20270115T080000Z"
    assert len(file_name("x" * 5000, AT_US)) < 100


def test_files_are_the_owners_only_and_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "tape" / "exports"
    first = write_new(folder, "run", ".json", ("one",))
    second = write_new(folder, "run", ".json", ("two", "\n"))
    assert (first.name, second.name) == ("run.json", "run-2.json")
    assert (first.read_text(), second.read_text()) == ("one", "two\n")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (first, second)} == {0o600}


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "run.json").symlink_to(target)
    assert write_new(tmp_path, "run", ".json", ("one",)).name == "run-2.json"
    assert not target.exists()


def test_names_run_out_in_the_end(tmp_path: Path) -> None:
    for _ in range(TRIES):
        write_new(tmp_path, "run", ".json", ("",))
    with pytest.raises(FileExistsError):
        write_new(tmp_path, "run", ".json", ("",))


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.open", lambda fd, *args, **named: FullDisk(fd))
    with pytest.raises(OSError, match="No space left"):
        write_new(tmp_path, "run", ".json", ("one",))
    assert [*tmp_path.iterdir()] == []


class FullDisk:
    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *args: object) -> None:
        os.close(self.fd)

    def writelines(self, pieces: Any) -> None:
        raise OSError(28, "No space left on device")


def test_the_clipboard_gets_no_more_than_it_takes() -> None:
    assert for_clipboard("x") == ("x", "1 character sent to the terminal's clipboard; e writes a file")
    sent, told = for_clipboard("x" * (CLIPBOARD_CHARACTERS + 1))
    assert len(sent) == CLIPBOARD_CHARACTERS
    assert told.startswith("the first 75,000 of 75,001 characters sent")


def test_a_subject_as_text() -> None:
    subject = Subject("seq 6 effect_begun", [("key r-1/1/0/t", Ink.STRONG)], {"a": [1]})
    assert subject_text(subject) == 'seq 6 effect_begun\nkey r-1/1/0/t\n{\n  "a": [\n    1\n  ]\n}'


# --- at the screen --------------------------------------------------------------------------------------------------


def bottom(seat: Seat) -> str:
    return seat.lines()[-1].strip()


async def written(seat: Seat) -> Path:
    await seat.app.workers.wait_for_complete()
    await seat.pause()
    line = bottom(seat)
    assert line.startswith("written: "), line
    (path,) = [path for path in seat.app.export_folder.iterdir() if line.endswith(path.name) or "…" in line]
    return path


async def test_y_sends_what_the_detail_shows(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage.console() as seat:
        sent: list[str] = []
        monkeypatch.setattr(seat.app._driver, "write", sent.append)
        await seat.choose("acted")
        await seat.press("2", "g", "y")
        (code,) = [text for text in sent if text.startswith("\x1b]52;c;")]
        text = base64.b64decode(code[len("\x1b]52;c;") : -1]).decode()
        assert '"kind": "run_started"' in text
        assert "sent to the terminal's clipboard; e writes a file" in bottom(seat)
        assert "copied" not in bottom(seat)


async def test_y_in_the_crash_pane_sends_its_sentences(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("acted")
        await seat.press("x", "y")
        assert seat.main.crash.told in seat.app.clipboard
        assert seat.app.clipboard.startswith("effect.acted: ")


async def test_y_without_anything_says_so(new_project: Stage) -> None:
    async with new_project.console() as seat:
        await seat.press("y")
        assert bottom(seat) == "nothing is selected"
        assert seat.app.clipboard == ""


async def test_the_selected_line_as_json(stage: Stage) -> None:
    async with stage.console((200, 60)) as seat:
        await seat.choose("acted")
        await seat.press("3", "e", "1")
        path = await written(seat)
        value = json.loads(path.read_text("utf-8"))
        assert value["value"]["key"] == f"{stage.named['acted']}/1/0/wire_money"
        assert path.name.startswith(stage.named["acted"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_whole_run_as_json(stage: Stage) -> None:
    async with stage.console((200, 60)) as seat:
        await seat.choose("acted")
        await seat.press("e", "j", "enter")
        value = json.loads((await written(seat)).read_text("utf-8"))
        assert value["run"]["id"] == stage.named["acted"]
        assert value["entries"][0]["kind"] == "run_started"
        assert len(value["entries"]) == len(seat.main.scene.selected.entries)  # type: ignore[union-attr]
        assert any("SIGKILL at effect.acted" in line for line in value["story"])


async def test_in_the_past_a_run_ends_there(stage: Stage) -> None:
    async with stage.console((200, 60)) as seat:
        await seat.choose("acted")
        await seat.press("less_than_sign", "less_than_sign", "e", "2")
        value = json.loads((await written(seat)).read_text("utf-8"))
        assert value["entries"][-1]["id"] == value["as_of_entry"] == seat.main.view.at


async def test_the_screen_as_svg_without_the_dialog(stage: Stage) -> None:
    async with stage.console((200, 60)) as seat:
        await seat.press("e", "3")
        await seat.pause()
        text = (await written(seat)).read_text("utf-8")
        assert text.startswith("<svg")
        assert "Reactors" in text
        assert "writes" not in text


async def test_no_permission_is_one_line(stage: Stage) -> None:
    async with stage.console((200, 60)) as seat:
        seat.app.export_folder = stage.folder / "file" / "exports"
        (stage.folder / "file").write_text("")
        await seat.press("e", "2")
        await seat.app.workers.wait_for_complete()
        await seat.pause()
        assert bottom(seat).startswith("not written: Not a directory")


async def test_what_is_not_there_is_not_offered(new_project: Stage) -> None:
    async with new_project.console() as seat:
        await seat.press("e")
        assert "the screen, as SVG" in seat.text()
        assert "whole run" not in seat.text()
        await seat.press("2")
        assert "the screen, as SVG" in seat.text()
        await seat.press("escape")
        assert "the screen, as SVG" not in seat.text()
        assert not seat.app.export_folder.exists()
