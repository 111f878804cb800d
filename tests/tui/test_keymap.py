"""keys.yaml: what it gives, what it refuses and how, and that the reference lists what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tape.core.kernel.errors import UsageError
from tape.tui.app import Console
from tape.tui.choices import Choices
from tape.tui.keymap import keys_file, layers, read_keymap, renamed, table_rows
from tests.tui.stage import Seat, Stage

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "console.md"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


def test_where_the_file_is(tmp_path: Path) -> None:
    assert keys_file({"XDG_CONFIG_HOME": "/etc/xdg"}, tmp_path) == Path("/etc/xdg/tape/keys.yaml")
    for given in ({}, {"XDG_CONFIG_HOME": ""}, {"XDG_CONFIG_HOME": "relative"}):
        assert keys_file(given, tmp_path) == tmp_path / ".config" / "tape" / "keys.yaml"


def test_no_file_and_an_empty_one_change_nothing(file: Path) -> None:
    assert read_keymap(file) == {}
    file.write_text("")
    assert read_keymap(file) == {}


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ('kill: "ctrl+k"', "ctrl+k"),
        ("kill: U", "U"),
        ('kill: "U, f9 ,ctrl+shift+up"', "U,f9,ctrl+shift+up"),
        ('kill: "!"', "exclamation_mark"),
        ("kill: exclamation_mark", "exclamation_mark"),
        ("kill: 9", "9"),
        ("kill: comma", "comma"),
        ("kill: é", "é"),
    ],
)
def test_keys_as_people_write_them(file: Path, line: str, keys: str) -> None:
    file.write_text(line, "utf-8")
    assert read_keymap(file) == {"kill": keys}


def test_two_acts_change_places(file: Path) -> None:
    file.write_text("kill: x\npane-crash: K\n")
    assert read_keymap(file) == {"kill": "x", "pane-crash": "K"}


def test_a_crash_pane_key_may_be_one_of_the_panes(file: Path) -> None:
    file.write_text("button-left: j, left\nbutton-down: down\n".replace("j, left", '"j, left"'))
    assert read_keymap(file)["button-left"] == "j,left"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\nkil: K", ":2: no act is called 'kil'; write 'kill', or take a name from docs/reference/console.md"),
        ("zzzzzz: K", ":1: no act is called 'zzzzzz'; take one from docs/reference/console.md"),
        ("kill: spcae", ":1: there is no key 'spcae'; write 'space'"),
        ("kill: Space", ":1: there is no key 'Space'; write 'space'"),
        ("kill: hyperkey", ":1: there is no key 'hyperkey'; "),
        ("kill: strg+k", ":1: there is no key 'strg+k'; before + may stand ctrl"),
        ('kill: "K,"', ":1: there is no key ''; "),
        ("kill:", ":1: kill needs a key; "),
        ("kill: [K]", ":1: kill needs a key; "),
        ("step: u\nkill: u", ":2: step and kill are both on the key u; give one of them another"),
        ("kill: x", ":1: pane-crash and kill are both on the key x; "),
        ("kill: j", ":1: kill and down are both on the key j; "),
        ("kill: v", ":1: kill and verdict-step are both on the key v; "),
        ("kill: ctrl+q", ":1: quit-now and kill are both on the key ctrl+q; "),
        ("kill: K\nkill: L", ":2: key 'kill' stands here twice"),
        ("- kill", ": the file must be a mapping"),
        ("kill: 'K", ": not valid YAML"),
        ("kill: &a K", ": anchor &a is not allowed"),
    ],
)
def test_what_makes_no_sense_is_one_line_with_file_and_line(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_keymap(file)
    line = str(caught.value)
    assert line.startswith(f"{file}:")
    assert says in line
    assert "\n" not in line


def test_a_file_that_cannot_be_read_is_a_line_too(file: Path) -> None:
    file.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        read_keymap(file)


def test_the_defaults_do_not_clash(file: Path) -> None:
    """Every act may be named with the keys that it has."""
    for name, keys, _ in table_rows(layers()):
        file.write_text(f"{name}: '{keys}'")
        assert set(read_keymap(file)) == {name}


def test_every_act_has_an_id_of_its_own() -> None:
    ids = [name for name, _, _ in table_rows(layers())]
    assert len(ids) == len(set(ids))


def test_the_reference_lists_every_act_with_its_keys() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*?) \| (.*?) \|$", REFERENCE.read_text("utf-8"), re.M)
    listed = [(name, ", ".join(re.findall(r"`([^`]+)`", keys)), says) for name, keys, says in rows]
    assert listed == table_rows(layers())


async def test_other_keys_work_and_the_old_ones_do_not(stage: Stage) -> None:
    app = Console(stage, stage.clock, stage.first, choices=Choices(), keymap={"zoom": "Z,f7", "down": "J"})
    async with app.run_test(size=(120, 40)) as pilot:
        seat = Seat(stage, app, pilot)
        await seat.pause()
        await seat.press("z", "j")
        assert (seat.main.wish.zoom, seat.main.runs.cursor) == (None, 0)
        await seat.press("J", "f7")
        assert (seat.main.wish.zoom, seat.main.runs.cursor) == ("runs", 1)
        await seat.press("Z", "question_mark")
        page = seat.text()
        assert re.search(r"Z f7 +zoom the pane", page)
        assert re.search(r"│ J +down", page)


def test_the_bottom_line_has_the_keys_of_the_file() -> None:
    keys = (("z", "zoom"), ("/", "filter"), ("<>", "time"), ("K", "kill"))
    assert renamed(keys, {}) is keys
    assert renamed(keys, {"zoom": "f7,Z", "filter": "question_mark"}) == (
        ("f7", "zoom"), ("?", "filter"), ("<>", "time"), ("K", "kill"),
    )  # fmt: skip


async def test_the_bottom_line_on_screen_too(stage: Stage) -> None:
    app = Console(stage, stage.clock, stage.first, choices=Choices(), keymap={"zoom": "Z"})
    async with app.run_test(size=(120, 40)) as pilot:
        seat = Seat(stage, app, pilot)
        await seat.press("2")
        assert " Z zoom " in seat.lines()[-1]
