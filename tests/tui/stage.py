"""A recorded backstage: scenes made by the real feed from a real journal, on the screen's own thread, and no process.

`Stage` plays the service: what the host knows beside the journal is put in by hand, what the screen orders is kept in
`acts`, and an arm, a stop or a pause shows in the next scene as it would in life.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from unittest import mock

from textual.geometry import Region
from textual.message import Message
from textual.pilot import Pilot
from textual.strip import Strip as DrawnStrip
from textual.widget import Widget

from tape.core.config import AgentTarget, BudgetCaps, Config
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import TapeError, one_line
from tape.core.kernel.points import Arm, Death, Point, Stop, find_point
from tape.core.kernel.policy import LeasePolicy, RecoveryPolicy
from tape.core.marks import Style
from tape.core.server.orders import journal_verb
from tape.reactors.host import ReactorState
from tape.tui.app import Console
from tape.tui.choices import Choices
from tape.tui.feed.feed import Feed
from tape.tui.live import told
from tape.tui.messages import Act, ActDone, PlayWanted, ProofWanted, SceneReady
from tape.tui.pane import Pane
from tape.tui.proving import Playing, Proving
from tape.tui.scene import Phase, Scene, Source, Strip, View
from tape.tui.screens.main import MainScreen
from tests.tui.stories import Stories

Told = TypeVar("Told", bound=Stories)

NOTHING: Mapping[str, int] = {}
ROUNDS = 2
"""A key reaches a widget in the first one, what the widget says of it reaches the screen in the second."""
REACTORS = ("recovery", "reconciler", "outbox", "timers", "compensation")
MANIFEST: dict[str, Any] = {
    "agents": [{"name": "treasury", "input": {"type": "string"}, "file": "app/agent.py", "line": 12}],
    "tools": [
        {
            "name": "wire_money",
            "semantics": "non_idempotent",
            "dispatch": "inline",
            "look_up": True,
            "authoritative": True,
            "settle_delay": 0.2,
            "on_unknown": "ask",
            "compensable": False,
            "file": "app/tools.py",
            "line": 20,
        }
    ],
}
Edit = Callable[[Scene], Scene]


def config_of(folder: Path, journal: Path) -> Config:
    return Config(
        root=folder,
        source=folder / "tape.yaml",
        name="treasury",
        agents={"treasury": AgentTarget("app.agent", "treasury")},
        journal=journal,
        workers=1,
        concurrency=1,
        lease=LeasePolicy(),
        recovery=RecoveryPolicy(),
        budget=BudgetCaps(),
        upstream={"bank": {}},
        reload=(),
    )


@dataclass
class HostFacts:
    """What the feed asks of a host. Workers are peers by number; nothing of this machine is looked at."""

    config: Config
    server: Any = field(default_factory=lambda: SimpleNamespace(peers={}, manifest=MANIFEST))
    supervisor: Any = field(default_factory=lambda: SimpleNamespace(processes=lambda: []))
    states: dict[str, ReactorState] = field(default_factory=lambda: {name: ReactorState(name) for name in REACTORS})
    fatal: Exception | None = None
    armed: list[Arm] = field(default_factory=lambda: [])
    stopped: list[Stop] = field(default_factory=lambda: [])

    def arms(self) -> list[Arm]:
        return self.armed

    def stops(self) -> list[Stop]:
        return self.stopped

    def peer(self, number: int, pid: int, *, drives: int = 0, frozen: bool = False, ready: bool = True) -> None:
        drive = {f"r-{at}": 1 for at in range(drives)}
        self.server.peers[number] = SimpleNamespace(
            number=number, pid=pid, ready=ready, frozen=frozen, drives=drive, hooks={}
        )


class Stage:
    """A `Backstage`, and the `Facts` of its feed. `edit` changes each scene before it is sent; with a `writer` orders
    are applied to the journal."""

    def __init__(self, folder: Path, journal: Path, clock: Any, *, empty: bool = False) -> None:
        self.folder = folder
        self.clock = clock
        self.config = config_of(folder, journal)
        self.host: Any = HostFacts(self.config)
        self.phase = Phase.LIVE
        self.trouble = ""
        self.own_points: tuple[str, ...] = ("before_wire",)
        self.named: dict[str, str] = {}
        self.acts: list[Act] = []
        self.views: list[View] = []
        self.scenes: list[Scene] = []
        self.refuses = ""
        self.proofs: list[ProofWanted] = []
        self.proof_lines: list[str] = []
        self.provings: list[Proving] = []
        self.plays: list[PlayWanted] = []
        self.play_lines: list[str] = []
        self.playings: list[Playing] = []
        self.words: list[dict[str, Any]] = []
        self.edit: Edit = lambda scene: scene
        self.writer: Writer | None = None
        self.first = Scene(
            View(),
            Strip("treasury", ".tape/dev.db"),
            now_us=clock.wall_us(),
            boot_us=clock.boot_us(),
            agents=("treasury",),
            honours_key=False,
        )
        self._post: Callable[[Message], Any] = lambda message: None
        self.feed = Feed(self.config, clock, self, self.first, self._send)

    # --- the protocol -------------------------------------------------------------------------------------------

    def start(self, post: Callable[[Message], Any]) -> None:
        self._post = post
        self.turn()
        for words in self.words:
            self.say(**words)
        if self.words:
            self.turn()

    def look(self, view: View) -> None:
        self.views.append(view)
        self.feed.look(view)
        self.feed.turn()

    def act(self, act: Act) -> None:
        """Does nothing but what shows: an arm, a stop that is over."""
        self.acts.append(act)
        if self.refuses:
            self._post(ActDone(act, ok=False, text=self.refuses, result={}))
            return
        if self.writer is not None:
            self._write(self.writer, act)
            return
        args = act.order.args
        if act.order.verb == "kill" and "at" in args:
            arm = Arm(_point(args["at"]), Death(args["signal"]), each_run=bool(args.get("each_run")))
            self.host.armed.append(arm)
        elif act.order.verb == "disarm":
            self.host.armed = [arm for arm in self.host.armed if arm.point.name != args["at"]]
        elif act.order.verb == "step" and args.get("to"):
            self.host.armed.append(Arm(_point(args["to"]), Death.HOLD, run_id=act.order.run_id))
        elif act.order.verb == "step" and args.get("go"):
            self.host.stopped = []
        result = {"run": self.named["running"]} if act.order.verb == "start" else {}
        self._post(ActDone(act, ok=True, text=act.told, result=result))
        self.turn()

    def _write(self, writer: Writer, act: Act) -> None:
        """The order itself, as a server applies it; what it says of it is what the console says."""
        try:
            result = writer.apply(journal_verb(self.config, act.order))
        except TapeError as error:
            self._post(ActDone(act, ok=False, text=one_line(error), result={}))
        else:
            self._post(ActDone(act, ok=True, text=told(act, result), result=result))
        self.turn()

    def prove(self, wanted: ProofWanted) -> None:
        """A child that says `proof_lines` (proof_child.py)."""
        self.proofs.append(wanted)
        command = self._child(f"proof-{wanted.number}", self.proof_lines)
        self.provings.append(Proving(wanted.number, command, self.folder, self._post))
        self.provings[-1].start()

    def play(self, wanted: PlayWanted) -> None:
        """A child that says `play_lines`."""
        self.plays.append(wanted)
        command = self._child(f"play-{wanted.number}", self.play_lines)
        self.playings.append(Playing(wanted.number, command, self.folder, self._post))
        self.playings[-1].start()

    def stop_play(self) -> None:
        if self.playings:
            self.playings[-1].stop()

    def _child(self, name: str, said: list[str]) -> list[str]:
        lines = self.folder / name
        lines.write_text("\n".join(said), "utf-8")
        return [sys.executable, "-I", "-S", str(Path(__file__).parent / "proof_child.py"), str(lines)]

    def stop_proof(self) -> None:
        if self.provings:
            self.provings[-1].stop()

    def living(self) -> int:
        return sum(1 for peer in self.host.server.peers.values() if peer.drives)

    def stop(self, *, drain: bool) -> None:
        del drain
        for child in (*self.provings, *self.playings):
            child.stop()
            child.join()

    # --- what a test does ---------------------------------------------------------------------------------------

    def turn(self) -> None:
        """What a commit does: the feed looks, and sends a scene."""
        self.feed.turn()

    def tick(self, seconds: float = 1.0) -> None:
        self.clock.advance(seconds)
        self.turn()

    def gate(self, name: str = "gate") -> str:
        """A line at which the recorded proof holds until `open_gate`."""
        os.mkfifo(self.folder / name)
        return f"@wait {self.folder / name}"

    def open_gate(self, name: str = "gate") -> None:
        (self.folder / name).write_text("on")

    def say(self, text: str, *, who: str = "agent 12352", source: Source = Source.AGENT, wrong: bool = False) -> None:
        self.feed.say(source, who, text, Style.ERROR if wrong else Style.PLAIN)

    @property
    def orders(self) -> list[tuple[str, str | None, dict[str, Any]]]:
        return [(act.order.verb, act.order.run_id, dict(act.order.args)) for act in self.acts]

    @property
    def scene(self) -> Scene:
        return self.scenes[-1]

    def send(self, scene: Scene) -> None:
        """A scene made by hand."""
        self._post(SceneReady(scene))

    def _send(self, message: Message) -> None:
        scene = self.edit(cast(SceneReady, message).scene)
        self.scenes.append(scene)
        self._post(SceneReady(scene))

    @asynccontextmanager
    async def console(
        self,
        size: tuple[int, int] = (120, 40),
        theme: str = "tape-dark",
        *,
        ascii: bool = False,
        choices: Choices | None = None,
    ) -> AsyncIterator[Seat]:
        app = self.app(theme, ascii=ascii, choices=choices)
        lines: Counter[str] = Counter()
        draw = Pane.render_line

        def counted(pane: Pane, y: int) -> DrawnStrip:
            lines[str(pane.id)] += 1
            return draw(pane, y)

        with mock.patch.object(Pane, "render_line", counted):
            async with app.run_test(size=size) as pilot:
                await pilot.pause()
                yield Seat(self, app, pilot, lines)

    def app(self, theme: str = "tape-dark", *, ascii: bool = False, choices: Choices | None = None) -> Console:
        chosen = replace(choices or Choices(), theme=theme)
        self.first = replace(self.first, view=View(run_id=chosen.run_id, filter=chosen.filter, sort=chosen.sort))
        self.feed.look(self.first.view)
        return Console(self, self.clock, self.first, choices=chosen, export_folder=self.folder / "exports", ascii=ascii)


def _point(name: str) -> Point:
    return find_point(name)


class Seat:
    """The person at the screen."""

    def __init__(self, stage: Stage, app: Console, pilot: Pilot[Any], lines: Mapping[str, int] = NOTHING) -> None:
        self.stage, self.app, self.pilot = stage, app, pilot
        self._drawn = lines

    @property
    def main(self) -> MainScreen:
        return self.app.main

    async def press(self, *keys: str) -> None:
        """Key by key, each when the one before has been taken by all that heard of it. The toolkit itself waits twice
        for an idle processor after each key, which costs ten times as much; here that is done once, after the last."""
        with mock.patch("textual.app.wait_for_idle", self._taken):
            await self.pilot.press(*keys)
        await self.pilot.pause()

    async def _taken(self, seconds: float = 0) -> None:
        del seconds
        for _ in range(ROUNDS):
            await self.pilot._wait_for_screen()

    async def pause(self) -> None:
        await self.pilot.pause()

    async def tick(self, seconds: float = 1.0) -> None:
        self.stage.tick(seconds)
        await self.pilot.pause()

    async def until(self, done: Callable[[], object], what: str, seconds: float = 20.0) -> None:
        """Lets the screen go on until it is so."""
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}\n{self.text()}"
            await self.pilot.pause(0.005)
        await self.pilot.pause()

    async def choose(self, story: str) -> None:
        """The run of this story is the selected one."""
        self.main.wanted_run = self.stage.named[story]
        self.main.runs.following = False
        self.main.look(replace(self.main.view, run_id=self.main.wanted_run, at=None))
        await self.pilot.pause()

    async def click(self, widget: str, x: int, y: int, times: int = 1) -> None:
        await self.pilot.click(f"#{widget}", offset=(x, y), times=times)
        await self.pilot.pause()

    async def resize(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)
        await self.pilot.pause()

    def pane(self, name: str) -> Pane:
        return self.main.query_one(f"#{name}", Pane)

    @property
    def shown(self) -> list[str]:
        """The panes on screen from left to right and top to bottom."""
        panes = [pane for pane in self.main.query(Pane) if pane.size.width and pane.region.area]
        return [str(pane.id) for pane in sorted(panes, key=lambda pane: (pane.region.x, pane.region.y))]

    def lines(self) -> list[str]:
        """What stands on the screen."""
        return screen_lines(self.app)

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines()) + "\n"

    def of(self, widget: str) -> list[str]:
        """The lines of one widget."""
        region: Region = self.main.query_one(f"#{widget}", Widget).region
        strips = self.main._compositor.render_strips()
        return [strips[y].crop(region.x, region.right).text for y in range(region.y, region.bottom)]

    def drawn(self) -> dict[str, int]:
        """How many lines each pane has drawn until now."""
        return {str(pane.id): self._drawn.get(str(pane.id), 0) for pane in self.main.query(Pane)}


def screen_lines(app: Console) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


@dataclass
class Recorded:
    """The journal of all stories, written once for all tests."""

    folder: Path
    clock: Any
    named: dict[str, str]
    acts: int
    pid: int


def record(folder: Path) -> Recorded:
    stories = Stories(folder / "tape")
    stories.tell_all()
    stories.close()
    return Recorded(folder / "tape", stories.clock, stories.named, stories.acts, stories.pid)


def stage_of(recorded: Recorded, folder: Path) -> Stage:
    """A stage over a copy of the stories, with a host that fits them."""
    shutil.copytree(recorded.folder, folder / ".tape")
    stage = Stage(folder, folder / ".tape" / "dev.db", replace(recorded.clock))
    stage.clock.advance(3)
    stage.named = dict(recorded.named)
    set_host(stage)
    return stage


def set_host(stage: Stage) -> None:
    """Three runs are driven, one of them stands at a point; a spare waits."""
    from tape.core.journal.views import open_reader

    host: HostFacts = stage.host
    with open_reader(stage.config.journal) as reader:
        for lease in reader.live_leases():
            host.peer(lease.worker, lease.pid, drives=1)
            if lease.run_id == stage.named["stopped"]:
                host.stopped.append(Stop(lease.run_id, lease.worker, lease.pid, "effect.begun", "wire_money", 1))
    host.peer(99, 12399)
    usage = stage.feed._processes._usage
    usage |= {number: (41_000_000 + number * 100_000, 1.0) for number in host.server.peers}
    host.states["recovery"].moved = 3
    host.states["reconciler"].moved = 1
    stage.words = [
        {"text": "paying invoice 7"},
        {"text": "asked the bank, waiting"},
        {"text": "reconciler: the bank does not answer", "who": "trouble", "source": Source.TAPE, "wrong": True},
    ]


def stories_again(stage: Stage, recorded: Recorded, kind: type[Told] = Stories) -> Told:
    """The writer of a stage's journal: the stories go on."""
    stories = kind.__new__(kind)
    stories.path = stage.config.journal
    stories.clock = stage.clock
    stories.writer = Writer(stories.path, stage.clock)
    stories.bank, stories.acts, stories.pid = stories.path.parent / "bank.jsonl", recorded.acts, recorded.pid
    stories.named = stage.named
    return stories


RUN_ID = re.compile(r"r-[0-9a-z]{12}")
