"""The console itself: the panes over one scene, and the keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from tape.core.clock import Clock
from tape.core.text import show
from tape.tui import acts
from tape.tui.backstage import Backstage
from tape.tui.body import Body
from tape.tui.choices import Choices
from tape.tui.details import subject_of
from tape.tui.ink import Ink
from tape.tui.keymap import renamed
from tape.tui.messages import Act, ActDone
from tape.tui.pane import Pane
from tape.tui.panes.crash import CrashPane
from tape.tui.panes.detail import DetailPane
from tape.tui.panes.effects import EffectsPane
from tape.tui.panes.log import LogPane
from tape.tui.panes.processes import ProcessesPane
from tape.tui.panes.reactors import ReactorsPane
from tape.tui.panes.runs import RunsPane
from tape.tui.panes.tape import TapePane
from tape.tui.panes.top import KeyLine, OneLine, TopStrip
from tape.tui.plan import Width, Wish, width_class
from tape.tui.scene import Phase, Scene, View
from tape.tui.screens.asking import Asking
from tape.tui.screens.helping import Helping
from tape.tui.screens.jumping import Jumping
from tape.tui.screens.keys import BINDINGS, keys_for
from tape.tui.screens.looking import Looking
from tape.tui.screens.orders import Orders
from tape.tui.screens.plays import Plays
from tape.tui.screens.proofs import Proofs
from tape.tui.screens.text_field import TextField

if TYPE_CHECKING:
    from tape.tui.app import Console

TWICE_WITHIN_US = 2_000_000


class MainScreen(Asking, Helping, Jumping, Looking, Orders, Plays, Proofs, Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [*cast("list[BindingType]", BINDINGS)]

    def __init__(self, backstage: Backstage, clock: Clock, scene: Scene, choices: Choices) -> None:
        super().__init__()
        self.backstage = backstage
        self.clock = clock
        self.scene = scene
        self.choices = choices
        self.view = View(run_id=choices.run_id, filter=choices.filter, sort=choices.sort)
        self.wish = Wish(lower=choices.lower, weights=dict(choices.weights), left=choices.left)
        self.composed = False
        self.last_interrupt_us = -TWICE_WITHIN_US
        self.wanted_run = choices.run_id

    def compose(self) -> ComposeResult:
        self.strip = TopStrip(self.scene, id="strip")
        self.runs = RunsPane(id="runs")
        self.tape = TapePane(id="tape")
        self.effects = EffectsPane(id="effects")
        self.reactors = ReactorsPane(id="reactors")
        self.processes = ProcessesPane(id="processes")
        self.log_pane = LogPane(id="log")
        self.detail = DetailPane(id="detail")
        self.crash = CrashPane(id="crash")
        self.keys = KeyLine(id="keys")
        self.body = Body(
            self.strip, self.runs, self.tape, self.effects, self.reactors, self.processes, self.log_pane,
            self.detail, self.crash, self.keys, id="body",
        )  # fmt: skip
        yield self.body
        field = TextField(placeholder="state:stuck  agent:x  effect:pending  since:10m  or words of id, agent, error")
        field.id = "filter"
        yield field

    def on_mount(self) -> None:
        self.composed = True
        for drawn in (*self.query(Pane), *self.query(OneLine)):
            drawn.plain_glyphs = self.console.ascii
        self.crash.death = self.choices.death
        self.crash.choose_point(self.choices.point)
        self.runs.following = self.choices.run_id is None
        self.set_focus(self.runs)
        self.place_panes()

    # --- scenes -------------------------------------------------------------------------------------------------

    def show(self, scene: Scene) -> None:
        """Every pane draws what changed in it."""
        self.scene = scene
        if not self.composed:
            return
        with self.console.batch_update():
            self.strip.show(scene)
            self.runs.show(scene)
            self._take_wanted_run()
            self.tape.show(scene)
            self.land(scene)
            self.effects.show(scene)
            self.reactors.show(scene)
            self.processes.show(scene)
            self.log_pane.show(scene)
            run_id = scene.selected.run.id if scene.selected else None
            self.crash.show(scene, acts.armed_states(scene.arms, run_id))
            self._tell_crash()
            self._show_detail()
            self._arrange_crash()
            self.show_keys()
            self.watch_scene(scene)
            self.watch_proof(scene.boot_us)
            self.show_in_front(scene)
        run = self.runs.run
        if run is not None and run.id != self.view.run_id and self.runs.following:
            self.look(replace(self.view, run_id=run.id, at=None))

    def _take_wanted_run(self) -> None:
        """A run that was asked for by its id is put under the cursor as soon as it is in the list."""
        if self.wanted_run is None:
            return
        selected = self.scene.selected
        if selected is None or selected.run.id != self.wanted_run:
            return
        if self.runs.select_run(selected.run.no):
            self.wanted_run = None
            self.runs.following = self.runs.cursor == self.runs.follow_end()
        else:
            self.reveal(selected.run.no)

    def look(self, view: View) -> None:
        self.view = view
        self.backstage.look(view)

    def _tell_crash(self) -> None:
        from tape.tui.verdicts import told

        scene, point = self.scene, self.crash.point
        expects = acts.expectation(scene, point, self.crash.death) if scene.phase is not Phase.STARTING else ""
        verdict, line, good, instead = told(scene)
        self.crash.tell(expects=expects, told=line, counterfactual=instead, verdict=verdict, good=good)

    def _show_detail(self) -> None:
        self.detail.show_subject(subject_of(self.scene, self.subject_pane()))

    def subject_pane(self) -> Pane:
        """The pane whose line the detail is about: the focused one, else the tape."""
        focused = self.focused
        if isinstance(focused, Pane) and focused not in (self.detail, self.crash):
            return focused
        return self.tape

    # --- layout -------------------------------------------------------------------------------------------------

    def place_panes(self, **changes: object) -> None:
        """Places the panes anew."""
        self.wish = replace(self.wish, **changes)  # type: ignore[arg-type]
        self.body.planned.wish = self.wish
        self.crash.compact = self.size_class is Width.NARROW and not self.wish.crash_open and self.wish.zoom != "crash"
        tiny = self.size_class is Width.TINY
        self.strip.too_small = f"{self.size.width}x{self.size.height}" if tiny else ""
        self.strip.refresh(layout=True)
        self.show_keys()

    def _arrange_crash(self) -> None:
        lines = self.crash.lines_needed(self.size.width)
        if lines != self.wish.crash_lines:
            self.place_panes(crash_lines=lines)

    @property
    def size_class(self) -> Width:
        return width_class(self.size.width, self.size.height)

    def on_resize(self) -> None:
        if not self.composed:
            return
        self.wish = replace(self.wish, crash_lines=self.crash.lines_needed(self.size.width))
        self.place_panes()

    def on_descendant_focus(self) -> None:
        if not self.composed:
            return
        focused = self.focused
        opened = focused is self.crash
        if opened != self.wish.crash_open:
            self.place_panes(crash_open=opened)
        self.show_keys()
        self._show_detail()

    def show_keys(self) -> None:
        if self.size_class is Width.TINY:
            self.keys.show_keys(())
        name = self.focused.id if self.focused is not None else "runs"
        keys = keys_for(name or "runs", stopped=self.crash.stop is not None)
        self.keys.show_keys(renamed(keys, self.console.keymap))

    # --- messages of the panes ------------------------------------------------------------------------------------

    def on_pane_moved(self, message: Pane.Moved) -> None:
        run = self.runs.run
        if message.pane is self.runs and run is not None and run.id != self.view.run_id:
            self.look(replace(self.view, run_id=run.id, at=None))
        self._show_detail()

    def on_pane_opened(self, message: Pane.Opened) -> None:
        if message.pane is self.runs and self.size_class is Width.NARROW:
            self.show_pane("tape")
        elif message.pane in (self.crash,):
            self.action_arm()
        else:
            self.show_pane("detail", focus=self.size_class is Width.NARROW)

    def on_runs_pane_needed(self, message: RunsPane.Needed) -> None:
        self.look(replace(self.view, first=message.first, last=message.last))

    def on_crash_pane_chosen(self) -> None:
        self._tell_crash()

    def on_crash_pane_armed(self, message: CrashPane.Armed) -> None:
        self.arm(message.point)

    def on_crash_pane_kill_now(self) -> None:
        self.action_kill()

    def on_crash_pane_step_shown(self, message: CrashPane.StepShown) -> None:
        index = self.tape.find_entry(message.entry_id)
        if index is not None:
            if self.size_class is Width.NARROW:
                self.place_panes(lower="tape")
            self.tape.following = False
            self.tape.select(index)

    # --- acts ---------------------------------------------------------------------------------------------------

    def do(self, *wanted: Act | str) -> None:
        """Has acts done; a text says why one cannot be."""
        for act in wanted:
            if isinstance(act, str):
                self.say(act, wrong=True)
            elif self.may_write():
                self.backstage.act(act)

    def on_selected(self, act: Callable[[Scene], Act | str]) -> None:
        """An act upon the selected run: none while the scene still shows the run from which the cursor came."""
        shown, wanted = self.scene.selected, self.view.run_id
        if shown is not None and wanted not in (None, shown.run.id):
            self.say(f"{wanted} is being read: nothing was done; press the key again", wrong=True)
        else:
            self.do(act(self.scene))

    def say(self, text: str, *, wrong: bool = False) -> None:
        self.keys.say(show(text, 300), Ink.WARNING if wrong else Ink.ACCENT)

    def act_done(self, message: ActDone) -> None:
        made = self.made_run(message)
        if made is not None:
            self.wanted_run = made
            self.runs.following = True
            self.look(replace(self.view, run_id=self.wanted_run, at=None))
        self.say(message.text, wrong=not message.ok)

    def ended(self, why: str) -> None:
        self.show(replace(self.scene, phase=Phase.BROKEN, trouble=why))

    def action_kill(self) -> None:
        death = "KILL" if self.crash.stop is not None else self.crash.death
        self.on_selected(lambda scene: acts.kill(scene, death))

    def action_interrupt(self) -> None:
        """Ctrl-C: twice within two seconds kills the agent; it never quits."""
        now = self.clock.boot_us()
        if now - self.last_interrupt_us < TWICE_WITHIN_US:
            self.last_interrupt_us = now - TWICE_WITHIN_US
            self.on_selected(lambda scene: acts.kill(scene, "KILL"))
        else:
            self.last_interrupt_us = now
            self.say("Ctrl-C once more kills the agent of the selected run; q quits")

    def arm(self, point: str) -> None:
        self.do(*acts.toggle(self.crash.armed, point, self.crash.death))

    def action_arm(self) -> None:
        """Space: arms in the crash pane, pauses the view elsewhere."""
        if self.focused is self.crash:
            self.arm(self.crash.point)
        else:
            self.look(replace(self.view, paused=not self.view.paused))

    def action_run_to(self) -> None:
        self.on_selected(lambda scene: acts.run_to(scene, self.crash.point))

    def action_step(self) -> None:
        self.on_selected(acts.step)

    def action_go(self) -> None:
        self.on_selected(acts.go)

    def action_thaw(self) -> None:
        self.do(acts.thaw())

    def action_death(self) -> None:
        self.crash.cycle_death()

    def action_repeat(self) -> None:
        self.on_selected(lambda scene: acts.repeat(scene.selected, self.crash.armed))

    # --- the rest -----------------------------------------------------------------------------------------------

    def remembered(self, *, theme: str) -> Choices:
        return replace(
            self.choices,
            theme=theme,
            filter=self.view.filter,
            sort=self.view.sort,
            run_id=None if self.runs.following else self.view.run_id,
            point=self.crash.point,
            death=self.crash.death,
            lower=self.wish.lower,
            left=self.wish.left,
            weights=dict(self.wish.weights),
            armed=tuple((arm.point.name, str(arm.death), "each") for arm in self.scene.arms if arm.each_run),
        )

    @property
    def console(self) -> Console:
        return cast("Console", self.app)  # pyright: ignore[reportUnknownMemberType]
