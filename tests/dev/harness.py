"""A fresh project, the real `tape` command in real processes, and the ledger read without Tape's help.

Nothing here sleeps for a fixed time: everything waits for a line, a file, a status or a death, with a deadline.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tape.core.journal.shapes import RunView
from tape.core.journal.views import JournalMissing, open_reader
from tape.core.scaffold.scaffold import create_project

DEADLINE_SECONDS = 30.0
TAPE = (sys.executable, "-c", "import sys; from tape.cli import main; sys.exit(main())")
TEN_LINES = (Path(__file__).parent / "ten_lines.txt").read_text("utf-8")

HOLD = """
def hold(place):
    import pathlib, time
    folder = pathlib.Path(__file__).parents[1]
    (folder / f"at-{place}").write_text(str(os.getpid()))
    while (folder / f"hold-{place}").exists():
        time.sleep(0.005)
"""


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without what a test runner or a server put there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TAPE_", "COV_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **more}


def wait_until(done: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Returns when `done` is true. Raises AssertionError past the deadline."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.005)


def masked(text: str) -> str:
    """A transcript without what differs from run to run: pids and run ids."""
    return re.sub(r"\br-[0-9a-z]{12}\b", "r-...", re.sub(r"\(pid \d+\)", "(pid 12345)", text))


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of standard error that says what is wrong; nothing else is said, and there is no traceback."""
    assert "Traceback" not in done.stderr, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("tape: "), done.stderr
    return lines[0]


def processes_of(folder: Path) -> dict[int, str]:
    """Living agent processes and stand-ins of the project in `folder`, with their command lines."""
    mine = f"TAPE_PROJECT={folder}".encode()
    ledgers = f"{folder}/".encode()
    found: dict[int, str] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            environment = Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            command = Path(f"/proc/{name}/cmdline").read_bytes()
            state = Path(f"/proc/{name}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX" and (mine in environment or (b"tape.lab.upstream" in command and ledgers in command)):
            found[int(name)] = command.replace(b"\0", b" ").decode("utf-8", "replace")
    return found


class Project:
    """A scaffolded project on its own, and the commands run in it."""

    def __init__(
        self,
        parent: Path,
        name: str = "treasury",
        environment: Mapping[str, str] | None = None,
        template: str = "plain",
    ) -> None:
        self.folder = create_project(name, parent, template).resolve()
        self.environment = clean_environment(**(environment or {}))
        self.servers: list[Server] = []

    @property
    def agent_file(self) -> Path:
        return self.folder / "app" / "agent.py"

    def edit(self, file: str, *changes: tuple[str, str]) -> None:
        """Replaces texts in one of the project's files; each must be there once."""
        path = self.folder / file
        text = path.read_text("utf-8")
        for old, new in changes:
            assert text.count(old) == 1, (file, old)
            text = text.replace(old, new)
        path.write_text(text, "utf-8")

    def hold_at(self, *places: str) -> None:
        """Makes the tool stop where a file says so: `before` the bank is asked, or when it has `acted`."""
        self.edit(
            "app/agent.py",
            ("# --- the tool:", HOLD + "\n\n# --- the tool:"),
            ("    wire = bank(", '    hold("before")\n    wire = bank('),
            ("\n    return receipt(wire[", '\n    hold("acted")\n    return receipt(wire['),
        )
        for place in places:
            (self.folder / f"hold-{place}").touch()

    def await_place(self, place: str) -> None:
        wait_until((self.folder / f"at-{place}").exists, f"the tool is at {place!r}")

    def go_on(self, place: str) -> None:
        (self.folder / f"hold-{place}").unlink()

    def tape(self, *arguments: str, seconds: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        return subprocess.run(
            [*TAPE, *arguments],
            cwd=self.folder,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def server(self, *arguments: str, ready: bool = True) -> Server:
        """`tape dev --headless` (or what `arguments` say) in the background."""
        server = Server(self, arguments or ("dev", "--headless"))
        self.servers.append(server)
        if ready:
            server.await_line(r"^ready;")
        return server

    def start_run(self, task: str = "pay invoice 8") -> str:
        done = self.tape("run", "--input", json.dumps(task))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def wires(self) -> list[str]:
        """The keys of the wires that the bank made, from its own ledger."""
        ledger = self.folder / ".tape" / "bank.jsonl"
        lines = ledger.read_text("utf-8").splitlines() if ledger.exists() else []
        acts = [json.loads(line) for line in lines]
        return [act["key"] for act in acts if act["event"] == "act"]

    def runs(self) -> list[RunView]:
        try:
            with open_reader(self.folder / ".tape" / "dev.db") as reader:
                return reader.runs()
        except JournalMissing:
            return []

    def run(self, run_id: str) -> RunView:
        return next(run for run in self.runs() if run.id == run_id)

    def await_status(self, run_id: str, status: str = "TERMINAL") -> RunView:
        wait_until(lambda: self.run(run_id).status == status, f"{run_id} is {status}")
        return self.run(run_id)

    def kinds(self, run_id: str) -> list[str]:
        """The kinds of a run's entries, in order."""
        with open_reader(self.folder / ".tape" / "dev.db") as reader:
            return [entry.event.kind for entry in reader.entries(run_id=run_id)]

    def close(self) -> None:
        for server in self.servers:
            server.close()


class Server:
    """A `tape` command that runs on: its lines as they come, its signals, its end."""

    def __init__(self, project: Project, arguments: Sequence[str]) -> None:
        self.project = project
        self.out: list[str] = []
        self.err: list[str] = []
        self.process = subprocess.Popen(
            [*TAPE, *arguments],
            cwd=project.folder,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: object, lines: list[str]) -> None:
        for line in stream:  # type: ignore[attr-defined]
            lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    def await_line(self, pattern: str, *, count: int = 1, seconds: float = DEADLINE_SECONDS) -> str:
        """The count-th line, of either stream, that matches. Raises AssertionError past the deadline."""

        def found() -> list[str]:
            return [line for line in [*self.err, *self.out] if re.search(pattern, line)]

        def done() -> bool:
            ended = self.process.poll() is not None
            if ended:
                self._join()
            return len(found()) >= count or ended

        wait_until(done, f"a line that matches {pattern!r}; said: {self.err[-5:]} {self.out[-5:]}", seconds)
        assert len(found()) >= count, f"ended with {self.process.returncode} without {pattern!r}: {self.err}"
        return found()[count - 1]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = DEADLINE_SECONDS) -> int:
        code = self.process.wait(seconds)
        self._join()
        return code

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(5)

    def kill(self) -> None:
        """SIGKILL: the server itself dies, without a word."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self._join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
