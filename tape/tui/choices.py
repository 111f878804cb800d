"""What the person at the screen has chosen to see and armed. Remembered per project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Choices:
    """`inputs`: per agent the last input. `weights` and `left`: sizes of the panes."""

    theme: str = ""
    filter: str = ""
    sort: str = "newest"
    run_id: str | None = None
    point: str = "effect.acted"
    death: str = "KILL"
    lower: str = "tape"
    left: float = 0.615
    weights: Mapping[str, float] = field(default_factory=lambda: {})
    inputs: Mapping[str, Any] = field(default_factory=lambda: {})
    armed: tuple[tuple[str, str, str], ...] = ()
    toured: bool = False
