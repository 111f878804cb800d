"""One project under a soak: its folder, stand-ins with ledgers of their own, a server to be killed, its journal."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from typing import Any

from tape.core.config import load_config
from tape.core.kernel.errors import EnvironmentTrouble
from tape.core.server.orders import Order, place
from tape.lab.upstream import parse_options, start_upstream
from tests.crash import checker, tally
from tests.crash.checker import Evidence, Promise, Witnesses
from tests.crash.layout import Upstreams, lay_out, surroundings
from tests.crash.stage import DEADLINE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
ERRANDS = Path(__file__).with_name("agents") / "errands.py"
SETTLE_SECONDS = 0.4
MAX_CRASHES = 8
CONCURRENCY = 2
OPEN = "status NOT IN ('TERMINAL', 'FAILED', 'CANCELLED')"


@dataclass(frozen=True, slots=True)
class Victim:
    pid: int
    nonce: str


class Project:
    """Context manager. Not for several threads at once."""

    def __init__(self, folder: Path, agents: int) -> None:
        self.folder = folder
        self.agents = agents
        self.root = lay_out(folder, workers=agents, concurrency=CONCURRENCY, max_crashes=MAX_CRASHES)
        copy(ERRANDS, self.root / ERRANDS.name)
        settings = self.root / "tape.yaml"
        settings.write_text(settings.read_text().replace("crew:script", "errands:script"))
        self.config = load_config(self.root, {})
        self.server_kills = 0
        self.process: subprocess.Popen[str] | None = None
        self._journal: sqlite3.Connection | None = None
        self._counted = self._points = 0

    def __enter__(self) -> Project:
        self.upstreams = Upstreams(
            start_upstream("bank", self.folder / "bank.jsonl", parse_options({}, "bank")),
            start_upstream("mint", self.folder / "mint.jsonl", parse_options({"honours_key": True}, "mint")),
        )
        self.start_server()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._journal is not None:
                self._journal.close()
            self.stop_server()
        finally:
            self.upstreams.bank.stop()
            self.upstreams.mint.stop()

    # --- the server -------------------------------------------------------------------------------------------------

    def start_server(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.serve", str(self.root)],
                cwd=ROOT,
                env={
                    **os.environ,
                    **surroundings(self.folder, self.upstreams, SETTLE_SECONDS),
                    "PYTHONPATH": str(ROOT),
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def kill_server(self) -> None:
        """SIGKILL to the server alone, at once followed by the next one."""
        assert self.process is not None and self.process.stdin is not None
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.server_kills += 1
        self.start_server()

    def stop_server(self) -> None:
        """In order. Ends it hard if it does not obey, and says so."""
        process, self.process = self.process, None
        if process is None or process.stdin is None:
            return
        with suppress(BrokenPipeError):  # it has ended, as its exit status tells
            process.stdin.close()
        try:
            status = process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the server did not end in order") from None
        assert status == 0, f"the server ended with {status}: {self.said()}"

    def said(self) -> str:
        """The last lines of the servers and their agents."""
        return "\n".join((self.folder / "server.log").read_text(errors="replace").splitlines()[-20:])

    def tell_server(self, order: Mapping[str, Any]) -> None:
        assert self.process is not None and self.process.stdin is not None
        status = self.process.poll()
        assert status is None, f"the server ended by itself with {status}: {self.said()}"
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def order(self, verb: str, run: str | None = None, reason: str = "as the soak says", **args: Any) -> dict[str, Any]:
        """As `tape` does it: over the socket, or into the journal while no server holds it."""
        return place(self.config, Order(verb, run, args, "soak", reason)).result

    # --- the journal ------------------------------------------------------------------------------------------------

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        if self._journal is None:
            if not self.config.journal.exists():
                return []
            self._journal = sqlite3.connect(f"file:{self.config.journal}?mode=ro", uri=True, timeout=30)
        try:
            return self._journal.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # the first server is just making them
                return []
            raise

    def open_runs(self) -> list[tuple[str, str, int]]:
        """Id, status, time of the latest change."""
        return self.rows(f"SELECT id, status, updated_us FROM run WHERE {OPEN}")

    def workers(self) -> list[Victim]:
        return [Victim(*row) for row in self.rows("SELECT pid, nonce FROM worker WHERE status <> 'DEAD'")]

    def driving(self) -> list[Victim]:
        sql = "SELECT DISTINCT pid, nonce FROM worker JOIN lease ON worker_no = worker.no WHERE lease.status = 'LIVE'"
        return [Victim(*row) for row in self.rows(sql)]

    def hooking(self) -> list[Victim]:
        """Workers inside a look-up, a dispatch or an undo."""
        sql = (
            f"WITH open AS (SELECT no FROM run WHERE {OPEN}) "
            "SELECT DISTINCT pid, nonce FROM attempt JOIN worker ON worker.no = worker_no "
            "WHERE run_no IN open AND attempt.how = '' AND attempt.by <> 'agent' AND worker.status <> 'DEAD'"
        )
        return [Victim(*row) for row in self.rows(sql)]

    def children(self) -> list[Victim]:
        """Processes that tool bodies have started: they carry a worker's nonce and are no worker."""
        workers = {worker.nonce: worker.pid for worker in self.workers()}
        found: list[Victim] = []
        for name in os.listdir("/proc"):
            nonce = nonce_of(int(name)) if name.isdigit() else ""
            if nonce in workers and workers[nonce] != int(name):
                found.append(Victim(int(name), nonce))
        return found

    def points_reached(self) -> int:
        """Since the beginning; only what is new is looked at."""
        last = (self.rows("SELECT max(id) FROM entry") or [(None,)])[0][0] or 0
        sql = "SELECT count(*) FROM entry WHERE id > ? AND id <= ? AND kind = 'point_reached'"
        if last > self._counted:
            self._points += self.rows(sql, self._counted, last)[0][0]
            self._counted = last
        return self._points

    # --- the verdict ------------------------------------------------------------------------------------------------

    def evidence(self) -> Evidence:
        logs = self.folder / "logs"
        return Evidence(self.config.journal, self.upstreams.ledgers, logs / "questions.jsonl", logs / "bodies.jsonl")

    def judge(self, expected: Mapping[str, Sequence[str]]) -> tuple[list[str], Counter[str]]:
        """What is wrong, and the figures. `expected`: by start key, the ends that its run may have."""
        backoff = self.config.recovery.backoff
        promise = Promise(first_backoff_us=backoff.first_us, longest_backoff_us=backoff.cap_us, stuck_after=MAX_CRASHES)
        wrong = [str(finding) for finding in checker.judge(self.evidence(), promise)]
        wrong += [f"lives on: {process}" for process in checker.living_with_nonces(self.config.journal)]
        seen = checker.read(self.evidence())
        wrong += list(_unexpected(seen, expected))
        counts = tally.acts_of(seen)
        counts.update(run=len(seen.stories))
        counts.update(f"run {story.row['status']}" for story in seen.stories)
        counts.update(dead=sum(entry["kind"] == "worker_died" for entry in seen.service))
        counts.update(drives=sum(len(story.leases) for story in seen.stories))
        wrong += [f"{counts[name]} acts are {name}" for name in ("doubled", "lost") if counts[name]]
        return wrong, counts


def _unexpected(seen: Witnesses, expected: Mapping[str, Sequence[str]]) -> list[str]:
    runs = {story.row["start_key"]: story.row["status"] for story in seen.stories if story.row["parent_no"] is None}
    wrong = [
        f"the run {key} is {runs.get(key)}, not {ends}" for key, ends in expected.items() if runs.get(key) not in ends
    ]
    wrong += [f"the run {key} was never asked for" for key in runs.keys() - expected.keys()]
    keys = {key for story in seen.stories for key in story.effects}
    wrong += [
        f"{len(acts)} acts under {key!r}, which no run knows" for key, acts in seen.acts.items() if key not in keys
    ]
    return wrong


def nonce_of(pid: int) -> str:
    """The nonce that the process carries, or nothing: also for one that has ended."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return ""
    return next((word[11:].decode() for word in environment.split(b"\0") if word.startswith(b"TAPE_NONCE=")), "")


def send(victim: Victim, number: signal.Signals) -> bool:
    """The signal reaches this very process, or none: process numbers come again."""
    try:
        process = os.pidfd_open(victim.pid)
    except ProcessLookupError:
        return False
    try:
        if nonce_of(victim.pid) != victim.nonce:
            return False
        signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(process)
    return True


def try_order(project: Project, verb: str, run: str | None = None, **args: Any) -> dict[str, Any] | None:
    """None: the server was killed meanwhile, so nobody knows whether the order was recorded."""
    try:
        return project.order(verb, run, **args)
    except (EnvironmentTrouble, OSError):
        return None
