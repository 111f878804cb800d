"""One agent step over the socket, against the same three commits of similar rows by sqlite3 alone.

The agent is a real process, its tool and its model function do nothing, and a server without a screen drives it. The
raw commits insert the very rows that the agent's run left in its journal, into a fresh journal of the same schema:
decision, charge and the note that the model is asked; the effect's beginning; its end. Both take turns.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tape.core.config import load_config
from tape.core.journal.views import open_reader
from tape.core.kernel.events import Entry, RunEnded
from tape.reactors.host import Host, Voice
from tests.bench.figures import Figure, interleaved, median
from tests.dev.harness import wait_until

STEPPER = Path(__file__).with_name("stepper")
Row = dict[str, Any]


@contextmanager
def stepping(project: Path, steps: int, budget: str = "") -> Iterator[Callable[[], list[float]]]:
    """A host with the stepper's project; what is yielded does one run and returns its steps in milliseconds."""
    shutil.copytree(STEPPER, project, ignore=shutil.ignore_patterns("__pycache__"))
    if budget:
        with open(project / "tape.yaml", "a") as file:
            file.write(f"budget: {budget}\n")
    config = load_config(project, {})
    ended: list[str] = []

    def note(entries: list[Entry]) -> None:
        ended.extend(entry.run_id or "" for entry in entries if isinstance(entry.event, RunEnded))

    def one_run() -> list[float]:
        run_id = host.start_run(given=steps)
        wait_until(lambda: run_id in ended, f"{run_id} has ended", 120)
        with open_reader(config.journal) as reader:
            (last,) = (entry.event for entry in reader.tape(run_id)[-1:])
        assert isinstance(last, RunEnded) and last.result is not None, last
        return [took / 1_000_000 for took in last.result]

    with Host(config, voice=Voice(entries=note)) as host:
        host.wait_ready()
        one_run()  # everything is loaded and warm before anything is timed
        yield one_run


def step_figure(folder: Path, rounds: int, steps: int) -> Figure:
    project = folder / "stepper"
    with stepping(project, steps) as one_run:
        raw = Raw(load_config(project, {}).journal, folder / "raw.db", steps)
        ours, theirs = interleaved(rounds, lambda: median(one_run()), raw.one_round)
        raw.close()
    return Figure(
        "one agent step, p50",
        median(ours),
        limit=3,
        reference=median(theirs),
        against="three raw commits of these rows",
        rounds=rounds,
        note=f"p50 of {rounds} runs of {steps} steps; {1000 / median(ours):.0f} steps/s for one agent",
    )


def caps_figure(folder: Path, rounds: int, steps: int) -> Figure:
    """A step whose question waits until its reservation is durable, against one that nobody has capped: three commits
    instead of two."""
    with (
        stepping(folder / "capped", steps, "{usd: 1000.00, tokens: 1000000000}") as capped,
        stepping(folder / "free", steps) as free,
    ):
        ours, theirs = interleaved(rounds, lambda: median(capped()), lambda: median(free()))
    return Figure(
        "one agent step under a budget, p50",
        median(ours),
        limit=2,
        reference=median(theirs),
        against="the same without",
        rounds=rounds,
    )


class Raw:
    """The same rows, three commits a step, by sqlite3 alone: WAL, synchronous FULL, one statement per row."""

    def __init__(self, journal: Path, path: Path, steps: int) -> None:
        with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as source:
            source.row_factory = sqlite3.Row
            schema = [row[0] for row in source.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
            number = source.execute("SELECT max(no) FROM run").fetchone()[0]
            self._run = dict(source.execute("SELECT * FROM run WHERE no = ?", (number,)).fetchone())
            entries = [
                dict(row) for row in source.execute("SELECT * FROM entry WHERE run_no = ? ORDER BY id", (number,))
            ]
            self._effects = [dict(row) for row in source.execute("SELECT * FROM effect WHERE run_no = ?", (number,))]
            self._attempts = [dict(row) for row in source.execute("SELECT * FROM attempt WHERE run_no = ?", (number,))]
        kinds = ("model_asked", "decision", "charge", "effect_begun", "effect_ended")
        by_kind = {kind: [entry for entry in entries if entry["kind"] == kind] for kind in kinds}
        self._steps = [{kind: by_kind[kind][at] for kind in kinds} for at in range(steps)]
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cell_size_check=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        for statement in schema:
            if "sqlite_" not in statement:
                self._connection.execute(statement)
        self._round = 0
        self._inserts: dict[str, str] = {}

    def one_round(self) -> float:
        """The p50 of one step in milliseconds."""
        self._round += 1
        run = self._run | {"no": self._round, "id": f"raw-{self._round}", "start_key": None, "seq": 0}
        self._insert("run", run)
        return median([self._step(at) for at in range(len(self._steps))])

    def _step(self, at: int) -> float:
        execute, number, kinds = self._connection.execute, self._round, self._steps[at]
        effect = self._effects[at] | {"run_no": number}
        attempt = self._attempts[at] | {"run_no": number}
        begun = time.perf_counter()
        execute("BEGIN IMMEDIATE")
        for kind in ("model_asked", "decision", "charge"):
            self._entry(kinds[kind])
        execute("UPDATE run SET seq = seq + 2, decisions = decisions + 1 WHERE no = ?", (number,))
        execute("COMMIT")
        execute("BEGIN IMMEDIATE")
        self._entry(kinds["effect_begun"])
        self._insert("effect", effect)
        self._insert("attempt", attempt)
        execute("UPDATE run SET seq = seq + 1, effects = effects + 1 WHERE no = ?", (number,))
        execute("COMMIT")
        execute("BEGIN IMMEDIATE")
        self._entry(kinds["effect_ended"])
        execute("UPDATE effect SET status = 'CONFIRMED' WHERE run_no = ? AND key = ?", (number, effect["key"]))
        execute(
            "UPDATE attempt SET ended_us = 1 WHERE run_no = ? AND key = ? AND what = ? AND number = ?",
            (number, attempt["key"], attempt["what"], attempt["number"]),
        )
        execute("UPDATE run SET seq = seq + 1 WHERE no = ?", (number,))
        execute("COMMIT")
        return (time.perf_counter() - begun) * 1000

    def _entry(self, row: Row) -> None:
        self._insert("entry", row | {"id": None, "run_no": self._round})

    def _insert(self, table: str, row: Row) -> None:
        names = ", ".join(f'"{name}"' for name in row)
        self._connection.execute(
            f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(row))})', [*row.values()]
        )

    def close(self) -> None:
        self._connection.close()
