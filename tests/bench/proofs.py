"""How long a proof takes: an agent with forty boundaries, each killed in each way."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

from tests.bench.figures import Figure, median
from tests.dev.harness import TAPE, clean_environment

PROVER = Path(__file__).with_name("prover")
BOUNDARIES = 40


def proof_figures(folder: Path, rounds: int) -> list[Figure]:
    project = folder / "prover"
    shutil.copytree(PROVER, project)
    taken, proof = [], {}
    for _ in range(rounds):
        begun = time.perf_counter()
        proof = _prove(project)
        taken.append((time.perf_counter() - begun) * 1000)
    assert proof["holds"] and len(proof["boundaries"]) == BOUNDARIES
    note = f"{proof['cells']} trials with {proof['kills']} deaths"
    return [
        Figure(
            "prove, 40 boundaries x each death, command to end, p50",
            median(taken),
            limit=10_000,
            rounds=rounds,
            note=note,
        )
    ]


def _prove(project: Path) -> dict:
    done = subprocess.run(
        [*TAPE, "prove", "--input", '"parts"', "--json", "-"],
        cwd=project,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=300,
        check=True,
    )
    return json.loads(done.stdout)
