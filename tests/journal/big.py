"""A big journal in a few seconds: raw rows into the real schema. `python -m tests.journal.big` measures the lists.

The rows fit each other as the verbs would leave them, but for the hash chain, which is left empty, and for what no
list reads (budgets). Every `open_every`-th run is open: it holds an effect of which nobody knows whether it happened,
and takes its state in turn from `OPEN_STATES`.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tape.core.clock import ManualClock
from tape.core.journal import workers
from tape.core.journal.views import open_reader
from tape.core.journal.writer import Writer
from tape.core.kernel.lifecycle import WorkerTrigger
from tape.core.run_filter import parse_filter

START_US = 1_700_000_000_000_000
OPEN_STATES = ("WAITING", "STUCK", "RUNNING", "RUNNABLE")
STEPS = {"WAITING": "ask", "STUCK": "person", "RUNNING": "", "RUNNABLE": "again"}
ENDS = ("TERMINAL", "TERMINAL", "TERMINAL", "FAILED", "CANCELLED")
TOOLS = ("wire_money", "send_mail", "book_hotel")
ENTRIES_PER_RUN = 10
WHOLE = (
    ("run_started", 1),
    ("lease_granted", None),
    ("decision", 2),
    ("charge", 3),
    ("effect_begun", 4),
    ("effect_ended", 5),
    ("decision", 6),
    ("charge", 7),
    ("lease_ended", None),
    ("run_ended", 8),
)
HALF = (*WHOLE[:5], ("lease_ended", None), ("effect_doubted", None), ("run_moved", None))


@dataclass(frozen=True)
class Made:
    """One run of the big journal."""

    no: int
    open_every: int

    @property
    def id(self) -> str:
        return f"r-{self.no:012d}"

    @property
    def open(self) -> bool:
        return self.no % self.open_every == 0

    @property
    def status(self) -> str:
        at = self.no // self.open_every
        return OPEN_STATES[at % len(OPEN_STATES)] if self.open else ENDS[self.no % len(ENDS)]

    @property
    def tool(self) -> str:
        return TOOLS[self.no % len(TOOLS)]

    @property
    def key(self) -> str:
        return f"{self.id}/0/0/{self.tool}"

    @property
    def at_us(self) -> int:
        return START_US + self.no * 1_000_000

    @property
    def events(self) -> tuple[tuple[str, int | None], ...]:
        return HALF if self.open else WHOLE


def build(path: Path, runs: int, open_every: int = 200) -> None:
    """Writes about `ENTRIES_PER_RUN` entries a run."""
    clock = ManualClock()
    writer = Writer(path, clock)
    for number in (1, 2):
        writer.apply(
            lambda tx, number=number: workers.start_worker(tx, f"n{number}", 100 + number, 1, clock.boot_id, "here")
        )
        writer.apply(lambda tx, number=number: workers.move_worker(tx, number, WorkerTrigger.HELLO))
    writer.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    first_id: int = connection.execute("SELECT max(id) FROM entry").fetchone()[0] + 1
    made = [Made(no, open_every) for no in range(1, runs + 1)]
    begun = _entries(connection, made, first_id)
    _insert(connection, "run", (_run(run) for run in made))
    _insert(connection, "effect", (_effect(run, begun[run.no]) for run in made))
    _insert(connection, "lease", (_lease(run) for run in made))
    _insert(connection, "attempt", (_attempt(run) for run in made))
    _insert(connection, "timer", (_timer(run) for run in made if run.no % (10 * open_every) == 0))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[dict[str, Any]]) -> None:
    first = next(rows, None)
    if first is None:
        return
    sql = f'INSERT INTO "{table}" ({", ".join(first)}) VALUES ({", ".join("?" * len(first))})'
    connection.execute(sql, [*first.values()])
    connection.executemany(sql, ([*row.values()] for row in rows))


def _entries(connection: sqlite3.Connection, made: list[Made], first_id: int) -> dict[int, int]:
    """Writes the entries; returns the id of each run's `effect_begun`."""
    begun: dict[int, int] = {}

    def rows() -> Iterator[tuple[Any, ...]]:
        entry_id = first_id
        for run in made:
            bodies = _bodies(run)
            for kind, seq in run.events:
                if kind == "effect_begun":
                    begun[run.no] = entry_id
                yield (entry_id, run.no, seq, kind, 1, run.at_us, bodies[kind], b"")
                entry_id += 1

    connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows())
    return begun


def _bodies(run: Made) -> dict[str, str]:
    key, tool = run.key, run.tool
    whose = f'"key":"{key}","tool":"{tool}"'
    commands = json.dumps([f"tape redrive {run.id}", f"tape cancel {run.id}"])
    return {
        "run_started": f'{{"agent":"treasury","input":"pay invoice {run.no}"}}',
        "lease_granted": '{"worker":1,"pid":101,"epoch":1,"drive":1,"decision_index":0,"next_seq":2}',
        "decision": '{"index":0,"name":"ask_model","fingerprint":"f","request":{"talk":0},"reply":{"say":"a plan"}}',
        "charge": '{"pays_for":"decision 0","tokens_in":150,"tokens_out":60,"usd_micro":2000}',
        "effect_begun": f'{{{whose},"decision_index":0,"ordinal":0,"args":{{"to":"ACME","amount_minor":{run.no}}},'
        '"args_hash":"h","fingerprint":"f","semantics":"non_idempotent"}',
        "effect_ended": f'{{{whose},"status":"CONFIRMED","resolution":"returned","writer":"agent","result":{{}}}}',
        "lease_ended": '{"worker":1,"pid":101,"epoch":1,"status":"DIED","why":"SIGKILL"}',
        "run_ended": '{"outcome":"TERMINAL","result":"paid"}',
        "effect_doubted": f'{{"key":"{key}","status":"UNKNOWN","row":"N-ask","step":"person","why":"SIGKILL"}}',
        "run_moved": f'{{"status":"{run.status}","was":"RUNNING","why":"SIGKILL","commands":{commands}}}',
    }


def _run(run: Made) -> dict[str, Any]:
    running = run.status == "RUNNING"
    why = f"only a person can know whether {run.key} happened" if run.status == "STUCK" else ""
    return {
        "no": run.no,
        "id": run.id,
        "agent": "treasury" if run.no % 3 else "travel",
        "status": run.status,
        "epoch": 1,
        "seq": 4 if run.open else 8,
        "decisions": 1 if run.open else 2,
        "effects": 1,
        "head": b"",
        "drive": 1,
        "crashes": 0,
        "asks": 0,
        "worker_no": 1 if running else None,
        "lease_until_boot_us": 2_000_000_000 if running else 0,
        "next_boot_us": 0,
        "waiting_on": {"WAITING": f"look-up of 0/0/{run.tool}", "STUCK": "a person"}.get(run.status, ""),
        "end_status": None if run.open else run.status,
        "error": "ValueError: no such invoice" if run.status == "FAILED" else why,
        "cancel": 0,
        "start_key": None,
        "created_us": run.at_us,
        "updated_us": run.at_us + 500_000,
        "parent_no": None,
        "parent_ordinal": 0,
        "depth": 0,
        "source_id": None,
        "source_seq": 0,
        "quarantine": 0,
        "caps_known": 0,
        "gated": 0,
        "children": 0,
        "children_open": 0,
    }


def _effect(run: Made, begun_id: int) -> dict[str, Any]:
    ended = not run.open
    return {
        "run_no": run.no,
        "key": run.key,
        "tool": run.tool,
        "decision_index": 0,
        "ordinal": 0,
        "args_hash": "h",
        "status": "CONFIRMED" if ended else "PENDING" if run.status == "RUNNING" else "UNKNOWN",
        "dispatch": "outbox" if run.status == "RUNNABLE" else "inline",
        "compensable": 0,
        "business_key": None,
        "retries": 0,
        "clean": 1,
        "live_failures": 0,
        "resolution": "returned" if ended else "",
        "writer": "agent" if ended else "",
        "begun_id": begun_id,
        "ended_id": begun_id + 1 if ended else None,
        "semantics": "non_idempotent",
        "look_up": 1,
        "authoritative": 1,
        "settle_us": 0,
        "on_unknown": "ask",
        "key_lifetime_us": None,
        "attempts": 1,
        "first_us": run.at_us,
        "body_over": 1,
        "quiet_boot_us": 0,
        "asked_boot_us": 0,
        "answer": "none",
        "asks": 0,
        "step": STEPS.get(run.status, ""),
        "next_boot_us": 0,
        "claim_epoch": 0,
        "claim_by": "",
        "claim_until_boot_us": 0,
        "hook_crashes": 0,
        "awaited": 1,
        "inherited": 0,
    }


def _lease(run: Made) -> dict[str, Any]:
    running = run.status == "RUNNING"
    return {
        "run_no": run.no,
        "epoch": 1,
        "worker_no": 1,
        "drive": 1,
        "status": "LIVE" if running else "RELEASED",
        "alone": 0,
        "first_seq": 2,
        "granted_us": run.at_us,
        "ended_us": None if running else run.at_us + 400_000,
        "why": "" if running else "the run ended",
    }


def _attempt(run: Made) -> dict[str, Any]:
    return {
        "run_no": run.no,
        "key": run.key,
        "what": "body",
        "number": 1,
        "by": "agent",
        "worker_no": 1,
        "epoch": 1,
        "started_us": run.at_us,
        "ended_us": run.at_us + 300_000,
        "how": "SIGKILL" if run.open else "returned",
        "evidence": "",
    }


def _timer(run: Made) -> dict[str, Any]:
    return {"run_no": run.no, "ordinal": 0, "fire_us": run.at_us, "status": "SET"}


def measure(path: Path, runs: int) -> list[tuple[str, float]]:
    """The best of five of each list, in milliseconds."""
    now_us = START_US + runs * 1_000_000
    page = [*range(runs - 99, runs + 1)]
    with open_reader(path) as reader:
        reads: dict[str, Callable[[], object]] = {
            "run_numbers": reader.run_numbers,
            "run_numbers, after_no": lambda: reader.run_numbers(after_no=runs - 10),
            **{
                f"run_numbers, {text}": lambda text=text: reader.run_numbers(parse_filter(text, now_us))
                for text in ("state:stuck", "state:failed", "agent:travel", "invoice", "effect:unknown", "since:10m")
            },
            "run_numbers, effect:wire_money": lambda: reader.run_numbers(parse_filter("effect:wire_money", now_us)),
            "runs_by_no, 100": lambda: reader.runs_by_no(page),
            "runs, 100": lambda: reader.runs(100),
            "counts": reader.counts,
            "status_counts": reader.status_counts,
            "open_effects, 100": lambda: reader.open_effects(100),
            "recent_effects, 100": lambda: reader.recent_effects(100),
            "backlog": reader.backlog,
            "live_leases": reader.live_leases,
            "needs": reader.needs,
            "entries, 1000": lambda: reader.entries(after=reader.last_id() - 1000),
            "tool_facts, 5000 runs": lambda: reader.tool_facts(["wire_money"], 0, 5000),
            "key_facts, 1000": lambda: reader.key_facts([Made(no, 200).key for no in range(1, 1001)]),
        }
        return [(name, min(_timed(read) for _ in range(5))) for name, read in reads.items()]


def _timed(read: Callable[[], object]) -> float:
    begun = time.perf_counter()
    read()
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    open_every = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.db"
        took = _timed(lambda: build(path, runs, open_every))
        print(f"built {runs} runs, {path.stat().st_size / 1e6:.0f} MB in {took / 1000:.1f} s")
        for name, ms in measure(path, runs):
            print(f"{ms:8.2f} ms  {name}")


if __name__ == "__main__":
    main()
