"""Time that is put forward reaches the agent's own clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from tape.core.config import load_config
from tape.core.kernel.events import RunEnded
from tape.lab.bench import Bench
from tape.lab.scenario import Kill, Scenario, Timers
from tape.lab.trial import Trial

DAY = 86_400
SLEEPER = f"""
import tape

@tape.agent
async def sleeper(run: tape.Run, task: str) -> float:
    before = await run.now()
    await run.sleep({DAY})
    return (await run.now() - before).total_seconds()
"""

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kills", [(), (Kill("timer.set"),)], ids=["unkilled", "killed"])
def test_a_day_has_passed_for_the_agent(tmp_path: Path, kills: tuple[Kill, ...]) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "tape.yaml").write_text("name: sleeper\nagent: sleeper:sleeper\n")
    config = load_config(tmp_path, {})
    scenario = Scenario("a day", input="x", kill=kills, timers=Timers.SKIPPED)
    with Bench(config) as bench:
        outcome = Trial(scenario, config, bench, tmp_path / "trial").run()
    assert (outcome.status, outcome.late, outcome.unreached) == ("TERMINAL", "", ())
    (ended,) = [entry.event for entry in outcome.of_run if isinstance(entry.event, RunEnded)]
    assert DAY <= ended.result < DAY + 60
    assert outcome.seconds < 30
