"""`tape prove` as a child process of the console: its lines come as messages, and it ends with the console.

The proof runs agents, stand-ins and journals of its own. None of that may be in the console's process, which has to
stay fluid.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from tape.core.kernel.errors import EnvironmentTrouble, one_line
from tape.tui.backstage import Post
from tape.tui.messages import ProofEnded, ProofTold, ProofWanted

OBEYS_SECONDS = 3.0
"""For how long a proof that is told to stop may take to end its own processes; then it is killed."""
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


def prove_command(wanted: ProofWanted) -> list[str]:
    """The child's command. `-P` keeps a project's own files from standing in for modules."""
    command = [sys.executable, "-P", "-c", _CHILD, str(os.getpid()), "prove", "--events", "--keep", "all"]
    if wanted.pairs:
        command.append("--pairs")
    if wanted.value is not None:
        command += ["--input", json.dumps(wanted.value)]
    return [*command, *(["--", wanted.agent] if wanted.agent is not None else [])]


class Proving:
    """One proof. `ProofTold` for each line, then one `ProofEnded`; both carry `number`."""

    def __init__(self, number: int, command: Sequence[str], folder: Path, post: Post) -> None:
        self._number = number
        self._command = list(command)
        self._folder = folder
        self._post = post
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._lock = threading.Lock()
        # The kernel ends the child when the thread that started it ends, so it is started where its end is waited for.
        self._thread = threading.Thread(target=self._run, name="proof", daemon=True)

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
            trouble = EnvironmentTrouble(f"`tape prove` cannot be started: {error.strerror}")
            self._post(ProofEnded(self._number, 127, one_line(trouble)))
            return
        with self._lock:
            self._process = process
            stopping = self._stopping
        if stopping:
            self._terminate(process)
        last_words: deque[str] = deque(maxlen=1)
        ear = threading.Thread(target=_hear, args=(process, last_words), name="proof errors", daemon=True)
        ear.start()
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._post(ProofTold(self._number, line.decode("utf-8", "replace").rstrip("\n")))
        code = process.wait()
        ear.join(OBEYS_SECONDS)  # what the child has left behind may hold its standard error open
        self._post(ProofEnded(self._number, code, last_words[0] if last_words else ""))


def _hear(process: subprocess.Popen[bytes], last_words: deque[str]) -> None:
    """Reads standard error to its end, so that nobody waits for room in it, and keeps its last line."""
    assert process.stderr is not None
    with contextlib.suppress(ValueError), process.stderr as lines:
        for line in lines:
            if text := line.decode("utf-8", "replace").strip():
                last_words.append(text)
