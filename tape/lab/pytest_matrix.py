"""`@pytest.mark.tape_every_crash_point`: one test becomes one for each boundary of a good run x each death.

The good run is played while tests are collected. Under xdist every worker must find the same ids, so the first one
plays it, and writes what it found into a folder of the session's; the others wait for that.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from tape.core.config import Config
from tape.core.kernel.errors import TapeError, UsageError, one_line
from tape.core.kernel.points import Death
from tape.lab.good import Good, places_of
from tape.lab.proof import DEATHS, Cell, Place, cell_from, cell_json
from tape.lab.prove_plan import SAY_AGENT, agent_of, cells_of, kills_of, pairs_of, recovery_of
from tape.lab.pytest_play import Setup, good_run, play, project_at
from tape.lab.pytest_stage import GOOD_RUNS, Planned
from tape.lab.scenario import Timers

Json = Any
_ALLOWED = ("agent", "input", "deaths", "pairs")
_planned: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Every:
    """What the mark says."""

    agent: str | None
    input: Json
    deaths: tuple[Death, ...]
    pairs: bool


def expand(metafunc: pytest.Metafunc, mark: pytest.Mark, starts: tuple[Path, ...], shared: Path | None) -> None:
    """Parametrizes the fixture `_tape_cell`. `shared` is the folder of all workers, None if there is one process.

    Raises CollectError, one line, for whatever is in the way."""
    name = metafunc.definition.name
    try:
        every = _every(mark)
        if "tape_run" not in metafunc.fixturenames:
            raise UsageError("take the fixture tape_run, and call it")
        config = project_at(*starts)
        agent = agent_of(config, every.agent, SAY_AGENT)
        cells = tuple(_cells(config, agent, every, shared))
    except TapeError as error:
        raise pytest.Collector.CollectError(f"{name}: tape_every_crash_point: {one_line(error)}") from None
    params = [pytest.param(Planned(cell, agent, every.input), id=ident(cell)) for cell in cells]
    metafunc.parametrize("_tape_cell", params, indirect=True)


def _every(mark: pytest.Mark) -> Every:
    if mark.args:
        raise UsageError(f"give its arguments by name: {', '.join(_ALLOWED)}")
    for name in mark.kwargs:
        if name not in _ALLOWED:
            raise UsageError(f"it has no argument {name!r}; there are {', '.join(_ALLOWED)}")
    deaths: Any = mark.kwargs.get("deaths", ("KILL",))
    if isinstance(deaths, str) or not isinstance(deaths, Sequence) or not deaths:
        raise UsageError(f'deaths is {deaths!r}; write a tuple such as ("KILL", "LOST")')
    wanted = list(cast("Sequence[object]", deaths))
    for death in wanted:
        if death not in list(DEATHS):
            raise UsageError(f"no death is called {death!r}; there are {', '.join(DEATHS)}")
    given: Json = mark.kwargs.get("input")
    try:
        json.dumps(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the input is not JSON: {error}") from None
    pairs = bool(mark.kwargs.get("pairs", False))
    return Every(mark.kwargs.get("agent"), given, tuple(Death(death) for death in DEATHS if death in wanted), pairs)


def ident(cell: Cell) -> str:
    """`effect.acted-1-wire_money-KILL`: point, decision, tool, the how many-th if it is not the first, death."""
    text = f"{_ident(cell.place)}-{cell.death}"
    return text if cell.second is None else f"{text}-then-{_ident(cell.second)}-KILL"


def _ident(place: Place) -> str:
    words = [place.point.replace(":", "."), place.decision_index, place.tool]
    words += [f"n{place.nth}"] if place.nth > 1 else []
    return "-".join(str(word) for word in words if word is not None)


# --- found once -----------------------------------------------------------------------------------------------------


def _cells(config: Config, agent: str, every: Every, shared: Path | None) -> Iterator[Cell]:
    key = _key(config, agent, every)
    if key not in _planned:
        _planned[key] = _once(shared, key, lambda: _found(config, agent, every))
    told = json.loads(_planned[key])
    if "error" in told:
        raise UsageError(told["error"])
    return map(cell_from, told["cells"])


def _key(config: Config, agent: str, every: Every) -> str:
    """Another project, another content or another question is another plan."""
    digest = hashlib.sha256(json.dumps([str(config.source), agent, every.input, every.deaths, every.pairs]).encode())
    digest.update(config.source.read_bytes())
    for name in sorted(config.reload):
        folder = config.root / name
        for file in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]:
            if file.is_file():
                digest.update(str(file).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _once(shared: Path | None, key: str, find: Callable[[], Mapping[str, Json]]) -> str:
    """What `find` found, in whichever process of the session came first."""
    if shared is None:
        return json.dumps(find())
    shared.mkdir(mode=0o700, exist_ok=True)
    file = shared / f"{key}.json"
    with (shared / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            new = file.with_suffix(".new")
            new.write_text(json.dumps(find()))
            os.replace(new, file)
        return file.read_text()


def _found(config: Config, agent: str, every: Every) -> Mapping[str, Json]:
    try:
        setup = Setup(config=config, agent=agent, input=every.input, timers=Timers.SKIPPED)
        good = good_run(setup, GOOD_RUNS)
        if isinstance(good, str):
            return {"error": good}
        numbers = count(1)
        cells = [*cells_of(good.places, numbers, every.deaths)]
        if every.pairs:
            recoveries = [(cell, _recovery(setup, cell, good)) for cell in cells if cell.death is Death.KILL]
            cells += pairs_of(recoveries, numbers)
    except TapeError as error:
        return {"error": one_line(error)}
    return {"cells": [cell_json(cell) for cell in cells]}


def _recovery(setup: Setup, cell: Cell, good: Good) -> tuple[Place, ...]:
    with tempfile.TemporaryDirectory(prefix="tape-pytest-") as scratch:
        outcome = play(setup, Path(scratch, "pair"), kills_of(cell), good)
    return recovery_of(cell, places_of(outcome.passes))
