"""Plays what a test orders: one trial, on the bench that this process keeps for the project. Good runs are kept too."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tape.core.config import Config, load_config
from tape.core.kernel.errors import UsageError
from tape.core.kernel.points import Death
from tape.core.kernel.policy import SECOND_US
from tape.lab.convict import about_good
from tape.lab.crew import bench_of
from tape.lab.good import Good, good_of
from tape.lab.outcome import Outcome
from tape.lab.person import Person
from tape.lab.proof import Mistake
from tape.lab.prove_cell import QUICK
from tape.lab.scenario import DEFAULT_WITHIN_US, Kill, Scenario, ScriptedOrder, Timers, Verb
from tape.lab.trial import Trial

Json = Any

_goods: dict[tuple[str, int], Good | str] = {}


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything about a run but its deaths. `upstream` is what the test sets differently from tape.yaml, `advances`
    by how much time is put forward at each timer."""

    config: Config
    agent: str
    input: Json = None
    upstream: Mapping[str, Mapping[str, Json]] = field(default_factory=dict[str, "Mapping[str, Json]"])
    within_us: int = DEFAULT_WITHIN_US
    timers: Timers = Timers.REAL
    advances: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """The same for runs that must go alike when nothing kills them."""
        told = [str(self.config.source), self.agent, self.input, self.upstream, self.timers, self.advances]
        return json.dumps(told, sort_keys=True)


def project_at(*starts: Path) -> Config:
    """The project in the first of these folders, or above it. Raises UsageError; the error is that of the first."""
    errors: list[UsageError] = []
    for start in starts:
        try:
            config = load_config(start, {})
        except UsageError as error:
            errors.append(error)
            if "no tape.yaml in" not in str(error):
                break
        else:
            # In a test nobody needs to be spared: deaths and look-ups are followed up at once.
            asks = replace(config.recovery.asks, backoff=QUICK.asks.backoff)
            recovery = replace(config.recovery, backoff=QUICK.backoff, asks=asks)
            return replace(config, recovery=recovery, workers=1, concurrency=1)
    raise errors[0]


def play(setup: Setup, folder: Path, kills: Sequence[Kill] = (), good: Good | None = None) -> Outcome:
    """One run with these deaths. With `good` a run that is STUCK is decided as by a person who knows the ledgers.

    Raises UsageError for a project that cannot be loaded and an input that the agent refuses, EnvironmentTrouble.
    """
    scenario = Scenario(
        name="tape_run",
        agent=setup.agent,
        input=setup.input,
        upstream=setup.upstream,
        within_us=setup.within_us,
        timers=setup.timers,
        kill=tuple(kills),
        orders=tuple(_orders(setup, kills)),
        shown="tape_upstream",
    )
    bench = bench_of(setup.config, {})
    return Trial(scenario, setup.config, bench, folder, prover=Person(good), strict=False).run()


def _orders(setup: Setup, kills: Sequence[Kill]) -> list[ScriptedOrder]:
    """Whoever is frozen loses its lease at once, and wakes up when all is over: what it then writes must be refused."""
    over = setup.config.lease.ttl_us + SECOND_US
    frozen = [number for number, kill in enumerate(kills, 1) if kill.signal is Death.STOP]
    orders = [ScriptedOrder("point_reached", Verb.ADVANCE, nth=number, by_us=over) for number in frozen]
    orders += [
        ScriptedOrder("timer_set", Verb.ADVANCE, nth=number, by_us=by_us)
        for number, by_us in enumerate(setup.advances, 1)
    ]
    if frozen:
        orders.append(ScriptedOrder("run_ended", Verb.THAW))
    return orders


def good_run(setup: Setup, runs: int = 1) -> Good | str:
    """What the agent does when nothing kills it, as so many runs agree on; or why there is no such thing. It is played
    once per process and setup. Raises as `play`."""
    name = (setup.key, runs)
    if name not in _goods:
        _goods[name] = _good_run(setup, runs)
    return _goods[name]


def _good_run(setup: Setup, runs: int) -> Good | str:
    with tempfile.TemporaryDirectory(prefix="tape-pytest-") as scratch:
        outcomes = [play(setup, Path(scratch, str(number))) for number in range(runs)]
    for outcome in outcomes:
        for cause in about_good(outcome):
            if cause.mistake is Mistake.NO_GOOD_RUN:
                return cause.sentence
    return good_of(outcomes[0], outcomes[1] if runs > 1 else None)


def forget() -> None:
    """Closes this process's bench."""
    from tape.lab.crew import close_benches

    _goods.clear()
    close_benches()
