"""The demo as a user meets it: from the command to the verdict, and from the kill to the first new step."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tape.core.journal.views import open_reader
from tape.core.kernel.events import LeaseGranted, PointReached
from tape.core.scaffold.scaffold import create_project
from tests.bench.figures import Figure, median
from tests.dev.harness import TAPE, clean_environment


def demo_figures(folder: Path, rounds: int) -> list[Figure]:
    project = create_project("treasury", folder)
    totals = [_demo(project) for _ in range(rounds)]
    with open_reader(project / ".tape" / "dev.db") as reader:
        recoveries = [_recovery([*reader.entries(run_id=run.id)]) for run in reader.runs()]
    assert len(recoveries) == rounds
    parts = [f"{what} {median([recovery[what] for recovery in recoveries]):.0f} ms" for what in recoveries[0]]
    note = f"p50 of its parts: {', '.join(parts)}"
    taken = [sum(recovery.values()) for recovery in recoveries]
    return [
        Figure("demo, from the command to ASSERT, p50", median(totals), limit=5000, rounds=rounds),
        Figure("demo, from the command to ASSERT, worst", max(totals), limit=5000, rounds=rounds),
        Figure("SIGKILL to first new record, warm spare, p50", median(taken), limit=250, rounds=rounds, note=note),
        Figure("SIGKILL to first new record, warm spare, worst", max(taken), limit=250, rounds=rounds),
    ]


def _demo(project: Path) -> float:
    begun = time.perf_counter()
    with subprocess.Popen(
        [*TAPE, "dev", "--kill-resume-demo"], cwd=project, env=clean_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ASSERT"):
                took = (time.perf_counter() - begun) * 1000
    assert process.returncode == 0
    return took


def _recovery(entries: list) -> dict[str, float]:
    """Milliseconds from the kill to the first record of the next drive, in its parts."""
    killed = next(at for at, entry in enumerate(entries) if isinstance(entry.event, PointReached))
    settled = next(at for at, entry in enumerate(entries) if entry.event.kind == "effect_ended")
    granted = next(at for at, entry in enumerate(entries) if at > killed and isinstance(entry.event, LeaseGranted))
    record = next(entry for entry in entries[granted:] if entry.seq is not None)
    return {
        "settled by look-up": (entries[settled].at_us - entries[killed].at_us) / 1000,
        "granted again": (entries[granted].at_us - entries[settled].at_us) / 1000,
        "first new record": (record.at_us - entries[granted].at_us) / 1000,
    }
