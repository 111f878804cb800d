"""Help, the tour, comparing, copying, exporting: what looks at things from outside the panes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.binding import Binding

from tape.core.text import show
from tape.tui.export import file_name, for_clipboard, run_value, subject_text, subject_value, write_new
from tape.tui.json_rows import json_text
from tape.tui.keymap import keys_file
from tape.tui.panes.crash import CrashPane
from tape.tui.panes.detail import Subject
from tape.tui.plan import LEAST_HEIGHT, LEAST_WIDTH, Width
from tape.tui.scene import Phase, Scene
from tape.tui.tour_steps import POINT

if TYPE_CHECKING:
    from tape.tui.screens.compare import CompareScreen
    from tape.tui.screens.exporting import What
    from tape.tui.screens.help import Wanted
    from tape.tui.screens.main import MainScreen
    from tape.tui.screens.tour import TourPanel

OFFER = "new here? ? and then t: in five minutes you kill an agent and see why the bank pays once"


class Helping:
    """Part of the main screen."""

    touring: TourPanel | None = None
    comparing: CompareScreen | None = None
    marked: str | None = None
    offered = False

    @property
    def _main(self) -> MainScreen:
        return cast("MainScreen", self)

    def watch_scene(self, scene: Scene) -> None:
        """Each scene, after the panes have it."""
        if self.touring is not None:
            self.touring.see(scene)
        if self.comparing is not None:
            self.comparing.show(scene)
        if not self.offered and scene.phase is Phase.LIVE:
            self.offered = True
            if not self._main.choices.toured and not scene.strip.total:
                self._main.say(OFFER)

    # --- help and the tour ----------------------------------------------------------------------------------------

    def action_help(self) -> None:
        from tape.tui.screens.help import HelpScreen, acts_of

        main = self._main
        where = getattr(main.focused, "name_shown", "") or "here"
        path = str(keys_file(os.environ, Path.home()))
        screen = HelpScreen(acts_of(main), f"{where} pane", show(path, 200), plain_glyphs=main.console.ascii)
        main.console.push_screen(screen, self._helped)

    def _helped(self, wanted: Wanted | None) -> None:
        if wanted is not None:
            self.start_tour()

    def start_tour(self) -> None:
        """Puts the panel under the panes; one that is there begins anew."""
        from tape.tui.screens.help import acts_of
        from tape.tui.screens.tour import TourPanel

        main = self._main
        if main.size.height <= LEAST_HEIGHT or main.size_class is Width.TINY:
            main.say(f"the tour needs a terminal of {LEAST_WIDTH} by {LEAST_HEIGHT + 1}", wrong=True)
            return
        if self.touring is not None:
            self.touring.remove()
        main.choices = replace(main.choices, toured=True)
        main.crash.death = "KILL"
        main.crash.choose_point(POINT)
        main.set_focus(main.runs)
        keys = _own_keys(main.crash, main.console.keymap) | {act.id: act.keys[0] for act in acts_of(main)}
        self.touring = TourPanel(main.scene, keys, id="tour")
        self.touring.plain_glyphs = main.console.ascii
        self.touring.fit_height(main.size.height)
        main.mount(self.touring)

    def on_resize(self) -> None:
        if self.touring is not None:
            self.touring.fit_height(self._main.size.height)

    def on_crash_pane_step_shown(self, message: CrashPane.StepShown) -> None:
        del message
        if self.touring is not None:
            self.touring.verdict_stepped()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The tour takes enter and esc only while it is there, and only where nothing else waits for them."""
        if self._main.composed and self._main.size_class is Width.TINY and action not in ("quit", "interrupt"):
            return False  # what cannot be seen is not done
        if action in ("tour_next", "tour_leave"):
            return self.touring is not None and self._tour_may(action)
        return super().check_action(action, parameters)  # type: ignore[misc]

    def _tour_may(self, action: str) -> bool:
        main = self._main
        if main.focused is not None and main.focused.id == "filter":
            return False
        return action == "tour_next" or (main.view.at is None and main.wish.zoom is None)

    def action_tour_next(self) -> None:
        if self.touring is not None and not self.touring.skip():
            self.action_tour_leave()

    def action_tour_leave(self) -> None:
        if self.touring is not None:
            self.touring.remove()
            self.touring = None
            self._main.say("? has the tour again")

    # --- comparing ------------------------------------------------------------------------------------------------

    def action_compare(self) -> None:
        """Marks the selected run; on another one opens both tapes."""
        main, run = self._main, self._main.runs.run
        if run is None:
            main.say("select a run first", wrong=True)
        elif self.marked is None:
            self.marked = run.id
            main.say(f"{run.id} is one side; select another run and press the key again")
        elif self.marked == run.id:
            self.marked = None
            main.say(f"{run.id} is no longer one side")
        else:
            self._compare(self.marked, run.id)

    def _compare(self, left: str, right: str) -> None:
        from tape.tui.screens.compare import CompareScreen

        main = self._main
        self.marked = None
        main.runs.following = False
        main.look(replace(main.view, run_id=right, other=left, at=None))
        self.comparing = CompareScreen(left, right, main.scene, plain_glyphs=main.console.ascii)
        main.console.push_screen(self.comparing, self._compared)

    def _compared(self, nothing: None) -> None:
        del nothing
        self.comparing = None
        self._main.look(replace(self._main.view, other=None))

    # --- copying and exporting --------------------------------------------------------------------------------------

    def action_copy(self) -> None:
        main = self._main
        text = self._text()
        if not text:
            main.say("nothing is selected", wrong=True)
            return
        sent, told = for_clipboard(text)
        main.console.copy_to_clipboard(sent)
        main.say(told)

    def _text(self) -> str:
        """What the detail shows; in the crash pane its sentences."""
        main = self._main
        if main.focused is main.crash:
            crash = main.crash
            parts = (f"{crash.point}: {crash.expects}", crash.told, crash.counterfactual)
            return "\n".join(part for part in parts if part)
        subject = main.detail.subject
        return subject_text(subject) if subject is not None else ""

    def action_export(self) -> None:
        from tape.tui.screens.exporting import ExportScreen

        main = self._main
        subject, selected = main.detail.subject, main.scene.selected
        screen = ExportScreen(
            show(subject.name, 50) if subject else None,
            show(selected.run.id, 20) if selected else None,
            show(str(main.console.export_folder), 200),
        )
        main.console.push_screen(screen, self._export)

    def _export(self, what: What | None) -> None:
        from tape.tui.screens.exporting import What

        main = self._main
        selected, subject = main.scene.selected, main.detail.subject
        run_id = selected.run.id if selected is not None else ""
        if what is What.RECORD and subject is not None:
            self._write(_named(run_id, subject), ".json", lambda: json_text(subject_value(subject)))
        elif what is What.RUN and selected is not None:
            self._write(run_id, ".json", lambda: json_text(run_value(selected)))
        elif what is What.SCREEN:
            main.call_after_refresh(self._export_screen)

    def _export_screen(self) -> None:
        """After the dialog is gone."""
        svg = self._main.console.export_screenshot()
        self._write("screen", ".svg", lambda: svg)

    def _write(self, what: str, suffix: str, make: Callable[[], str]) -> None:
        main = self._main
        folder, name = main.console.export_folder, file_name(what, main.clock.wall_us())

        def write() -> Path:
            return write_new(folder, name, suffix, (make(), "\n"))

        async def work() -> None:
            try:
                path = await asyncio.to_thread(write)
            except (OSError, ValueError, RecursionError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                main.say(f"not written: {reason} ({folder})", wrong=True)
            else:
                main.say(f"written: {path}")

        main.run_worker(work(), name="export")

    # --- from the palette -------------------------------------------------------------------------------------------

    def go_to_run(self, run_id: str, number: int) -> None:
        main = self._main
        main.runs.following = False
        main.runs.select_run(number)
        main.look(replace(main.view, run_id=run_id, at=None))


def _named(run_id: str, subject: Subject) -> str:
    return subject.name if subject.name.startswith(run_id) else f"{run_id}-{subject.name}"


def _own_keys(crash: CrashPane, keymap: Mapping[str, str]) -> dict[str, str]:
    """The crash pane's own keys, which hold when the focus is there."""
    own = [binding for binding in crash.BINDINGS if isinstance(binding, Binding) and binding.id]
    return {str(one.id): keymap.get(str(one.id), one.key).split(",")[0] for one in own}
