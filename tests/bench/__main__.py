"""`python -m tests.bench [--quick] [--json FILE]`: prints one table and writes build/bench.json.

Ratios are measured side by side and hold anywhere; absolute figures hold for the machine they were taken on. It
judges, and never fails because a target is missed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.bench.console import console_figures
from tests.bench.demos import demo_figures
from tests.bench.families import family_figures
from tests.bench.figures import Figure, table, write_json
from tests.bench.history import history_figures
from tests.bench.proofs import proof_figures
from tests.bench.replays import replay_figure
from tests.bench.starts import import_figure, status_figure
from tests.bench.steps import caps_figure, step_figure
from tests.bench.waits import wait_figures

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Figures, side by side.")
    parser.add_argument("--quick", action="store_true", help="a few rounds only: shows that it works, not how fast")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json", help="where the figures go")
    given = parser.parse_args()
    quick: bool = given.quick
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "build") as name:
        folder = Path(name)
        figures: list[Figure] = [
            *demo_figures(folder, rounds=2 if quick else 9),
            step_figure(folder, rounds=1 if quick else 9, steps=20 if quick else 200),
            caps_figure(folder, rounds=1 if quick else 9, steps=20 if quick else 200),
            status_figure(folder, rounds=2 if quick else 15, run_count=50 if quick else 1000),
            import_figure(folder, rounds=2 if quick else 15),
            *wait_figures(folder, count=200 if quick else 10_000, seconds=1 if quick else 5),
            replay_figure(folder, rounds=1 if quick else 9),
            *history_figures(folder, turns=20 if quick else 200),
            *proof_figures(folder, rounds=1 if quick else 3),
            *family_figures(folder, 50 if quick else 1000, rounds=1 if quick else 3),
            *console_figures(folder, quick=quick),
        ]
    print(table(figures))
    write_json(given.json, figures, quick=quick)


if __name__ == "__main__":
    main()
