"""The pages of the documentation, their fenced blocks, and the commands in them run for real.

A `console` block holds commands (`$ ...`) and what they print. A command that goes on (`tape dev`, `tape server`,
`--follow`) runs in the background from then on; what stands under it must come, in this order, by the end of the page.
A line `...` stands for lines that are left out. Ids, pids, times, ports, hosts and folders are masked on both sides.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.dev.harness import clean_environment, wait_until

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs" / "guide").glob("*.md")),
    *sorted((ROOT / "docs" / "reference").glob("*.md")),
]
LEFT_OUT = "..."
MEANS = {  # what the Makefile does, without its environment
    "make demo": "tape init treasury >init.log && cd treasury && tape dev --kill-resume-demo",
}
GOES_ON = re.compile(r"^tape (dev|server)( --headless)?$|--follow")


@dataclass
class Block:
    """A fenced block: its language, its words behind the language, its lines; `first` is its first line's number."""

    language: str
    words: tuple[str, ...]
    lines: list[str]
    first: int

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def blocks(page: Path, language: str) -> list[Block]:
    found: list[Block] = []
    open_block: Block | None = None
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if line.startswith("```"):
            if open_block is None:
                name, *words = line[3:].split() or [""]
                open_block = Block(name, tuple(words), [], number + 1)
            else:
                found.append(open_block)
                open_block = None
        elif open_block is not None:
            open_block.lines.append(line)
    assert open_block is None, f"{page.name}: a block is not closed"
    return [block for block in found if block.language == language]


def python_of(page: Path) -> str:
    """All Python of a page as one module, at the line numbers that it has in the page."""
    lines: list[str] = []
    for block in blocks(page, "python"):
        lines += [""] * (block.first - 1 - len(lines)) + block.lines
    return "".join(f"{line}\n" for line in lines)


# --- commands -----------------------------------------------------------------------------------------------------


@dataclass
class Command:
    """One `$ ...` of a page, and the lines that stand under it. `^C` is Ctrl-C for what was started last."""

    text: str
    shown: list[str] = field(default_factory=list)
    number: int = 0


def commands(page: Path) -> list[Command]:
    """A comment such as `# shell 2` names a shell; lines in a block of its own belong to that shell's last command."""
    found: list[Command] = []
    last: dict[str, Command] = {}
    for block in blocks(page, "console"):
        shell = block.lines[0] if block.lines[0].startswith("# ") else ""
        for at, line in enumerate(block.lines):
            if line.startswith("$ ") or line == "^C":
                last[shell] = Command(line.removeprefix("$ "), number=block.first + at)
                found.append(last[shell])
            elif not line.startswith("# "):
                last[shell].shown.append(line)
    return found


_MASKS = [
    (r"\br-[0-9a-z]{12}\b", "r-..."),
    (r"\bpid \d+", "pid N"),
    (r"\b\d+#(\d+)\b", r"N#\1"),
    (r"\bw\d+(?=[ ,#]|$)", "wN"),
    (r"\b(reconciler|outbox|compensation) \d+", r"\1 N"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "TIME"),
    (r"\d\d:\d\d:\d\d\.\d+Z", "TIME"),
    (r"\bafter \d+(\.\d+)? m?s\b", "after N ms"),
    (r"\b(recovered in|within) \d+(\.\d+)? m?s\b", r"\1 N ms"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\b\S+@\S+", "WHO"),
    (r"\bpid N on \S+", "pid N on HOST"),
    (r"/\S*/treasury\b", "/.../treasury"),
    (r" \d+(s|m|h)$", " AGE"),
    (r"\bin \d+(\.\d+)? m?s:", "in N s:"),
    (r" \d+\.\d$", " N.N"),
    (r"SQLite \d+\.\d+\.\d+", "SQLite N"),
    (r"\b\d+(\.\d+)? (KiB|bytes)\b", "N KiB"),
    (r"\b\d+ entries\b", "N entries"),
    (r" {2,}", "  "),
]


def masked(line: str) -> str:
    for pattern, instead in _MASKS:
        line = re.sub(pattern, instead, line.rstrip())
    return line


def same(shown: list[str], real: list[str], *, whole: bool) -> bool:
    """Whether what a page shows is what was printed; without `whole`, other lines may stand between."""
    wanted = [masked(line) for line in shown if line.strip()]
    left = [masked(line) for line in real if line.strip()]
    skip = not whole
    for line in wanted:
        if line == LEFT_OUT:
            skip = True
            continue
        if skip and line in left:
            left = left[left.index(line) :]
        if not left or left[0] != line:
            return False
        left = left[1:]
        skip = not whole
    return skip or not left


PROGRESS = re.compile(r"(prove|scenarios): \d+ of \d+ \(")
"""What a terminal would have wiped out again."""


class Shell:
    """Runs a page's commands in one folder, one after the other."""

    def __init__(self, folder: Path, programs: Path | None = None) -> None:
        self.folder = folder
        paths = [str(programs)] if programs is not None else []
        paths += [str(Path(sys.executable).parent), os.environ["PATH"]]
        self.environment = clean_environment(PATH=os.pathsep.join(paths), NO_COLOR="1")
        self.background: list[tuple[Command, subprocess.Popen[bytes], list[str]]] = []
        self.run_id = "r-..."

    def run(self, command: Command) -> list[str] | None:
        """What the command prints, or None for one that goes on."""
        text = command.text.replace("r-...", self.run_id)
        if text.startswith("cd "):
            self.folder = self.folder / text.removeprefix("cd ")
            return []
        if text == "^C":
            process, lines = next(known[1:] for known in self.background if "--follow" not in known[0].text)
            process.send_signal(signal.SIGINT)
            self.await_lines(command.shown, lines)
            return None
        if GOES_ON.search(text):
            self._start(command, text)
            return None
        done = subprocess.run(
            ["sh", "-c", MEANS.get(text, text)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=110,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if not PROGRESS.match(line)]
        ids = re.findall(r"\br-[0-9a-z]{12}\b", done.stdout)
        self.run_id = ids[0] if ids else self.run_id
        return lines

    def _start(self, command: Command, text: str) -> None:
        process = subprocess.Popen(
            shlex.split(text),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        lines: list[str] = []
        threading.Thread(target=self._read, args=(process, lines), daemon=True).start()
        self.background.append((command, process, lines))
        if "--follow" not in text:
            wait_until(lambda: any(line.startswith("ready;") for line in lines), f"{text} is ready: {lines}")
        else:
            wait_until(lambda: lines, f"{text} prints the table")

    @staticmethod
    def _read(process: subprocess.Popen[bytes], lines: list[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    @staticmethod
    def await_lines(shown: list[str], lines: list[str]) -> None:
        wait_until(lambda: same(shown, lines, whole=False), f"these lines come: {shown}", 10)

    def close(self) -> None:
        """What goes on must have printed what stands under it by now; then it is stopped."""
        try:
            for command, _, lines in self.background:
                self.await_lines(command.shown, lines)
        finally:
            for _, process, _ in reversed(self.background):
                process.send_signal(signal.SIGTERM)
                process.wait(20)


def differences(page: Path, shell: Shell) -> Iterator[str]:
    """Runs the page; yields one text for each command whose output is not what the page shows."""
    try:
        for command in commands(page):
            real = shell.run(command)
            if real is not None and not same(command.shown, real, whole=True):
                yield f"{page.name}:{command.number}: $ {command.text}\n" + "\n".join(["  printed:", *real])
    finally:
        shell.close()
