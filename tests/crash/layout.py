"""What lies in the folder of a crash test: the crew's project, its settings, its journal, the crew's own notes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tape.core.config import Config, parse_config
from tape.lab.upstream import Upstream

AGENTS = Path(__file__).with_name("agents")

SETTINGS = """\
name: crash
agents: {{script: crew:script, asking: crew:asking}}
journal: sqlite:///.tape/crash.db
workers: {workers}
concurrency: {concurrency}
lease: {{ttl: {ttl}, heartbeat: 300ms, stall: {stall}}}
recovery: {{max_crashes: {max_crashes}, backoff: 20ms..200ms, asks: 4, ask_backoff: 10ms..50ms}}
"""

SETTLE = 0.05


@dataclass(frozen=True)
class Upstreams:
    """The stand-ins of one test process: a bank that ignores keys, a mint that honours them."""

    bank: Upstream
    mint: Upstream

    def quiet(self) -> None:
        for upstream in (self.bank, self.mint):
            upstream.set_faults([])

    @property
    def ledgers(self) -> tuple[Path, Path]:
        return self.bank.ledger_path, self.mint.ledger_path


def settings_text(
    *,
    workers: int = 1,
    concurrency: int = 1,
    ttl: str = "2s",
    stall: str = "20s",
    max_crashes: int = 5,
    budget: str = "",
) -> str:
    """What tape.yaml says."""
    said = SETTINGS.format(workers=workers, concurrency=concurrency, ttl=ttl, stall=stall, max_crashes=max_crashes)
    return f"{said}budget: {budget}\n" if budget else said


def lay_out(folder: Path, **settings: Any) -> Path:
    """Writes a project with the crew in it; returns its folder."""
    root = folder / "project"
    root.mkdir(parents=True)
    for source in AGENTS.glob("*.py"):
        shutil.copy(source, root / source.name)
    (root / "tape.yaml").write_text(settings_text(**settings))
    (folder / "logs").mkdir()
    return root


def configured(root: Path, folder: Path, **settings: Any) -> Config:
    """The project as if its tape.yaml said so, with a journal below `folder`."""
    config = parse_config(settings_text(**settings).encode(), root / "tape.yaml", "tape.yaml")
    return replace(config, journal=journal_of(folder))


def journal_of(folder: Path) -> Path:
    return folder / "project" / ".tape" / "crash.db"


def surroundings(folder: Path, upstreams: Upstreams, settle: float) -> dict[str, str]:
    return {
        "TAPE_UPSTREAM_BANK": upstreams.bank.url,
        "TAPE_UPSTREAM_MINT": upstreams.mint.url,
        "CRASH_LOGS": str(folder / "logs"),
        "CRASH_JOURNAL": str(journal_of(folder)),
        "CRASH_SETTLE": str(settle),
    }
