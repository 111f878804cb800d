"""`python -m tests.prove.run FOLDER AGENT...`: one proof after the other, printed as a JSON object by agent.

A process of its own without threads, as a proof needs it: its crew is forked. What is wrong usage is a line of text.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tape.core.config import load_config
from tape.core.kernel.errors import TapeError, one_line
from tape.lab import prove as engine
from tape.lab.proof import proof_json
from tape.lab.prove import Prover, Wanted


def prove(folder: Path, wanted: Wanted) -> Any:
    try:
        return proof_json(Prover(load_config(folder, {}), wanted).prove())
    except TapeError as error:
        return one_line(error)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("agents", nargs="+")
    parser.add_argument("--input", type=json.loads, default=1)
    parser.add_argument("--pairs", type=json.loads, default=False)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--patience", type=float, help="seconds after which a run counts as endless")
    given = parser.parse_args()
    within_us = engine.GOOD_WITHIN_US
    if given.patience is not None:
        within_us = engine.LEAST_WITHIN_US = int(given.patience * 1_000_000)
    proofs = {
        agent: prove(given.folder, Wanted(agent, given.input, pairs=given.pairs, jobs=given.jobs, within_us=within_us))
        for agent in given.agents
    }
    json.dump(proofs, sys.stdout)


if __name__ == "__main__":
    main()
