"""`python -m tests.scenarios.play KEEP ARGUMENT...`: the `tape` command, which keeps what came of each scenario.

`KEEP` gets one pickle for each: the scenario and its outcome, before they are judged.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

from tape.cli import main
from tape.lab import scenario_run
from tape.lab.outcome import Outcome
from tape.lab.scenario import Scenario
from tape.lab.scenario_result import ScenarioResult


def keep_in(folder: Path) -> None:
    judged = scenario_run.judged

    def judge(scenario: Scenario, outcome: Outcome) -> ScenarioResult:
        name = scenario.shown.replace(os.sep, "-")
        (folder / f"{name}.pickle").write_bytes(pickle.dumps((scenario, outcome)))
        return judged(scenario, outcome)

    scenario_run.judged = judge


if __name__ == "__main__":
    keep_in(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
