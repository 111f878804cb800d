"""What tools, models, agents and upstreams say is hostile. Whatever they say, wherever it shows: no control character
reaches a line, every line is as wide as the screen, and nothing is done that nobody ordered."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from textual.events import Paste

from tape.core.journal import effects, records, runs, workers
from tape.core.journal.effects import Call, Ending, ToolPolicy
from tape.core.kernel.events import Decision, PointReached
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.points import Stop
from tape.tui.messages import Ended, Said
from tape.tui.scene import Source
from tests.core.test_render import HOSTILE
from tests.core.view_journals import RECOVERY, USAGE
from tests.tui.stage import MANIFEST, Seat, Stage
from tests.tui.stories import Stories

pytestmark = pytest.mark.asyncio
SIZES = ((120, 40), (80, 24))
NEVER = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
CORPUS = {
    "some of each": "\x1b]52;c;x\x07[/\u202e\u200b漢e"
    + "\u0301" * 6
    + "\x9b\n\x00[@click=app.quit]x[/]👩\u200d💻\U000e0041",
    **HOSTILE,
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clear": "\x1b[2J\x1b[1;1H\x1bc\x1bP+q\x1b\\",
    "action": "[@click=app.simulate_key('y')]x[/]",
    "open markup": "[/",
    "index": "[0] [bold red on blue]",
    "wide": "漢字" * 60,
    "half wide": "ｱﾊﾟｰﾄ ①②③ ☂ ※",
    "emoji": "👩\u200d💻👍🏽🇩🇪☎\ufe0f" * 10,
    "lines": "one\ntwo\r\nthree\x0b\x0cfour\x85five",
    "percent": "%s %d {0} {x!r} $HOME \\x1b",
    "empty": "",
    "blank": "   ",
}


def told(cases: Mapping[str, Any], *, soon: Collection[str]) -> list[Any]:
    """Parameters of a test; those that are not `soon` are for when there is time."""
    later = pytest.mark.slow
    return [pytest.param(value, id=name, marks=() if name in soon else later) for name, value in cases.items()]


EVERYWHERE = ("some of each", "wide", "lines", "empty")
"""Texts that are taken to each pane at each size; the others go through the same one place, and are looked at once."""
TEXTS = told(CORPUS, soon=("some of each", "wide", "empty"))


def check(seat: Seat, size: tuple[int, int]) -> None:
    """The frame is whole and harmless."""
    lines = seat.lines()
    assert len(lines) == size[1]
    for number, line in enumerate(lines):
        assert not (bad := [ascii(sign) for sign in line if unicodedata.category(sign) in NEVER]), (number, bad, line)
        assert cell_len(line) == size[0], (number, line)


class Hostile(Stories):
    """Runs of which every word is somebody else's."""

    def foul(self, text: Any, name: str) -> str:
        """`text` as input, reply, argument, result, error, reason and evidence; `name` as agent and tool."""
        run_id = self.start(text, agent=name or "agent")
        worker = self.worker()
        epoch = self.grant(run_id, worker)
        decision = Decision(index=0, name=name, fingerprint="f", request=text, reply=text)
        self.do(records.record_decision, run_id, epoch, decision, USAGE)
        for ordinal, ending in enumerate(
            (
                Ending(EffectStatus.CONFIRMED, result=text),
                Ending(EffectStatus.FAILED, error={"type": name, "message": text}),
                None,
            )
        ):
            policy = ToolPolicy()
            call = Call(0, ordinal, name, {name: text}, policy)
            self.do(effects.begin_effect, run_id, epoch, call, "f")
            if ending is not None:
                self.do(effects.end_effect, run_id, epoch, f"{run_id}/0/{ordinal}/{name}", 1, ending, None)
        why = text if isinstance(text, str) else "too much"
        self.do(workers.refuse_write, run_id, worker, epoch, name, why, text)
        self.do(workers.place_order, run_id, "kill", {"x": text}, name, why)
        reached = PointReached(point=f"at:{name}", death="KILL", worker=worker, pid=12345)
        self.do(workers.reach_point, run_id, reached)
        self.do(workers.worker_died, worker, f"SIGKILL: {why}", RECOVERY, proven=True)
        return run_id

    def wrong(self, text: str) -> str:
        """A run that failed with this text."""
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.do(runs.end_run, run_id, epoch, "FAILED", None, {"type": text, "message": text})
        return run_id


@pytest.fixture
def hostile(stories: Stories) -> Hostile:
    stories.__class__ = Hostile
    assert isinstance(stories, Hostile)
    return stories


def foul_host(stage: Stage, text: str) -> None:
    """The host and the agents' output say it too."""
    stage.say(text, who=text)
    stage.say(text, who=text, source=Source.TAPE, wrong=True)
    stage.own_points = (text, f"{text} again")
    stage.host.states["outbox"].errors, stage.host.states["outbox"].last_error = 1, text
    tools = [{**MANIFEST["tools"][0], "name": text}]
    stage.host.server.manifest = {"agents": [{"name": text, "input": text}], "tools": tools}


async def walk(seat: Seat, size: tuple[int, int], *, slowly: bool) -> None:
    """Every pane, and its first line in detail; `slowly`: its last line, too, and zoomed."""
    for key in "1234567x":
        await seat.press(key)
        check(seat, size)
        whole = ("g", "enter", "G") if key in "123456" else ("G",)
        for more in whole if slowly else whole[1:2]:
            await seat.press(more)
            check(seat, size)
            if more == "enter":
                await seat.press(key)
    await seat.press("escape", "escape", "1")


@pytest.mark.parametrize("text", TEXTS)
async def test_every_field_on_every_pane(stage: Stage, hostile: Hostile, text: str) -> None:
    stored = text.encode("utf-8", "replace").decode()  # the journal keeps no half surrogates
    run_id = hostile.foul(stored, stored or "tool")
    failed = hostile.wrong(stored)
    foul_host(stage, text)
    stage.host.stopped = [Stop(failed, 1, 1, f"at:{text}", stored, 0)]
    slowly = text in {CORPUS[name] for name in EVERYWHERE}
    async with stage.console(SIZES[0]) as seat:
        for size in SIZES if slowly else SIZES[:1]:
            await seat.resize(*size)
            stage.named |= {"foul": run_id, "failed": failed}
            for story in ("failed", "foul"):
                await seat.choose(story)
                check(seat, size)
            await walk(seat, size, slowly=slowly)
            await seat.press("w", "o")
            check(seat, size)
            await seat.press("3", "enter")
            check(seat, size)
            await seat.press("escape", "o", "w", "l", "l")
            check(seat, size)
        assert all(act.order.verb != "kill" for act in stage.acts) and not stage.acts, "nothing was triggered"


@pytest.mark.parametrize("text", TEXTS)
async def test_what_the_console_says_itself(stage: Stage, text: str) -> None:
    async with stage.console(SIZES[1]) as seat:
        seat.app.post_message(Said(text))
        await seat.pause()
        check(seat, SIZES[1])
        stage.trouble = text
        await seat.tick()
        check(seat, SIZES[1])
        seat.app.post_message(Ended(text))
        await seat.pause()
        check(seat, SIZES[1])
        seat.main.set_filter(text.replace(":", " "))
        await seat.pause()
        check(seat, SIZES[1])
        await seat.press("slash")
        check(seat, SIZES[1])
        assert stage.acts == []


def deep(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


BIG = {
    "a line of a megabyte": "x" * 1_000_000,
    "a wide line of half a megabyte": "漢" * 170_000,
    "an escape in each place": "\x1b" * 100_000,
    "ten thousand keys": {f"key {number} \x1b[2J": number for number in range(10_000)},
    "deep nesting": deep(90),
    "many lines": "line\n" * 50_000,
}


@pytest.mark.parametrize("value", told(BIG, soon=("a line of a megabyte", "ten thousand keys")))
async def test_too_much(stage: Stage, hostile: Hostile, value: Any) -> None:
    stage.named["big"] = hostile.foul(value, "tool")
    if isinstance(value, str):
        foul_host(stage, value)
    async with stage.console(SIZES[0]) as seat:
        for size in SIZES:
            await seat.resize(*size)
            await seat.choose("big")
            await walk(seat, size, slowly=False)
        assert stage.acts == []


async def test_a_click_on_what_looks_like_a_link_is_a_click_on_a_row(stage: Stage, hostile: Hostile) -> None:
    action = "[@click=app.quit]pay[/]"
    stage.named["foul"] = hostile.foul(action, "tool")
    async with stage.console(SIZES[0]) as seat:
        await seat.choose("foul")
        seat.main.tape.action_jump(0)
        await seat.pause()
        (line,) = [line for line in seat.of("tape") if "run_started" in line]
        await seat.click("tape", line.index("pay"), seat.of("tape").index(line))
        assert seat.app.is_running and stage.acts == [] and seat.main.tape.cursor == 0


@pytest.mark.parametrize("text", TEXTS)
async def test_what_is_pasted_into_the_filter(stage: Stage, text: str) -> None:
    async with stage.console(SIZES[1]) as seat:
        await seat.press("slash")
        seat.app.post_message(Paste(text))
        await seat.pause()
        check(seat, SIZES[1])
        await seat.press("enter")
        check(seat, SIZES[1])
        assert stage.acts == []


async def test_a_name_of_the_project_is_shown_as_it_is(stage: Stage) -> None:
    strip = replace(stage.first.strip, project="[red]\x1b[2J漢", journal="\u202edb\x07")
    stage.edit = lambda scene: replace(scene, strip=replace(scene.strip, project=strip.project, journal=strip.journal))
    async with stage.console((200, 60)) as seat:
        check(seat, (200, 60))
        assert r"[red]\x1b[2J漢" in seat.lines()[0] and r"\u202edb\x07" in seat.lines()[0]
