"""A short soak: `make soak` with two hundred kills. Which moment a kill meets, the machine decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import together
from tests.soak.campaign import Campaign, Plan

KILLS = 200


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_soak(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    outcome = Campaign(Plan(tmp_path / "soak", KILLS, seed=20, projects=1), print).run()
    print("\n".join(outcome.lines()))
    acts = {name: outcome.counts[name] for name in ("acts", "doubled", "lost")}
    together.share(request.config, "counts", {**outcome.signals(), **acts})
    assert not outcome.violations, "\n".join(outcome.violations)
    assert outcome.kills >= KILLS
    assert outcome.killed["SIGTERM"] + outcome.killed["SIGSTOP"]
    assert all(outcome.killed[kind] for kind in ("a point", "an agent", "a server"))
    assert outcome.counts["run TERMINAL"] and outcome.counts["run FAILED"]
    assert outcome.counts["acts"] >= KILLS // 2
