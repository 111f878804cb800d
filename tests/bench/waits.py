"""Many runs that wait, half at a gate, half for a timer: what each takes in the journal, what all of them cost while
nothing happens, and how soon they go on when all are due at once. The host is a real one; the clock is put forward."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tape.core.clock import Clock, SkewedClock
from tape.core.config import load_config
from tape.core.journal import gates, records, runs, workers
from tape.core.journal.gates import Gate
from tape.core.journal.transaction import Tx
from tape.core.journal.writer import Writer
from tape.core.kernel.events import Entry, GateAnswered, TimerFired
from tape.core.kernel.identity import hash_json
from tape.core.kernel.lifecycle import WorkerTrigger
from tape.core.kernel.policy import RecoveryPolicy
from tape.reactors.host import Host, Voice
from tests.bench.figures import Figure
from tests.bench.steps import STEPPER
from tests.dev.harness import wait_until

HOUR = 3600.0
ARGS = {"to": "ACME", "amount_minor": 12_500}


def wait_figures(folder: Path, count: int, seconds: float) -> list[Figure]:
    project = folder / "waits"
    shutil.copytree(STEPPER, project, ignore=shutil.ignore_patterns("__pycache__"))
    config = load_config(project, {})
    clock = SkewedClock()
    fired: list[float] = []

    def note(entries: list[Entry]) -> None:
        now = time.perf_counter()
        fired.extend(now for entry in entries if isinstance(entry.event, TimerFired | GateAnswered))

    with Host(config, clock=clock) as host:
        host.wait_ready()
        alone = idle_percent(seconds)
    before = size_of(config.journal)
    write_waiting(config.journal, clock, count)
    each = (size_of(config.journal) - before) / count
    with Host(config, clock=clock, voice=Voice(entries=note)) as host:
        host.wait_ready()
        among = idle_percent(seconds)
        begun, used = time.perf_counter(), time.process_time()
        clock.advance(2 * HOUR)
        host.wake()
        wait_until(lambda: len(fired) >= count, f"{count} have fired", 60)
        took, worked = (fired[count - 1] - begun) * 1000, time.process_time() - used
    about = f"{count:,} runs"
    return [
        Figure(f"a run that waits, {about}, journal", each / 1000, limit=4, rounds=1, unit="kB"),
        Figure(
            f"{about} that wait, processor when idle",
            max(among - alone, 0.01),
            limit=1,
            rounds=1,
            note=f"{among:.1f} % of a core with them, {alone:.1f} % without",
            unit="%",
        ),
        Figure(
            f"{about}, timers and gates due at once, until all have fired",
            took,
            limit=1000,
            rounds=1,
            note=f"{worked:.2f} s of processor",
        ),
    ]


def idle_percent(seconds: float) -> float:
    """How much of a core this process takes, the host's threads among it, while nothing happens."""
    time.sleep(0.3)
    begun, used = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    return (time.process_time() - used) / (time.perf_counter() - begun) * 100


def size_of(journal: Path) -> int:
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[
            0
        ]


def write_waiting(journal: Path, clock: Clock, count: int) -> None:
    """Runs that have parked, by the journal's own verbs."""
    writer = Writer(journal, clock)

    def worker(tx: Tx) -> int:
        number = workers.start_worker(tx, "bench", 1, 1, clock.boot_id, "here")
        workers.move_worker(tx, number, WorkerTrigger.HELLO)
        return number

    number = writer.apply(worker)
    for start in range(0, count, 100):
        verbs = [lambda tx, gate=at % 2 == 0: _wait(tx, number, gate) for at in range(start, min(count, start + 100))]
        for outcome in writer.commit(verbs):
            assert outcome.error is None, outcome.error
    writer.close()


def _wait(tx: Tx, worker: int, gate: bool) -> None:
    run_id = runs.start_run(tx, "stepper", 1)
    named = {"ttl_us": 15_000_000, "concurrency": 1, "recovery": RecoveryPolicy()}
    epoch = runs.grant(tx, run_id, worker, **named).epoch
    if gate:
        bound = {"tool": "wire_money", "args": ARGS, "args_hash": hash_json(ARGS)}
        asked = Gate("pay", 0, "Pay invoice 7?", ("approve", "deny"), "f" * 32, HOUR, "deny", bound)
        gates.open_gate(tx, run_id, epoch, asked)
    else:
        records.set_timer(tx, run_id, epoch, 0, HOUR, "f" * 32)
    runs.park(tx, run_id, epoch, ["gate pay 0" if gate else "timer 0"], "waiting")
