"""Scenarios: `W` writes the selected run down as one, `p` lists them, and a child process plays them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

from tape.core.kernel.errors import TapeError, one_line
from tape.tui.acts import NO_RUN
from tape.tui.messages import PlayEnded, PlayTold, PlayWanted
from tape.tui.play_state import PlayState, begun, ended, listed, stopping, summary_text, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tape.tui.screens.main import MainScreen
    from tape.tui.screens.scenarios import ScenariosScreen


class Plays:
    """Part of the main screen. One play at a time; what an earlier one still says is not listened to."""

    plays = PlayState()
    scenarios: ScenariosScreen | None = None
    _play_number = 0

    @property
    def _main(self) -> MainScreen:
        return cast("MainScreen", self)

    # --- recording ------------------------------------------------------------------------------------------------

    def action_record(self) -> None:
        run = self._main.selected_run()
        if run is None:
            self._main.say(NO_RUN, wrong=True)
        else:
            self._main.run_worker(self._record(run.id), name="record", group="record", exclusive=True)

    async def _record(self, run_id: str) -> None:
        """Off the screen's thread: a run may have many entries. Who has opened something else meanwhile is not
        disturbed."""
        from tape.tui.scenario_files import draft, file_for, write_new
        from tape.tui.screens.record import RecordScreen

        main = self._main
        config = main.backstage.config
        try:
            text = await asyncio.to_thread(draft, config, run_id)
        except TapeError as error:
            main.say(one_line(error), wrong=True)
            return
        if main.console.screen is main:
            write = partial(write_new, config.root, text=text)
            main.ask(RecordScreen(run_id, text, file_for(run_id), write), self._recorded)

    def _recorded(self, file: str) -> None:
        self._main.say(f"written: {file}; p plays it")

    # --- playing --------------------------------------------------------------------------------------------------

    def action_scenarios(self) -> None:
        from tape.tui.screens.scenarios import ScenariosScreen

        main = self._main
        if self.scenarios is None:
            self.scenarios = ScenariosScreen(
                self.plays,
                main.backstage.config.root,
                read=self.read_scenarios,
                play=self.play,
                stop=self._stop_play,
                plain_glyphs=main.console.ascii,
            )
            main.console.push_screen(self.scenarios, self._scenarios_left)

    def _scenarios_left(self, nothing: None) -> None:
        del nothing
        self.scenarios = None

    async def read_scenarios(self) -> None:
        """Reads the files off the screen's thread. Raises TapeError."""
        from tape.tui.scenario_files import list_scenarios

        files = await asyncio.to_thread(list_scenarios, self._main.backstage.config.root)
        self.plays = listed(self.plays, files)
        self._show_play()

    def play(self, files: Sequence[str]) -> None:
        self._play_number += 1
        self.plays = begun(self.plays, files)
        self._main.backstage.play(PlayWanted(self._play_number, tuple(files)))
        self._show_play()

    def _stop_play(self) -> None:
        self.plays = stopping(self.plays)
        self._main.backstage.stop_play()
        self._show_play()

    def play_told(self, message: PlayTold) -> None:
        if message.number == self._play_number and self.plays.under_way:
            self.plays = take(self.plays, message.line)
            if self.plays.error:
                self._main.backstage.stop_play()
            self._show_play()

    def play_ended(self, message: PlayEnded) -> None:
        if message.number == self._play_number:
            self.plays = ended(self.plays, message.code, message.last_words)
            self._show_play()
            self._main.say(f"{summary_text(self.plays)}; p shows it", wrong=not self.plays.holds)

    def _show_play(self) -> None:
        if self.scenarios is not None:
            self.scenarios.show(self.plays)
