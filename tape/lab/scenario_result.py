"""What came of a scenario, and its JSON. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True)
class Miss:
    """An expectation that was not met. `where` is its place and its key: `scenarios/x.yaml:12: status`."""

    where: str
    expected: str
    found: str

    @property
    def sentence(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """`shown` is the file's name in messages. `trouble` says why it could not be played, or not to its end. `journal`
    is there if it was kept; `unkept` says why it could not be."""

    name: str
    shown: str
    ok: bool
    misses: tuple[Miss, ...] = ()
    trouble: str = ""
    seconds: float = 0.0
    kills: int = 0
    run_id: str = ""
    journal: Path | None = None
    unkept: str = ""

    @property
    def wrong(self) -> bool:
        return not self.ok

    @property
    def sentences(self) -> tuple[str, ...]:
        """Why it is not fine; at least one if it is not."""
        told = (*((self.trouble,) if self.trouble else ()), *(miss.sentence for miss in self.misses))
        return told or (() if self.ok else (f"{self.shown}: it did not hold",))


def scenario_from(given: Json) -> ScenarioResult:
    """What `scenario_json` has made. Raises KeyError, TypeError or ValueError if it is something else."""
    return ScenarioResult(
        name=str(given["name"]),
        shown=str(given["file"]),
        ok=bool(given["ok"]),
        misses=tuple(Miss(str(miss["where"]), str(miss["expected"]), str(miss["found"])) for miss in given["misses"]),
        trouble=str(given["trouble"]),
        seconds=float(given["seconds"]),
        kills=int(given["kills"]),
        run_id=str(given["run"]),
        journal=None if given["journal"] is None else Path(given["journal"]),
        unkept=str(given["unkept"]),
    )


def scenario_json(result: ScenarioResult) -> Json:
    return {
        "name": result.name,
        "file": result.shown,
        "ok": result.ok,
        "misses": [{"where": miss.where, "expected": miss.expected, "found": miss.found} for miss in result.misses],
        "trouble": result.trouble,
        "kills": result.kills,
        "seconds": round(result.seconds, 3),
        "run": result.run_id,
        "journal": None if result.journal is None else str(result.journal),
        "unkept": result.unkept,
    }
