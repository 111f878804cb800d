"""What starting costs: `import tape`, and `tape status` as a whole process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tape.core.clock import SystemClock
from tape.core.journal import effects, records, runs, workers
from tape.core.journal.effects import Call, Ending, ToolPolicy
from tape.core.journal.records import Usage
from tape.core.journal.transaction import Tx
from tape.core.journal.writer import Writer
from tape.core.kernel.events import Decision
from tape.core.kernel.identity import effect_key
from tape.core.kernel.lifecycle import EffectStatus, WorkerTrigger
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.scaffold.scaffold import create_project
from tests.bench.figures import Figure, interleaved, median
from tests.dev.harness import TAPE, clean_environment

AUTHORS_MODULE = """
import tape

@tape.tool(semantics="idempotent")
async def act(to: str) -> dict: ...

@act.observe
async def find(effect: tape.Effect) -> tape.Observation: ...

@tape.model(max_tokens=10)
async def ask(task: str) -> dict: ...

@tape.agent(budget=tape.Budget(usd=1.0))
async def agent(run: tape.Run, task: str) -> str: ...
"""


def wall_ms(command: list[str], folder: Path) -> float:
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, env=clean_environment(), stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begun) * 1000


def compiled() -> None:
    """Byte code is written now, so that no timed start has to do it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([*TAPE, "--help"], env=environment, stdout=subprocess.DEVNULL, check=True)
    subprocess.run([sys.executable, "-c", AUTHORS_MODULE], env=environment, check=True)


def import_figure(folder: Path, rounds: int) -> Figure:
    compiled()
    ours, bare = interleaved(
        rounds,
        lambda: wall_ms([sys.executable, "-c", AUTHORS_MODULE], folder),
        lambda: wall_ms([sys.executable, "-c", "pass"], folder),
    )
    above = median([one - other for one, other in zip(ours, bare, strict=True)])
    note = f"p50 of the pairs' difference; {median(ours):.0f} ms against {median(bare):.0f} ms of bare Python"
    return Figure("import tape, decorators used, above bare Python", above, limit=80, rounds=rounds, note=note)


def status_figure(folder: Path, rounds: int, run_count: int) -> Figure:
    project = create_project("many", folder)
    write_runs(project / ".tape" / "dev.db", run_count)
    script = Path(sys.executable).with_name("tape")
    status = [str(script), "status"] if script.exists() else [*TAPE, "status"]
    subprocess.run(status, cwd=project, env=os.environ | {"TAPE_JOURNAL": ""}, stdout=subprocess.DEVNULL, check=True)
    ours, bare = interleaved(
        rounds,
        lambda: wall_ms(status, project),
        lambda: wall_ms([sys.executable, "-c", "import typer, sqlite3"], project),
    )
    return Figure(
        f"tape status, {run_count:,} runs, whole process",
        median(ours),
        limit=3,
        reference=median(bare),
        against='python -c "import typer, sqlite3"',
        rounds=rounds,
    )


def write_runs(journal: Path, count: int) -> None:
    """Finished runs, written by the journal's own verbs; the last one is left open."""
    writer = Writer(journal, SystemClock())

    def worker(tx: Tx) -> int:
        number = workers.start_worker(tx, "bench", 1, 1, "boot", "here")
        workers.move_worker(tx, number, WorkerTrigger.HELLO)
        return number

    number = writer.apply(worker)
    for start in range(0, count - 1, 100):
        size = min(100, count - 1 - start)
        for outcome in writer.commit([lambda tx: _whole_run(tx, number)] * size):
            assert outcome.error is None, outcome.error
    writer.apply(lambda tx: runs.start_run(tx, "treasury", "pay invoice 7"))
    writer.close()


def _whole_run(tx: Tx, worker: int) -> Any:
    run_id = runs.start_run(tx, "treasury", "pay invoice 7")
    named = {"ttl_us": 15_000_000, "concurrency": 1, "recovery": RecoveryPolicy()}
    epoch = runs.grant(tx, run_id, worker, **named).epoch
    decision = Decision(index=0, name="ask_model", fingerprint="f", request={"args": []}, reply={"say": "Wiring."})
    records.record_decision(tx, run_id, epoch, decision, Usage(150, 60, 2000))
    args = {"to": "ACME", "amount_minor": 12500}
    effects.begin_effect(tx, run_id, epoch, Call(0, 0, "wire_money", args, ToolPolicy()), "f")
    key = effect_key(run_id, 0, 0, "wire_money")
    effects.end_effect(tx, run_id, epoch, key, 1, Ending(EffectStatus.CONFIRMED, result={"wire_id": "wires-1"}), None)
    runs.end_run(tx, run_id, epoch, "TERMINAL", "The invoice is paid.", None)
