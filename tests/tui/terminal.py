"""A terminal in process: the real program on a real pseudo-terminal, its screen as lines of text.

Nothing here sleeps: whatever waits reads the pseudo-terminal until a deadline. Who does not wait does not read, which
is how a terminal stalls.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

DEADLINE_SECONDS = 40.0
QUIET_SECONDS, QUIET_WITHIN_SECONDS = 0.2, 3.0
READ_BYTES = 65_536
KEYS: Mapping[str, str] = {
    "space": " ",
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "backspace": "\x7f",
    "ctrl+c": "\x03",
    "ctrl+q": "\x11",
    "ctrl+p": "\x10",
}
# A whole control sequence, or the beginning of one at the end of what has been read.
_CONTROL = re.compile(
    rb"\x1b\[(?P<csi>[0-?]*[ -/]*[@-~])"
    rb"|\x1b[\]P_X^](?P<string>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    rb"|(?P<open>\x1b(?:\[[0-?]*[ -/]*|[\]P_X^][^\x07\x1b]*\x1b?)?\Z)"
)
_MODE = re.compile(rb"\?([\d;]+)([hl])\Z")
_ANSWERS: Mapping[bytes, bytes] = {
    b"?2026$p": b"\x1b[?2026;2$y",
    b"?2048$p": b"\x1b[?2048;0$y",
    b"c": b"\x1b[?62;22c",
    b"0c": b"\x1b[?62;22c",
    b">c": b"\x1b[>1;10;0c",
    b"5n": b"\x1b[0n",
    b"6n": b"\x1b[1;1R",
}
SYNCHRONIZED, ALTERNATE, CURSOR, PASTE, FOCUS = 2026, 1049, 25, 2004, 1004
MOUSE = (1000, 1003, 1006)


@dataclass(frozen=True)
class Frame:
    """One whole repaint: when its last byte was read (monotonic seconds), and its bytes."""

    at: float
    data: bytes


class Terminal:
    """`command` on a pseudo-terminal of `size` columns and rows, which is its controlling one."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], size: tuple[int, int] = (120, 40)
    ) -> None:
        self.raw = bytearray()
        self.modes: dict[int, bool] = {}
        self.frames: list[Frame] = []
        self.keep_frames = False
        self.draws = True
        self.closed = False
        self._rest = b""
        self._frame = bytearray()
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self.master, slave = os.openpty()
        self._set_size(size)
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "TERM": environment.get("TERM", "xterm-256color"), "COLORTERM": "truecolor"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        os.close(slave)

    # --- what is on screen ----------------------------------------------------------------------------------------

    def screen(self) -> list[str]:
        """The lines as they stand, without trailing blanks."""
        return [line.rstrip() for line in self._screen.display]

    def text(self) -> str:
        return "\n".join(self.screen())

    def line(self, part: str) -> str:
        """The first line on screen that holds `part`. Raises AssertionError if none does."""
        found = next((line for line in self.screen() if part in line), None)
        assert found is not None, self._failure(f"a line with {part!r}")
        return found

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def last_words(self) -> list[str]:
        """The lines printed after the screen was given back (all of them, if it was never taken)."""
        _, _, tail = bytes(self.raw).rpartition(b"\x1b[?1049l")
        return [
            line.strip() for line in _CONTROL.sub(b"", tail).decode("utf-8", "replace").splitlines() if line.strip()
        ]

    # --- waiting --------------------------------------------------------------------------------------------------

    def wait(self, wanted: str | Callable[[str], object], what: str = "", seconds: float = DEADLINE_SECONDS) -> str:
        """Reads until the screen holds `wanted`, or `wanted(text)` is true; looks at whole frames only. Returns the
        text. Raises AssertionError, with the screen, past the deadline or when the program has ended."""
        holds = (lambda text: wanted in text) if isinstance(wanted, str) else wanted
        what = what or (f"{wanted!r} on screen" if isinstance(wanted, str) else "the screen as wanted")
        deadline = time.monotonic() + seconds
        while True:
            if not self.modes.get(SYNCHRONIZED) and holds(text := self.text()):
                return text
            left = deadline - time.monotonic()
            assert left > 0, self._failure(f"not within {seconds:g} s: {what}")
            assert not self.closed, self._failure(f"the program has closed the terminal without {what}")
            self.read(min(left, 0.25))

    def wait_for(self, done: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Reads until something outside the screen is true."""
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, self._failure(f"not within {seconds:g} s: {what}")
            self.read(0.02)

    def end(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Reads to the program's end. Returns its exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self._failure(f"still running after {seconds:g} s")
            self.read(0.05)
        while not self.closed and self.read(0.0):
            pass
        assert self.process.returncode is not None
        return self.process.returncode

    def read(self, seconds: float) -> bool:
        """Takes what comes within `seconds`. Returns whether anything came."""
        if self.closed:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
            return False
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.master, READ_BYTES)
        except OSError:  # EIO: the last of those who held the other side has gone
            data = b""
        if not data:
            self.closed = True
            return False
        self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        self.raw += data
        data = self._rest + data
        done = 0
        for match in _CONTROL.finditer(data):
            if match["open"] is not None:
                break
            self._draw(data[done : match.start()])
            done = match.end()
            if match["csi"] is not None:
                self._control(match["csi"], match[0])
        else:
            self._draw(data[done:])
            self._rest = b""
            return
        self._draw(data[done : match.start()])
        self._rest = data[match.start() :]

    def _draw(self, data: bytes) -> None:
        if not data:
            return
        if self.keep_frames:
            self._frame += data
        if self.draws:
            self._stream.feed(data)

    def _control(self, body: bytes, whole: bytes) -> None:
        if body in _ANSWERS:
            self.write(_ANSWERS[body])
        elif mode := _MODE.match(body):
            for number in mode[1].split(b";"):
                self.modes[int(number)] = mode[2] == b"h"
            if body == b"?2026l":
                if self.keep_frames:
                    self.frames.append(Frame(time.monotonic(), bytes(self._frame)))
                self._frame.clear()
        elif body[:1] not in b"<=>?" and b"$" not in body:
            self._draw(whole)

    def _failure(self, what: str) -> str:
        code = self.process.poll()
        state = "running" if code is None else f"ended with {code}"
        edge = "-" * self._screen.columns
        return f"{what}\n{edge}\n{self.text()}\n{edge}\nprogram {state}; last bytes {bytes(self.raw[-200:])!r}"

    # --- what a person does ---------------------------------------------------------------------------------------

    def keys(self, *keys: str) -> None:
        """Names from `KEYS`, or the characters themselves."""
        self.write("".join(KEYS.get(key, key) for key in keys).encode())

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.master, data) :]

    def click(self, text: str) -> None:
        """Left button, down and up, in the middle of the first place on screen where `text` stands, once the screen is
        quiet: a pane that is about to grow would move it away."""
        patience = time.monotonic() + QUIET_WITHIN_SECONDS
        while self.read(QUIET_SECONDS) and time.monotonic() < patience:
            pass
        for row, line in enumerate(self._screen.display, start=1):
            if (at := line.find(text)) >= 0:
                column = at + 1 + len(text) // 2
                self.write(f"\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m".encode())
                return
        raise AssertionError(self._failure(f"{text!r} is not there to be clicked"))

    def resize(self, columns: int, rows: int) -> None:
        """The kernel tells the program by SIGWINCH."""
        self._screen.resize(rows, columns)
        self._set_size((columns, rows))

    def _set_size(self, size: tuple[int, int]) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """The window is closed: the kernel sends SIGHUP, and nothing can be written any more."""
        os.close(self.master)
        self.closed, self.master = True, -1

    def close(self) -> None:
        """Ends the program if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.end(15)
            except AssertionError:
                self.process.kill()
                self.process.wait()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


def _own_terminal() -> None:
    """In the child, which leads a session of its own: standard input becomes the controlling terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
