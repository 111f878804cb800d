"""A project with tests of its own, and pytest run on it as a user does: in a process of its own, with a folder for
temporary files that nobody else uses."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

from tape.core.scaffold.scaffold import create_project
from tests.dev.harness import clean_environment, wait_until

WRONG = (
    (
        '@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.2)',
        '@tape.tool(semantics="idempotent")',
    ),
    (", key=tape.idempotency_key())", ")"),
    ("@wire_money.observe\n", ""),
)
"""Declared idempotent, without a key: what is run again pays twice."""
SECONDS = 300


@dataclass
class Ran:
    """`said` is, by the test's name, empty for one that passed, else what stands in the report about it."""

    code: int
    output: str
    said: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        return [name for name, text in self.said.items() if text]


LEFT_OUT = ("cacheprovider", "hypothesispytest", "syrupy", "textual-snapshot", "asyncio", "anyio")
"""Plugins of this project's own tests: a stranger's have none of them, and they take half a second to load."""


class Suite:
    """The scaffold's project in `folder`, its own tests left out."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.folder = create_project("treasury", folder)
        (self.folder / "tests" / "test_agent.py").unlink()
        self.agent_file = self.folder / "app" / "agent.py"
        self.environment = clean_environment(TMPDIR=str(self.temporary), NO_COLOR="1", COLUMNS="200")

    def make_wrong(self) -> None:
        text = self.agent_file.read_text("utf-8")
        for old, new in WRONG:
            assert old in text
            text = text.replace(old, new)
        self.agent_file.write_text(text, "utf-8")

    def write(self, text: str, name: str = "tests/test_it.py") -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pytest", "-q", *(f"-pno:{name}" for name in LEFT_OUT), *arguments]

    def run(self, *arguments: str) -> Ran:
        report = self.temporary.parent / "report.xml"
        report.unlink(missing_ok=True)
        done = subprocess.run(
            self.command(f"--junitxml={report}", *arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Ran(done.returncode, done.stdout, _said(report))

    def orphans(self) -> list[str]:
        """Living processes that a run of this suite has started."""
        mine = f"TMPDIR={self.temporary}".encode()
        found: list[str] = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mine in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # it has ended, or is not ours
        return found

    def leftovers(self) -> list[str]:
        """Temporary files that stayed: not pytest's own folder, nor the (empty) one for sockets."""
        sockets = self.temporary / f"tape-{os.getuid()}"
        found = [place.name for place in self.temporary.iterdir() if not place.name.startswith("pytest-of-")]
        if sockets.is_dir() and not any(sockets.iterdir()):
            found.remove(sockets.name)
        return found

    def journals(self) -> list[Path]:
        return sorted(self.temporary.rglob("journal.db"))

    def check_clean(self) -> None:
        wait_until(lambda: not self.orphans(), f"no process lives on: {self.orphans()}")
        assert self.leftovers() == []


def _said(report: Path) -> dict[str, str]:
    if not report.exists():
        return {}
    said: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):
        texts = [f"{found.tag}: {found.get('message')}\n{found.text}" for found in case if found.tag in _BAD]
        name = case.get("name") or ""
        said[name] = "\n".join([text for text in [said.get(name, ""), *texts] if text])
    return said


_BAD = ("failure", "error", "skipped")
