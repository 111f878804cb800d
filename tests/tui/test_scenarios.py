"""Scenarios at the console: a run written down as one, the list, and what a child tells of their play."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import unicodedata
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from tape.core.kernel.errors import UsageError
from tape.core.kernel.points import Death
from tape.lab.scenario import UNSET, How, Kill, ScriptedOrder, Verb
from tape.lab.scenario_result import Miss, ScenarioResult, scenario_from, scenario_json
from tape.tui import scenario_files
from tape.tui.ink import width_of
from tape.tui.messages import PlayEnded, PlayTold, PlayWanted
from tape.tui.play_state import Listed, Phase, PlayState, begun, ended, listed, stopping, summary_text, take
from tape.tui.proving import play_command
from tape.tui.scenario_files import list_scenarios, write_new
from tape.tui.scenario_rows import facts_rows, fit_end, head_row, kill_says, list_row, order_says
from tape.tui.screens.cell_story import CellStoryScreen
from tape.tui.screens.main import MainScreen
from tape.tui.screens.record import RecordScreen, yaml_rows
from tape.tui.screens.scenarios import ScenariosScreen
from tape.tui.screens.trigger import TriggerScreen
from tests.core.test_render import HOSTILE
from tests.tui.stage import Seat, Stage
from tests.tui.test_snapshots import MEDIUM, NARROW, TEXTUAL, WIDE, Compare

SIZES = {"narrow": NARROW, "medium": MEDIUM, "wide": WIDE}
FOUL = "\x1b]52;c;x\x07[/\u202e\u200b漢e[@click=app.quit]x[/]\x9b\n👩\u200d💻" + "".join(HOSTILE.values())[:400]
NEVER = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
PROJECT = "name: treasury\nagent: app.agent:treasury\nupstream:\n  bank: {}\n"
STORIES = {
    "scenarios/frozen.yaml": """\
name: frozen, and thawed too late
input: pay invoice 7
kill:
  - {at: effect.begun, signal: STOP}
orders:
  - {on: point_reached, do: advance, by: 16s}
  - {on: TERMINAL, do: thaw}
""",
    "scenarios/people/asked.yaml": """\
name: only a person can know
about: The bank has no look-up, so the run waits for the word of a person who has called the bank.
input: {invoice: 7}
kill:
  - {at: effect.acted, tool: wire_money}
  - {at: lease.granted, nth: 2, signal: TERM}
orders:
  - {on: STUCK, do: resolve, tool: wire_money, how: confirm, result: {id: w-1}, reason: I called the bank}
expect:
  upstream: {bank.wires: 2}
""",
    "scenarios/typo.yaml": "name: x\nagnt: y\n",
    ".tape/prove/effect.acted-KILL.yaml": "name: the act is doubled\nkill:\n  - {at: effect.acted}\n",
}
FROZEN, ASKED, TYPO, PROVED = STORIES


@pytest.fixture
def project(stage: Stage) -> Stage:
    """The stories' project with scenario files of its own, and a ledger as the stand-in writes it."""
    act = {"event": "act", "id": "w-1", "collection": "wires", "business_key": None, "at": "now"}
    act |= {"key": f"{stage.named['acted']}/1/0/wire_money", "fencing_token": None, "body": None}
    put(stage, {"tape.yaml": PROJECT, ".tape/bank.jsonl": json.dumps(act) + "\n", **STORIES})
    return stage


def put(stage: Stage, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = stage.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def result(name: str, *, ok: bool = True, **more: Any) -> ScenarioResult:
    return ScenarioResult(name, f"scenarios/{name}.yaml", ok, seconds=0.7, kills=1, **more)


def line(number: int, told: ScenarioResult) -> str:
    return json.dumps({"result": {"number": number, **scenario_json(told)}})


def done(number: int) -> str:
    return json.dumps({"done": number})


def missed(journal: Path | None = None, run_id: str = "") -> ScenarioResult:
    misses = (Miss(f"{ASKED}:10: upstream.bank.wires", "2", "1"), Miss(f"{ASKED}:9: status", "TERMINAL", "STUCK"))
    return result("asked", ok=False, misses=misses, journal=journal, run_id=run_id)


def told(lines: list[str], files: tuple[str, ...] = ("a", "b", "c")) -> PlayState:
    state = begun(PlayState(), files)
    for one in lines:
        state = take(state, one)
    return state


# --- what is told -----------------------------------------------------------------------------------------------------


def test_a_play_line_by_line() -> None:
    state = told([])
    assert (summary_text(state), state.under_way, state.awaits("b")) == ("playing 0/3", True, True)
    state = take(state, line(1, missed()))
    assert (summary_text(state), state.awaits("b"), state.holds) == ("playing 1/3 1 ✗", False, False)
    assert state.results["b"] == missed()
    state = take(take(take(state, line(0, result("a"))), line(2, result("c"))), done(3))
    state = ended(state, 1, "")
    assert (summary_text(state), state.under_way) == ("1 of 3 scenarios does not hold ✗", False)
    again = ended(take(take(begun(state, ("b",)), line(0, result("b"))), done(1)), 0, "")
    assert (summary_text(again), again.holds) == ("1 scenario holds ✓ 700 ms", True)
    assert set(again.results) == {"a", "b", "c"}, "the last result of each stays"


def test_a_result_comes_back_as_it_was() -> None:
    for one in (result("a"), missed(Path("/x/journal.db"), "r-1"), result("b", ok=False, trouble="no\nway")):
        assert scenario_from(json.loads(json.dumps(scenario_json(one)))) == one


@pytest.mark.parametrize(
    "said",
    ["", "no JSON", "[1]", "null", '{"result": {}}', '{"result": {"number": 0}}', "[" * 9999]
    + [line(number, result("x")) for number in (-1, 3)],
)
def test_a_line_that_is_not_understood_is_an_error(said: str) -> None:
    state = take(told([]), said)
    assert state.error.startswith("`tape scenario run` said what this console does not understand: ")
    assert take(state, line(0, result("a"))) is state, "what follows is not listened to"
    assert summary_text(ended(state, 1, "")) == "scenarios failed ✗"


def test_what_a_later_release_says_besides_is_let_by() -> None:
    assert take(told([]), '{"weather": "fine"}') == told([])


@pytest.mark.parametrize(("code", "how"), [(1, "exit code 1"), (-9, "signal 9")])
def test_an_end_before_all_was_told(code: int, how: str) -> None:
    state = told([line(0, result("a"))])
    assert ended(state, code, "boom").error == f"`tape scenario run` ended before it was through ({how}): boom"
    assert "it said nothing" in ended(state, code, "").error
    stopped = ended(take(stopping(state), '{"error": "interrupted"}'), code, "boom")
    assert (stopped.error, summary_text(stopped)) == ("", "stopped at 1/3")
    assert ended(stopped, 0, "") is stopped


def test_two_files_of_one_name_do_not_tell_each_others_story() -> None:
    """What was kept of the first is gone when the second is kept in its place."""
    place = Path("/p/.tape/scenarios/same/journal.db")
    state = ended(told([line(0, result("a", journal=place)), done(1)]), 0, "")
    state = take(begun(state, ("b",)), line(0, result("b", journal=place)))
    assert (state.results["a"].journal, state.results["b"].journal) == (None, place)


def test_what_came_of_a_file_that_is_gone_is_forgotten() -> None:
    state = ended(told([line(0, result("a")), line(1, result("b")), done(2)], ("a", "b")), 0, "")
    assert set(listed(begun(state, ("b",)), [Listed("b")]).results) == {"b"}


# --- the files --------------------------------------------------------------------------------------------------------


def test_the_files_of_a_project_and_of_its_proof(project: Stage) -> None:
    found = {one.file: one for one in list_scenarios(project.folder)}
    assert list(found) == [FROZEN, ASKED, TYPO, PROVED]
    assert found[TYPO].mistakes == (f"{TYPO}:2: agnt: unknown key; did you mean agent?",)
    assert [one.scenario.name for one in found.values() if one.scenario] == [
        "frozen, and thawed too late",
        "only a person can know",
        "the act is doubled",
    ]


@pytest.mark.parametrize("files", [{}, {"scenarios/tape.yaml": PROJECT}, {"scenarios/.hidden/a.yaml": "name: x"}])
def test_no_files(stage: Stage, files: dict[str, str]) -> None:
    put(stage, files)
    assert list_scenarios(stage.folder) == ()


def test_a_name_that_is_no_text(project: Stage) -> None:
    """It is listed, can be drawn, and the child is given it as it is."""
    name = os.fsencode(project.folder / "scenarios") + b"/\xff\n.yaml"
    Path(os.fsdecode(name)).write_text("name: x\n")
    (one,) = [one for one in list_scenarios(project.folder) if "\n" in one.file]
    assert one.scenario is not None
    drawn = "".join(text for text, _ in list_row(one, PlayState(), 118, here=False))
    assert drawn.isprintable()
    given = play_command(PlayWanted(1, (one.file,)))[-1]
    assert os.fsencode(given) == b"scenarios/\xff\n.yaml"


def test_a_scenario_is_written_once(tmp_path: Path) -> None:
    assert write_new(tmp_path, "scenarios/deep/a.yaml", "name: é\n") == "scenarios/deep/a.yaml"
    assert (tmp_path / "scenarios/deep/a.yaml").read_text("utf-8") == "name: é\n"
    with pytest.raises(UsageError, match="there is a file of this name: nothing was written"):
        write_new(tmp_path, " ./scenarios/deep/a.yaml ", "other")
    assert (tmp_path / "scenarios/deep/a.yaml").read_text("utf-8") == "name: é\n"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "needed: the file's name"),
        ("  ", "needed: the file's name"),
        ("../a.yaml", "must be in the project's folder"),
        ("/etc/a.yaml", "must be in the project's folder"),
        ("link/a.yaml", "must be in the project's folder"),
        ("scenarios/a.yml", "must be a name that ends in .yaml"),
        ("scenarios/", "must be a name that ends in .yaml"),
        ("scenarios/tape.yaml", "must be a name that ends in .yaml, and not tape.yaml"),
        ("a\x1b.yaml", "characters that cannot be seen"),
        ("a\0.yaml", "characters that cannot be seen"),
        ("file/a.yaml", "cannot be written"),
        ("a" * 300 + ".yaml", "cannot be written|no file can be called that"),
    ],
)
def test_where_none_can_be_written(tmp_path: Path, name: str, says: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    (root / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=says) as caught:
        write_new(root, name, "name: x\n")
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_the_command_line_is_given() -> None:
    command = play_command(PlayWanted(1, ("scenarios/a.yaml", "scenarios/-x.yaml")))
    assert command[0] == sys.executable
    words = ["scenario", "run", "--events", "--keep", "all", "--", "scenarios/a.yaml", "scenarios/-x.yaml"]
    assert command[-len(words) :] == words


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kill", "says"),
    [
        (Kill("effect.acted"), "SIGKILL at effect.acted"),
        (Kill("effect.begun", "wire_money", 2, 1, Death.STOP),
         "SIGSTOP (frozen) at effect.begun of wire_money, decision 1, the 2nd time"),
        (Kill("run.ending", nth=11, signal=Death.LOST), "the reply is lost at run.ending, the 11th time"),
        (Kill("run.ending", nth=23, signal=Death.TERM), "SIGTERM at run.ending, the 23rd time"),
    ],
)  # fmt: skip
def test_kills_in_words(kill: Kill, says: str) -> None:
    assert kill_says(kill) == says


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (ScriptedOrder("STUCK", Verb.RESOLVE, tool="wire", how=How.CONFIRM, result={"id": 1}, reason="I asked"),
         'when it is STUCK: resolve wire as confirm with {"id": 1} ("I asked")'),
        (ScriptedOrder("STUCK", Verb.RESOLVE, 2, key="1/0/wire", how=How.FAIL, result=UNSET),
         "when it is STUCK, the 2nd time: resolve 1/0/wire as fail"),
        (ScriptedOrder("point_reached", Verb.ADVANCE, by_us=16_000_000), "at point_reached: advance time by 16 s"),
        (ScriptedOrder("effect.begun", Verb.CANCEL), "at effect.begun: cancel"),
    ],
)  # fmt: skip
def test_orders_in_words(order: ScriptedOrder, says: str) -> None:
    assert order_says(order) == says


@pytest.mark.parametrize("width", [48, 78, 106, 118, 198])
def test_rows_fit(project: Stage, width: int) -> None:
    files = (*list_scenarios(project.folder), Listed("scenarios/" + "漢" * 200 + ".yaml", None, (FOUL * 9,)))
    state = listed(told([line(0, result(FOUL)), line(1, missed())], (FROZEN, ASKED)), files)
    assert width_of(head_row(width)) == width
    for one in files:
        if one.scenario is not None:
            assert width_of(list_row(one, state, width, here=True)) == width
        assert all(width_of(row) <= width for row in facts_rows(one, state, width))


def test_a_path_is_cut_at_its_beginning() -> None:
    assert fit_end("scenarios/people/asked.yaml", 12) == "…/asked.yaml"
    assert fit_end("a.yaml", 8) == "a.yaml  "
    assert (fit_end("漢漢.yaml", 8), fit_end("abc", 1), fit_end("abc", 0)) == ("…漢.yaml", "…", "")


@pytest.mark.parametrize("width", [20, 74])
def test_every_character_of_the_file_is_shown(width: int) -> None:
    text = 'name: "a long name that goes on and on, and on"\nkill:\n  - {at: effect.acted}\n'
    rows = yaml_rows(text, width)
    assert "".join("".join(part for part, _ in row) for row in rows) == text.replace("\n", "")
    assert all(width_of(row) <= width for row in rows)


# --- recording --------------------------------------------------------------------------------------------------------


def front(seat: Seat) -> type:
    return type(seat.app.screen)


async def record(seat: Seat, story: str) -> str:
    """The dialog of the story's run, and the name that it proposes."""
    await seat.choose(story)
    await seat.press("W")
    await seat.until(lambda: front(seat) is RecordScreen, "the dialog")
    return f"scenarios/{seat.stage.named[story]}.yaml"


@pytest.mark.parametrize("size", SIZES.values())
async def test_a_run_is_shown_as_a_scenario_and_written(project: Stage, size: tuple[int, int]) -> None:
    async with project.console(size) as seat:
        name = await record(seat, "acted")
        text = seat.text()
        assert f"file * {name}" in re.sub(r" +", " ", text)
        assert "- {at: effect.acted}" in text
        assert not (project.folder / name).exists(), "it is shown before"
        await seat.press("enter")
        await seat.until(lambda: front(seat) is MainScreen, "it is written")
        assert f"written: {name}; p plays it" in seat.lines()[-1]
        (one,) = [one for one in list_scenarios(project.folder) if one.file == name]
        assert one.scenario is not None
        assert [kill.at for kill in one.scenario.kill] == ["effect.acted"]


async def test_another_name_and_none_that_is_there(project: Stage) -> None:
    async with project.console() as seat:
        await record(seat, "acted")
        await seat.press(*["backspace"] * 60, *FROZEN, "enter")
        await seat.until(lambda: "nothing was written; choose another" in seat.text(), "why not")
        assert (project.folder / FROZEN).read_text() == STORIES[FROZEN]
        await seat.press(*["backspace"] * len("frozen.yaml"), *"mine.yaml", "enter")
        await seat.until(lambda: front(seat) is MainScreen, "it is written")
        assert (project.folder / "scenarios/mine.yaml").exists()


async def test_a_run_that_is_under_way_cannot_be_recorded(project: Stage) -> None:
    async with project.console() as seat:
        await seat.choose("running")
        await seat.press("W")
        await seat.until(lambda: "record it when it has come to rest" in seat.lines()[-1], "the line")
        assert seat.lines()[-1].strip().startswith(f"{project.named['running']} is RUNNING: ")
        assert front(seat) is MainScreen


async def test_without_a_run_there_is_nothing_to_record(new_project: Stage) -> None:
    async with new_project.console() as seat:
        await seat.press("W")
        assert "select a run first" in seat.lines()[-1]
    new_project.stop(drain=False)


async def test_who_has_opened_something_else_is_not_disturbed(project: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is slow, and is read on a thread of its own meanwhile."""
    go_on = threading.Event()
    monkeypatch.setattr(scenario_files, "draft", lambda config, run_id: go_on.wait(20) and "name: x\n")
    async with project.console() as seat:
        await seat.choose("acted")
        await seat.press("W")
        await seat.press("r")
        assert front(seat) is TriggerScreen, "the screen goes on"
        go_on.set()
        await seat.until(lambda: not [one for one in seat.main.workers if one.name == "record"], "it has been read")
        assert front(seat) is TriggerScreen
        await seat.press("escape", "W")
        await seat.until(lambda: front(seat) is RecordScreen, "the dialog")


async def test_escape_writes_nothing(project: Stage) -> None:
    async with project.console() as seat:
        name = await record(seat, "acted")
        await seat.press("escape")
        assert front(seat) is MainScreen
        assert not (project.folder / name).exists()


# --- playing ----------------------------------------------------------------------------------------------------------


async def open_list(seat: Seat) -> None:
    await seat.press("p")
    assert front(seat) is ScenariosScreen
    await seat.until(lambda: seat.main.plays.files is not None, "the files have been read")


async def ready(seat: Seat) -> None:
    await seat.until(lambda: seat.main.plays.ended and not seat.main.plays.under_way, "the play is over")


async def play_all(seat: Seat, *lines: str) -> None:
    """All that can be played, with these lines, to the end."""
    seat.stage.play_lines = list(lines)
    await open_list(seat)
    await seat.press("a")
    await ready(seat)


def words(seat: Seat) -> str:
    return re.sub(r"[│┃\s]+", " ", seat.text())


@pytest.mark.parametrize("size", SIZES.values())
async def test_the_list_and_what_each_is_about(project: Stage, size: tuple[int, int]) -> None:
    async with project.console(size) as seat:
        await open_list(seat)
        text = seat.text()
        assert re.search(r"▸ · frozen, and thawed too late", text)
        assert f"! {TYPO}:2: agnt: unknown key; did you mean agent?" in text
        assert "· the act is doubled" in text
        await seat.press("j")
        assert "The bank has no look-up, so the run waits" in words(seat)
        await seat.press("pagedown", "g", "j")
        if size != NARROW:
            assert "kills SIGKILL at effect.acted of wire_money SIGTERM at lease.granted, the 2nd time" in words(seat)
            assert "orders when it is STUCK: resolve wire_money as confirm" in words(seat)
        await seat.press("escape")
        assert front(seat) is MainScreen


async def test_all_are_played_but_those_with_a_mistake(project: Stage) -> None:
    async with project.console() as seat:
        project.play_lines = [
            line(1, missed()), project.gate(), line(0, result("frozen")), line(2, result("p")), done(3), "@exit 1",
        ]  # fmt: skip
        await open_list(seat)
        await seat.press("a")
        await seat.until(lambda: len(seat.main.plays.ended) == 1, "the first has ended")
        assert project.plays[0].files == (FROZEN, ASKED, PROVED)
        assert "left out: 1 file with a mistake" in seat.lines()[-1]
        assert re.search(r"▮▮▮▯+ 1/3  1 ✗", seat.lines()[0])
        assert re.search(r"… frozen, and", seat.text())
        assert re.search(r"✗ only a person .* 1 +0\.7", seat.text())
        await seat.press("a")
        assert "scenarios are being played: x stops them" in seat.lines()[-1]
        project.open_gate()
        await ready(seat)
        assert "1 of 3 scenarios does not hold ✗" in seat.lines()[0]
        await seat.press("n")
        assert f"✗ does not hold after 1 death, 700 ms {ASKED}:10: upstream.bank.wires: expected 2, found 1" in words(
            seat
        )
        assert f"{ASKED}:9: status: expected TERMINAL, found STUCK" in words(seat)
        await seat.press("escape")
        assert "1 of 3 scenarios does not hold ✗; p shows it" in seat.lines()[-1]
        await seat.press("p")
        assert "✗ only a person" in seat.text(), "the last results are known still"
        assert len(project.plays) == 1


async def test_enter_plays_one_then_tells_its_story(project: Stage) -> None:
    async with project.console() as seat:
        kept = result("frozen", journal=project.config.journal, run_id=project.named["acted"])
        project.play_lines = [line(0, kept), done(1)]
        await open_list(seat)
        await seat.press("enter")
        await ready(seat)
        assert project.plays[0].files == (FROZEN,)
        assert "1 scenario holds ✓ 700 ms" in seat.lines()[0]
        await seat.press("enter")
        await seat.until(lambda: "run_started" in seat.text(), "the story")
        assert front(seat) is CellStoryScreen
        assert "Story ✓ frozen" in seat.lines()[0]
        assert "✗ SIGKILL at effect.acted" in seat.text()
        await seat.press("escape", "p")
        await seat.until(lambda: len(project.plays) == 2, "p plays it again")
        await ready(seat)


async def test_without_a_kept_journal_there_is_no_story(project: Stage) -> None:
    async with project.console() as seat:
        project.play_lines = [line(0, result("frozen", ok=False, trouble="no agent")), done(1), "@exit 1"]
        await open_list(seat)
        await seat.press("enter")
        await ready(seat)
        await seat.press("enter")
        assert "no journal is kept of it" in seat.lines()[-1]
        assert "no agent" in words(seat)


async def test_a_file_is_read_again_before_it_is_played(project: Stage) -> None:
    async with project.console() as seat:
        await open_list(seat)
        await seat.press("n")
        await seat.press("p")
        await seat.until(lambda: "mend what is said below" in seat.lines()[-1], "it is not played")
        assert not project.plays
        (project.folder / TYPO).write_text("name: mended\n")
        project.play_lines = [line(0, result("typo")), done(1)]
        await seat.press("p")
        await ready(seat)
        assert project.plays[0].files == (TYPO,)
        assert "✓ mended" in seat.text()
        (project.folder / TYPO).unlink()
        await seat.press("p")
        await seat.until(lambda: "the file is gone" in seat.lines()[-1], "it is gone")


async def test_x_stops_it(project: Stage) -> None:
    async with project.console() as seat:
        await open_list(seat)
        await seat.press("x")
        assert "nothing is being played" in seat.lines()[-1]
        project.play_lines = [line(0, result("frozen")), project.gate()]
        await seat.press("a")
        await seat.until(lambda: seat.main.plays.ended, "the first")
        await seat.press("x")
        await ready(seat)
        assert "stopped at 1/3" in seat.lines()[0]
        assert seat.main.plays.error == ""
        assert re.search(r"✓ frozen", seat.text()) and re.search(r"· only a", seat.text())


async def test_what_an_earlier_play_still_says_is_not_listened_to(project: Stage) -> None:
    async with project.console() as seat:
        project.play_lines = [project.gate()]
        await open_list(seat)
        await seat.press("a")
        await seat.until(lambda: seat.main.plays.under_way, "it begins")
        seat.main.play_told(PlayTold(0, line(0, result("other"))))
        seat.main.play_ended(PlayEnded(0, 1, "of another one"))
        assert seat.main.plays.phase is Phase.PLAYING
        assert not seat.main.plays.ended


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"error": "scenarios/a.yaml:1: x\\nscenarios/b.yaml:2: y"}', "@exit 2"], "✗ scenarios/b.yaml:2: y"),
        (["@stderr tape: no such verb", "@exit 2"], "(exit code 2): tape: no such verb"),
        (["what is this"], "does not understand: what is this"),
    ],
)
async def test_a_play_that_cannot_be_done_says_why(project: Stage, lines: list[str], said: str) -> None:
    async with project.console() as seat:
        project.play_lines = lines
        await open_list(seat)
        await seat.press("a")
        await seat.until(lambda: project.plays and not seat.main.plays.under_way, "the end")
        assert said in words(seat)
        assert "scenarios failed ✗" in seat.lines()[0]


async def test_nothing_to_play(stage: Stage) -> None:
    async with stage.console() as seat:
        await open_list(seat)
        for key in ("enter", "p", "a", "n", "j"):
            await seat.press(key)
            assert "no scenarios yet: W on the main screen" in seat.text()
        assert stage.plays == []


async def test_the_palette_has_both(project: Stage) -> None:
    async with project.console() as seat:
        await seat.choose("acted")
        await seat.press("ctrl+p", *"record this run", "enter")
        await seat.until(lambda: front(seat) is RecordScreen, "the dialog")
        await seat.press("escape")
        await seat.press("ctrl+p", *"play scenarios", "enter")
        await seat.until(lambda: front(seat) is ScenariosScreen, "the list")


async def test_a_new_size_has_new_lines(project: Stage) -> None:
    async with project.console(NARROW) as seat:
        await open_list(seat)
        await seat.press("j")
        await seat.resize(*MEDIUM)
        about = "The bank has no look-up, so the run waits for the word of a person who has called the bank."
        await seat.until(lambda: about in seat.text(), "it stands in one line")


# --- hostile words ----------------------------------------------------------------------------------------------------


def check(seat: Seat, size: tuple[int, int]) -> None:
    for one in seat.lines():
        assert not [ascii(sign) for sign in one if unicodedata.category(sign) in NEVER], one
        assert cell_len(one) == size[0], one


@pytest.mark.parametrize("size", SIZES.values())
async def test_hostile_words_are_words_on_the_screen(project: Stage, size: tuple[int, int]) -> None:
    foul_name = "scenarios/[b]\x1b[2J\u202e'\n" + "漢" * 30 + ".yaml"
    foul = json.dumps(FOUL.encode("utf-8", "replace").decode())
    written = f"name: {json.dumps('[/]x' * 8)}\nabout: {json.dumps('[@click=app.quit]x[/]')}\ninput: {foul}\n"
    put(project, {foul_name: written, f"{foul_name}.yaml": foul})
    journal = project.config.journal
    misses = (Miss(FOUL, FOUL, FOUL),)
    told = ScenarioResult(FOUL, FOUL, False, misses, FOUL, 1.0, 1, project.named["acted"], journal)
    async with project.console(size) as seat:
        await play_all(seat, *(line(number, told) for number in range(4)), done(4), "@exit 1")
        for keys in ("g", "j", "j", "j", "n", "N", "enter", "escape"):
            await seat.press(keys)
            check(seat, size)
        project.play_lines = [json.dumps({"error": FOUL})]
        await seat.press("p")
        await seat.until(lambda: seat.main.plays.error and not seat.main.plays.under_way, "the end")
        check(seat, size)


async def test_in_plain_signs(project: Stage) -> None:
    async with project.console(ascii=True) as seat:
        await play_all(seat, line(0, result("frozen")), line(1, missed()), line(2, result("p")), done(3), "@exit 1")
        await seat.press("n")
        assert seat.text().isascii()


# --- pictures ---------------------------------------------------------------------------------------------------------

PICTURES = ("recording", "list", "failure")


@pytest.mark.skipif(not version("textual").startswith(f"{TEXTUAL}."), reason=f"taken with Textual {TEXTUAL}")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PICTURES)
def test_how_it_looks(project: Stage, snap_compare: Compare, name: str, size: str) -> None:
    app = project.app()

    async def before(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        await _open(Seat(project, app, pilot), name)

    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)


async def _open(seat: Seat, name: str) -> None:
    if name == "recording":
        await record(seat, "acted")
        await seat.press("end")
    elif name == "list":
        await open_list(seat)
        await seat.press("j")
    else:
        await play_all(seat, line(0, result("frozen")), line(1, missed()), line(2, result("p")), done(3), "@exit 1")
        await seat.press("n")
        seat.app.screen.keys._hush()  # type: ignore[attr-defined]
