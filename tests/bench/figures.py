"""What a figure is, how it is judged, and how figures are printed."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measurement, in `unit`. `limit` is what `value` may be at most, or, with a `reference` that was
    measured side by side, what `value / reference` may be at most."""

    name: str
    value: float
    limit: float
    reference: float | None = None
    against: str = ""
    rounds: int = 0
    note: str = ""
    unit: str = "ms"

    @property
    def ratio(self) -> float | None:
        return None if self.reference is None else self.value / self.reference

    @property
    def holds(self) -> bool:
        return (self.value if self.ratio is None else self.ratio) <= self.limit

    @property
    def target(self) -> str:
        return f"<= {self.show(self.limit)}" if self.reference is None else f"<= {self.limit:g} x {self.against}"

    def show(self, value: float) -> str:
        return show_ms(value) if self.unit == "ms" else f"{value:.1f} {self.unit}"

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "target": self.target, "ratio": self.ratio, "holds": self.holds}


def show_ms(ms: float) -> str:
    if ms >= 1000:
        return f"{ms / 1000:.2f} s"
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.1f} ms" if ms >= 10 else f"{ms:.2f} ms"


def interleaved(rounds: int, *works: Callable[[], float]) -> list[list[float]]:
    """Each work's results over the rounds. The works take turns, so that a slow moment of the machine meets all."""
    results: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for result, work in zip(results, works, strict=True):
            result.append(work())
    return results


median = statistics.median


def table(figures: Sequence[Figure]) -> str:
    rows = [("figure", "target", "measured", "reference", "ratio", "verdict")]
    for figure in figures:
        rows.append(
            (
                figure.name,
                figure.target,
                figure.show(figure.value),
                "-" if figure.reference is None else figure.show(figure.reference),
                "-" if figure.ratio is None else f"{figure.ratio:.2f}",
                "holds" if figure.holds else "MISSED",
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"{figure.name}: {figure.note}" for figure in figures if figure.note]
    return "\n".join([*lines, "", *notes, ""])


def machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "executable": sys.executable,
    }


def write_json(path: Path, figures: Sequence[Figure], *, quick: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {"quick": quick, "machine": machine(), "figures": [figure.as_json() for figure in figures]}
    path.write_text(json.dumps(body, indent=2) + "\n", "utf-8")
