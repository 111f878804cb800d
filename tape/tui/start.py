"""`tape dev` with a screen: checks, the app, an end that leaves the terminal as it was. Light until the first paint."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from tape.core.clock import Clock, SystemClock
from tape.core.config import Config
from tape.core.kernel.errors import EnvironmentTrouble, ServerUnavailable, UsageError
from tape.core.server.orders import Lock
from tape.tui.app import ENDING_SIGNALS, Console
from tape.tui.choices import Choices
from tape.tui.keymap import keys_file, read_keymap
from tape.tui.live import Live, is_imported
from tape.tui.memory import keep, recall
from tape.tui.scene import Scene, Strip, View

GIVE_UP_SECONDS = 4.0
FIXED_SIZE = ("COLUMNS", "LINES")
"""Some shells and tools export these; the toolkit would then believe them for ever, whatever the window does."""


def check_terminal(environ: Mapping[str, str]) -> None:
    """Raises UsageError where no screen can be drawn."""
    streams = (sys.__stdin__, sys.__stderr__)
    if environ.get("TERM") == "dumb":
        raise UsageError("the console cannot draw on a terminal of the kind TERM=dumb: add --headless, or set TERM")
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise UsageError("the console needs a terminal on standard input and standard error: add --headless")


def run_console(config: Config, *, fresh: bool = False, ascii: bool = False, mouse: bool = True) -> int:
    """Runs the console to its end. Returns the exit code; raises TapeError for what keeps it from starting."""
    check_terminal(os.environ)
    for name in FIXED_SIZE:
        os.environ.pop(name, None)
    clock = SystemClock()
    keymap = read_keymap(keys_file(os.environ, Path.home()))
    if not is_imported(config):
        _check_lock(config, clock)
    folder = config.journal.parent
    choices = Choices() if fresh else recall(folder)
    view = View(run_id=choices.run_id, filter=choices.filter, sort=choices.sort)
    scene = Scene(
        view,
        Strip(config.name, _journal_name(config)),
        now_us=clock.wall_us(),
        boot_us=clock.boot_us(),
        agents=tuple(config.agents),
        honours_key=_honours_key(config),
    )
    live = Live(config, clock, scene, choices)
    app = Console(
        live, clock, scene, choices=choices, keep=lambda kept: keep(folder, kept), export_folder=folder / "exports",
        ascii=ascii, keymap=keymap,
    )  # fmt: skip
    _take_signals(app)
    code = app.run(mouse=mouse)
    live.stop(drain=app.drain)
    if live.start_error is not None:
        raise live.start_error
    if app.crashed is not None:
        raise EnvironmentTrouble(f"the console failed ({type(app.crashed).__name__}: {app.crashed}); {app.report}")
    return code if code is not None else app.return_code or 0


def _check_lock(config: Config, clock: Clock) -> None:
    """Another server's journal is refused before the screen opens."""
    lock = Lock(config.journal)
    if not lock.take_patiently(clock):
        raise ServerUnavailable(
            f"another server (pid {lock.holder()}) holds {config.journal}: stop it first, "
            "or look at it with `tape status --follow`"
        )
    lock.release()


def _journal_name(config: Config) -> str:
    if config.journal.is_relative_to(config.root):
        return str(config.journal.relative_to(config.root))
    return str(config.journal)


def _honours_key(config: Config) -> bool | None:
    """Whether the stand-in honours idempotency keys; None if there is none, or several that differ."""
    found = {bool(options.get("honours_key", False)) for options in config.upstream.values()}
    return found.pop() if len(found) == 1 else None


def _take_signals(app: Console) -> None:
    """SIGTERM and SIGHUP end the console in order. A terminal that takes nothing any more does not hold the end up:
    then the process ends hard, its agents with it, and the next start takes up what is open."""
    modes = _terminal_modes()

    def give_up(number: int) -> None:
        if modes is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSANOW, modes)
        os._exit(128 + number)

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        loop: asyncio.AbstractEventLoop | None = getattr(app, "_loop", None)
        watchdog = threading.Timer(GIVE_UP_SECONDS, give_up, (number,))
        watchdog.daemon = True
        watchdog.start()
        if loop is not None:
            loop.call_soon_threadsafe(app.hang_up, number)
        else:
            give_up(number)

    for number in ENDING_SIGNALS:
        signal.signal(number, on_signal)


def _terminal_modes() -> list[Any] | None:
    """The terminal's modes as they are before the screen opens."""
    try:
        return termios.tcgetattr(0)
    except termios.error:
        return None
