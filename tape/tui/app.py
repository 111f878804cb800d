"""The console's application: themes, the main screen, and an end that leaves the terminal as it was."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.driver import Driver

from tape.core.clock import Clock
from tape.tui.backstage import Backstage
from tape.tui.choices import Choices
from tape.tui.inked import InkedApp
from tape.tui.messages import ActDone, Ended, PlayEnded, PlayTold, ProofEnded, ProofTold, Said, SceneReady
from tape.tui.report import write_report
from tape.tui.scene import Scene
from tape.tui.screens.main import MainScreen
from tape.tui.themes import DARK, THEMES


def palette() -> type[Provider]:
    """What the palette offers; imported when it is opened."""
    from tape.tui.palette import Commands

    return Commands


class Console(InkedApp):
    """`tape dev`'s screen. All that it knows of the world comes as scenes; all that it does goes to `backstage`."""

    CSS_PATH = "tape.tcss"
    TITLE = "tape dev"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {palette}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "leave", "quit", show=False, priority=True, id="quit-now"),
        Binding("ctrl+p", "command_palette", "every act, run and theme", show=False, priority=True, id="palette"),
    ]

    def __init__(
        self,
        backstage: Backstage,
        clock: Clock,
        scene: Scene,
        *,
        choices: Choices | None = None,
        keep: Callable[[Choices], None] = lambda choices: None,
        export_folder: Path | None = None,
        ascii: bool = False,
        keymap: dict[str, str] | None = None,
    ) -> None:
        # Without colours the terminal's own are left, with bold, dim and reverse: made greys may be unreadable on it.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.backstage = backstage
        self.clock = clock
        self.first_scene = scene
        self.choices = choices or Choices()
        self.keep = keep
        self.export_folder = export_folder or Path(".tape") / "exports"
        self.ascii = ascii
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.choices.theme if self.choices.theme in self.available_themes else DARK
        self.keymap = keymap or {}
        self.set_keymap(self.keymap)

    def get_driver_class(self) -> type[Driver]:
        """The platform's, which clears its screen before it leaves it: a terminal that has grown meanwhile may bring
        what was there into the shell's."""
        platform = super().get_driver_class()

        class Tidy(platform):  # type: ignore[misc, valid-type]
            def stop_application_mode(self) -> None:
                self.write("\x1b[2J\x1b[H")
                super().stop_application_mode()

        return Tidy

    def on_mount(self) -> None:
        self.main = MainScreen(self.backstage, self.clock, self.first_scene, self.choices)
        self.push_screen(self.main)
        self.call_after_refresh(self._open)

    def _open(self) -> None:
        """After the first paint: only now is anything heavy imported."""
        self.backstage.start(self.post_message)

    # --- from behind ------------------------------------------------------------------------------------------------

    def on_scene_ready(self, message: SceneReady) -> None:
        self.main.show(message.scene)

    def on_act_done(self, message: ActDone) -> None:
        self.main.act_done(message)

    def on_proof_told(self, message: ProofTold) -> None:
        self.main.proof_told(message)

    def on_proof_ended(self, message: ProofEnded) -> None:
        self.main.proof_ended(message)

    def on_play_told(self, message: PlayTold) -> None:
        self.main.play_told(message)

    def on_play_ended(self, message: PlayEnded) -> None:
        self.main.play_ended(message)

    def on_said(self, message: Said) -> None:
        self.main.say(message.text, wrong=message.wrong)

    def on_ended(self, message: Ended) -> None:
        self.main.ended(message.why)

    # --- the end ----------------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        self.leave(drain=False)

    def leave(self, *, drain: bool, code: int = 0) -> None:
        """Remembers what is to be remembered and ends the screen; the service ends after it."""
        self.keep(self.main.remembered(theme=self.theme))
        self.drain = drain
        self.exit(code)

    drain = False

    def hang_up(self, number: int) -> None:
        """SIGTERM, SIGHUP: the terminal is given back as it was, the exit code says which signal it was."""
        self.leave(drain=False, code=128 + number)

    def _fatal_error(self) -> None:
        """An error of the console's own: told on one line after the end; the traceback goes into a file."""
        self.crashed = sys.exc_info()[1] or self._exception
        self.report = write_report(self.export_folder.parent, self.crashed)
        self._close_messages_no_wait()

    crashed: BaseException | None = None
    report = ""


ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
