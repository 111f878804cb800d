"""What the console costs, counted as work and not as time: lines drawn, rows fetched, scenes sent."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tape.core.clock import ManualClock, SystemClock
from tape.tui.feed.feed import LEAST_GAP_SECONDS, Feed
from tape.tui.feed.run_list import KEPT_VIEWS
from tape.tui.panes.top import OneLine
from tape.tui.scene import Phase, RunList, Scene, Strip, View
from tests.journal.big import START_US, build
from tests.tui.stage import Seat, Stage, config_of
from tests.tui.stories import Stories

RUNS = 100_000


class Drawn:
    """How many lines each pane has drawn since the last look, and the two single lines with them."""

    def __init__(self, seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seat, self.single = seat, 0
        line = OneLine.render_line

        def counted(widget: OneLine, y: int) -> object:
            self.single += 1
            return line(widget, y)

        monkeypatch.setattr(OneLine, "render_line", counted)
        self.before = seat.drawn()

    def since(self) -> dict[str, int]:
        now = self.seat.drawn()
        changed = {name: count - self.before[name] for name, count in now.items() if count != self.before[name]}
        changed |= {"single": self.single} if self.single else {}
        self.before, self.single = now, 0
        return changed


async def test_a_scene_that_changes_nothing_draws_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage.console((200, 60)) as seat:
        await seat.tick()
        drawn = Drawn(seat, monkeypatch)
        for _ in range(5):
            stage.turn()
            await seat.pause()
            seat.stage.send(replace(stage.scene))
            await seat.pause()
        assert drawn.since() == {}


async def test_a_changed_run_draws_its_line(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage.console((200, 60)) as seat:
        await seat.tick()
        drawn = Drawn(seat, monkeypatch)
        scene = stage.scene
        number = scene.runs.number(5)
        assert number is not None
        run = replace(scene.runs.views[number], status="WAITING", waiting_on="a person")
        stage.send(replace(scene, runs=replace(scene.runs, views={**scene.runs.views, number: run})))
        await seat.pause()
        assert drawn.since() == {"runs": 1}
        assert "◇ WAITING" in seat.of("runs")[7]


async def test_a_second_draws_bars_and_ages_only(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage.console((200, 60)) as seat:
        await seat.choose("nobody")
        await seat.tick()
        drawn = Drawn(seat, monkeypatch)
        await seat.tick()
        counts = drawn.since()
        assert counts.pop("single") == 1, "the clock"
        assert counts.pop("runs") <= 9 and counts.pop("processes", 0) <= 3
        assert counts == {}


async def test_one_more_record_draws_few_lines(stage: Stage, stories: Stories, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage.console((200, 60)) as seat:
        await seat.choose("running")
        seat.main.tape.follow(True)
        await seat.tick()
        drawn = Drawn(seat, monkeypatch)
        stories.decide(stage.named["running"], 1, 1, {"say": "more"})
        stage.turn()
        await seat.pause()
        counts = drawn.since()
        assert 2 <= counts["tape"] <= 5
        assert counts["runs"] <= 3 and counts.get("effects", 0) == 0 and counts.get("log", 0) == 0


async def test_moving_draws_two_lines(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage.console((200, 60)) as seat:
        await seat.press("2", "g")
        drawn = Drawn(seat, monkeypatch)
        await seat.press("j")
        assert drawn.since()["tape"] <= 2


async def test_the_scroll_bar_moves_when_lines_come_in_below(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("6", "z", "g")
        before = [line[-1] for line in seat.of("log")]
        for number in range(200):
            stage.say(f"line {number}")
        await seat.tick()
        after = [line[-1] for line in seat.of("log")]
        assert after != before and after.count("┃") < before.count("┃")


# --- a big journal ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "dev.db"
    build(path, RUNS)
    return path


def big_stage(path: Path) -> Stage:
    clock = ManualClock(wall=START_US + (RUNS + 60) * 1_000_000)
    return Stage(path.parent, path, clock)


async def test_a_hundred_thousand_runs_are_fetched_by_the_screenful(big: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = big_stage(big)
    fetched: list[int] = []
    async with stage.console() as seat:
        reader = stage.feed._reader
        assert reader is not None
        plain = reader.runs_by_no
        monkeypatch.setattr(reader, "runs_by_no", lambda numbers: fetched.append(len(numbers)) or plain(numbers))
        assert stage.scene.runs.length == RUNS
        for key in ("G", "pageup", "k", "g", "pagedown", "G", "g"):
            await seat.press(key)
            assert "…  " not in "".join(seat.of("runs")[2:-1]), "every row on screen has been read"
            assert len(stage.scene.runs.views) <= KEPT_VIEWS
        assert 0 < sum(fetched) < 1_000 and max(fetched) < 300
        before = seat.drawn()["runs"]
        await seat.press("G")
        assert seat.drawn()["runs"] - before < 3 * seat.pane("runs").size.height
        fetched.clear()
        await seat.press("k")
        assert fetched == []


async def test_the_list_of_runs_is_not_copied_with_every_scene(big: Path) -> None:
    stage = big_stage(big)
    async with stage.console():
        first = stage.scene.runs.numbers
        stage.turn()
        assert stage.scene.runs.numbers is first


# --- the pace ---------------------------------------------------------------------------------------------------------


def paced(stage: Stage) -> list[Scene]:
    sent: list[Scene] = []
    stage._post = lambda message: sent.append(message.scene)  # type: ignore[attr-defined]
    return sent


def test_a_burst_of_a_thousand_commits_is_at_most_twenty_scenes_a_second(stage: Stage) -> None:
    sent = paced(stage)
    stage.turn()
    for _ in range(1_000):
        stage.clock.advance(0.001)
        if stage.feed.wait_us(woken=True) == 0:
            stage.turn()
    assert len(sent) == 1 + 20


def test_without_a_commit_there_is_a_scene_a_second(stage: Stage) -> None:
    sent = paced(stage)
    stage.turn()
    for _ in range(5_000):
        stage.clock.advance(0.001)
        if stage.feed.wait_us(woken=False) == 0:
            stage.turn()
    assert len(sent) == 1 + 5


def test_a_paused_view_costs_no_scene_and_no_storm_of_readings(stage: Stage) -> None:
    sent = paced(stage)
    stage.look(View(paused=True))
    turns = 0
    for _ in range(3_000):
        stage.clock.advance(0.001)
        if stage.feed.wait_us(woken=False) == 0:
            stage.turn()
            turns += 1
    assert len(sent) == 1 and turns == 3


def test_a_wish_of_the_screen_does_not_wait(stage: Stage) -> None:
    stage.turn()
    assert stage.feed.wait_us(woken=True) == LEAST_GAP_SECONDS * 1_000_000
    stage.feed.look(View(sort="oldest"))
    assert stage.feed.wait_us(woken=False) == 0


def test_the_thread_keeps_the_gap_however_often_it_is_woken(tmp_path: Path) -> None:
    clock = SystemClock()
    stage = Stage(tmp_path, tmp_path / "dev.db", clock)
    starts: list[int] = []
    enough = threading.Event()

    class Timed(Feed):
        def turn(self) -> None:
            starts.append(clock.boot_us())
            super().turn()
            if len(starts) == 6:
                enough.set()

    first = Scene(View(), Strip("x", "y"))
    feed = Timed(config_of(tmp_path, tmp_path / "dev.db"), clock, stage, first, lambda message: None)
    feed.start()
    deadline = clock.boot_us() + 20_000_000
    while not enough.is_set() and clock.boot_us() < deadline:
        feed.wake()
    feed.stop()
    assert enough.is_set()
    gaps = [after - before for before, after in pairwise(starts)]
    assert min(gaps) >= LEAST_GAP_SECONDS * 1_000_000


def test_an_empty_list_has_no_rows() -> None:
    assert RunList().at(0) is None and RunList().number(0) is None and RunList().find(1) is None
    assert Phase.STARTING == "starting"
