"""`tape prove` and `tape scenario run` as child processes of the console: their lines come as messages, and they end
with the console.

They run agents, stand-ins and journals of their own. None of that may be in the console's process, which has to stay
fluid.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from textual.message import Message

from tape.core.kernel.errors import EnvironmentTrouble, one_line
from tape.tui.backstage import Post
from tape.tui.messages import PlayEnded, PlayTold, PlayWanted, ProofEnded, ProofTold, ProofWanted

OBEYS_SECONDS = 3.0
"""For how long a child that is told to stop may take to end its own processes; then it is killed."""
_CHILD = """
import ctypes, os, signal, sys
console = int(sys.argv.pop(1))
signal.signal(signal.SIGTERM, signal.default_int_handler)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != console:
    sys.exit(143)
sys.argv[0] = "tape"
from tape.cli import main
sys.exit(main())
"""
"""The command line as if Ctrl-C were SIGTERM, so that it cleans up; and behind a line to the kernel: when the console
dies, however it dies, this ends. (1 is PR_SET_PDEATHSIG; the console may be gone before it is set.)"""


def child_command(*arguments: str) -> list[str]:
    """The command line with these arguments, as a child. `-P` keeps a project's own files from standing in for
    modules."""
    return [sys.executable, "-P", "-c", _CHILD, str(os.getpid()), *arguments]


def prove_command(wanted: ProofWanted) -> list[str]:
    command = child_command("prove", "--events", "--keep", "all")
    if wanted.pairs:
        command.append("--pairs")
    if wanted.value is not None:
        command += ["--input", json.dumps(wanted.value)]
    return [*command, *(["--", wanted.agent] if wanted.agent is not None else [])]


def play_command(wanted: PlayWanted) -> list[str]:
    return child_command("scenario", "run", "--events", "--keep", "all", "--", *wanted.files)


class Proving:
    """One child. `told` for each line, then one `ended`; both carry `number`."""

    says = "tape prove"
    told: Callable[[int, str], Message] = ProofTold
    ended: Callable[[int, int, str], Message] = ProofEnded

    def __init__(self, number: int, command: Sequence[str], folder: Path, post: Post) -> None:
        self._number = number
        self._command = list(command)
        self._folder = folder
        self._post = post
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._lock = threading.Lock()
        # The kernel ends the child when the thread that started it ends, so it is started where its end is waited for.
        self._thread = threading.Thread(target=self._run, name=self.says, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Asks it to end; one that does not obey is killed. Returns at once."""
        with self._lock:
            first, self._stopping = not self._stopping, True
            process = self._process
        if first and process is not None:
            self._terminate(process)

    def join(self) -> None:
        """Returns when the process is gone."""
        if self._thread.ident is not None:
            self._thread.join()

    def _terminate(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        killer = threading.Timer(OBEYS_SECONDS, process.kill)
        killer.daemon = True
        killer.start()

    # --- its own thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            trouble = EnvironmentTrouble(f"`{self.says}` cannot be started: {error.strerror}")
            self._post(self.ended(self._number, 127, one_line(trouble)))
            return
        with self._lock:
            self._process = process
            stopping = self._stopping
        if stopping:
            self._terminate(process)
        last_words: deque[str] = deque(maxlen=1)
        ear = threading.Thread(target=_hear, args=(process, last_words), name=f"{self.says} errors", daemon=True)
        ear.start()
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._post(self.told(self._number, line.decode("utf-8", "replace").rstrip("\n")))
        code = process.wait()
        ear.join(OBEYS_SECONDS)  # what the child has left behind may hold its standard error open
        self._post(self.ended(self._number, code, last_words[0] if last_words else ""))


class Playing(Proving):
    """The same for scenario files."""

    says = "tape scenario run"
    told = PlayTold
    ended = PlayEnded


def _hear(process: subprocess.Popen[bytes], last_words: deque[str]) -> None:
    """Reads standard error to its end, so that nobody waits for room in it, and keeps its last line."""
    assert process.stderr is not None
    with contextlib.suppress(ValueError), process.stderr as lines:
        for line in lines:
            if text := line.decode("utf-8", "replace").strip():
                last_words.append(text)
