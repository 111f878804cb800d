"""A canary in a secret and in a redacted argument: real processes, a real SIGKILL at each point, and then every byte
that is left is looked at. The upstream did get it; and where nothing is hidden, the same look finds it everywhere."""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tape.core.clock import SystemClock
from tape.core.journal.views import open_reader
from tape.lab.upstream import Upstream, parse_options, start_upstream
from tests.dev.harness import TAPE, clean_environment, wait_until
from tests.redaction.project import write_project
from tests.tui.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CARD = "4000-CANARY-card-91c3"
TOKEN = "tok-CANARY-secret-5e7f"
CANARIES = (CARD.encode(), TOKEN.encode())
WHOLE = b"CANARY"
DRILLS: list[tuple[str, tuple[str, ...]]] = [
    ("pay", ("decision.asking",)),
    ("pay", ("decision.replied",)),
    ("pay", ("decision.recorded",)),
    ("pay", ("effect.begun",)),
    ("pay", ("effect.acted",)),
    ("pay", ("effect.ended",)),
    ("pay", ("effect.acted", "observe.answered")),
    ("pay", ("at:charged", "lease.granted")),
    ("fail", ("run.ending",)),
    ("fail", ("compensate.acted",)),
    ("pay", ("run.ended",)),
]


@dataclass
class Shop:
    root: Path
    upstream: Upstream
    environment: dict[str, str]
    said: list[str] = field(default_factory=list)
    server: subprocess.Popen[bytes] | None = None

    @property
    def journal(self) -> Path:
        return self.root / ".tape" / "cards.db"

    def tape(self, *arguments: str) -> str:
        """One command; what it says is looked at like everything else."""
        done = subprocess.run(
            [*TAPE, *arguments],
            cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        self.said += [done.stdout, done.stderr]
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    def start(self) -> None:
        log = self.root.parent / "server.log"
        with open(log, "ab") as out:
            self.server = subprocess.Popen(
                [*TAPE, "server"], cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        wait_until(lambda: "ready;" in log.read_text(), "the server is ready")

    def kill(self) -> None:
        """The server itself dies: what it had in its WAL stays there."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    def acts(self) -> list[dict[str, Any]]:
        lines = self.upstream.ledger_path.read_text().splitlines()
        return [line for line in map(json.loads, lines) if line.get("event") == "act"]


@contextlib.contextmanager
def open_shop(folder: Path, *, hides: bool) -> Iterator[Shop]:
    root = write_project(folder / "project", hides=hides)
    with start_upstream("bank", folder / "bank.jsonl", parse_options({}, "bank")) as upstream:
        environment = clean_environment(
            TAPE_UPSTREAM_BANK=upstream.url, VAULT_CARD=CARD, BANK_TOKEN=TOKEN, COLUMNS="200"
        )
        shop = Shop(root, upstream, environment)
        try:
            yield shop
        finally:
            if shop.server is not None:
                shop.server.terminate()
                shop.server.wait(20)


def drill(shop: Shop, drills: list[tuple[str, tuple[str, ...]]]) -> list[str]:
    """Runs with kills; returns their ids. The server is killed at last, with what is in its WAL."""
    shop.start()
    runs: list[str] = []
    for task, points in drills:
        for point in points:
            only = ["--tool", "charge"] if point == "effect.acted" else []  # the one that acts
            shop.tape("kill", "--at", point, *only)
        runs.append(shop.tape("run", "--input", json.dumps(task), "--wait").split()[0])
    shop.kill()
    return runs


def left_behind(shop: Shop) -> dict[str, bytes]:
    """Every byte by where it stands: all files but the project's own code and the upstream's ledger, a backup of the
    journal, the bundles unpacked, and what each command said."""
    root, folder = shop.root, shop.root.parent
    found = {str(path.relative_to(folder)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    found = {name: data for name, data in found.items() if not name.endswith(("shop.py", ".pyc"))}
    found |= {path.name: gzip.decompress(path.read_bytes()) for path in folder.glob("*.tape")}
    found["server.log"] = (folder / "server.log").read_bytes()
    backup = folder / "backup.db"
    with closing(sqlite3.connect(shop.journal)) as journal, closing(sqlite3.connect(backup)) as copy:
        journal.backup(copy)
    found["backup"] = backup.read_bytes()
    found["commands"] = "\n".join(shop.said).encode()
    return found


def look_at(shop: Shop, runs: list[str]) -> None:
    for run_id in runs:
        for arguments in (["doctor", "--dump-run", run_id], ["status", run_id]):
            shop.tape(*arguments)
            shop.tape(*arguments, "--json")
        shop.tape("export", run_id, "--to", str(shop.root.parent / f"{run_id}.tape"))
    shop.tape("status")
    shop.tape("doctor")


async def screens(shop: Shop, run_id: str) -> dict[str, bytes]:
    """The console on this journal: what it shows of the run in each pane, as the export writes it."""
    stage = Stage(shop.root.parent, shop.journal, SystemClock())
    shown: dict[str, bytes] = {}
    try:
        async with stage.console(size=(200, 60)) as seat:
            stage.named["it"] = run_id
            stage.turn()
            await seat.choose("it")
            for number in range(1, 7):
                await seat.press(str(number))
                for line in range(4):
                    await seat.press("down")
                    await seat.press("enter")
                    shown[f"screen {number}.{line}"] = seat.text().encode()
                    shown[f"svg {number}.{line}"] = seat.app.export_screenshot().encode()
                    await seat.press("escape")
    finally:
        stage.stop(drain=False)
    return shown


async def test_no_byte_holds_the_canary(tmp_path: Path) -> None:
    with open_shop(tmp_path, hides=True) as shop:
        runs = drill(shop, DRILLS)
        shown = await screens(shop, runs[4])
        look_at(shop, runs)
        places = {**left_behind(shop), **shown}
        holding = {name: data for name, data in places.items() if WHOLE in data}
        assert not holding, {name: _around(data) for name, data in holding.items()}
        with open_reader(shop.journal) as reader:
            statuses = [reader.run(run_id).status for run_id in runs]
            entries = [entry.event for run_id in runs for entry in reader.entries(run_id=run_id)]
        assert statuses == ["FAILED" if task == "fail" else "TERMINAL" for task, _ in DRILLS]
        reached = {event.point for event in entries if event.kind == "point_reached"}
        assert reached == {point for _, points in DRILLS for point in points}
        assert {act["body"]["card"] for act in shop.acts()} == {CARD}, "the upstream did get it"
        assert {act["body"]["token"] for act in shop.acts()} == {TOKEN}
        log = places["server.log"]
        for mark in (b"[redacted card]", b"[secret BANK_TOKEN]", b"charging [redacted card] with [secret BANK_TOKEN]"):
            assert mark in log, "it was said, and cleaned"
        assert b"Traceback" in log
        for arguments, place in ((["status", runs[4]], 0), (["doctor", "--dump-run", runs[4]], None)):
            facts = json.loads(shop.tape(*arguments, "--json"))
            recovery = (facts if place is None else facts[place])["recovery"]
            assert [crash["point"] for crash in recovery["crashes"]] == ["effect.acted"]
            assert recovery["second_acts_prevented"] == 1 and recovery["crashes"][0]["first_record_us"] > 0
        assert "recovery: 1 crash, 1 second act prevented" in shop.tape("status", runs[4])
        observed = [event for event in entries if event.kind == "effect_ended" and event.resolution == "observed"]
        assert observed and all(event.result["card"] == "[redacted card]" for event in observed)


async def test_where_nothing_is_hidden_the_same_look_finds_it(tmp_path: Path) -> None:
    with open_shop(tmp_path, hides=False) as shop:
        runs = drill(shop, [("pay", ("effect.acted",)), ("fail", ())])
        shown = await screens(shop, runs[0])
        look_at(shop, runs)
        places = {**left_behind(shop), **shown}
        holding = {name for name, data in places.items() if any(canary in data for canary in CANARIES)}
        assert {"server.log", "backup", "commands", *(f"{run_id}.tape" for run_id in runs)} <= holding
        assert any(name.startswith("project/.tape/cards.db") for name in holding)
        assert any(name.startswith("screen") for name in holding)


def _around(data: bytes) -> list[str]:
    at, found = data.find(WHOLE), []
    while at >= 0 and len(found) < 5:
        found.append(data[max(0, at - 120) : at + 60].decode("utf-8", "replace"))
        at = data.find(WHOLE, at + 1)
    return found
