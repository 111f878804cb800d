"""A run's tape as its agent sees it: what has been recorded, and in which order outcomes are handed over.

Outcomes are handed over one at a time in tape order, while replaying and live alike, so that branches under
`asyncio.gather` interleave the second time as they did the first (contract.md section 5).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

Outcome = tuple[str, Any]
"""What an operation waits for: ("decision", index), ("effect", key), ("sample", index), ("timer", ordinal)."""

Body = dict[str, Any]


@dataclass(slots=True)
class Tape:
    """The records by what they answer; `outcomes` are those not handed over yet, in tape order."""

    seq: int = 0
    decisions: dict[int, Body] = field(default_factory=lambda: {})
    begun: dict[str, Body] = field(default_factory=lambda: {})
    ended: dict[str, Body] = field(default_factory=lambda: {})
    samples: dict[int, Body] = field(default_factory=lambda: {})
    timers_set: dict[int, Body] = field(default_factory=lambda: {})
    outcomes: deque[tuple[Outcome, Body]] = field(default_factory=lambda: deque())

    def add(self, seq: int, kind: str, body: Body) -> None:
        """Takes the next record; those that are outcomes queue up."""
        self.seq = seq
        if kind == "decision":
            self.decisions[body["index"]] = body
            self.outcomes.append((("decision", body["index"]), body))
        elif kind == "effect_begun":
            self.begun[body["key"]] = body
        elif kind == "effect_ended":
            self.ended[body["key"]] = body
            self.outcomes.append((("effect", body["key"]), body))
        elif kind == "sample":
            self.samples[body["index"]] = body
            self.outcomes.append((("sample", body["index"]), body))
        elif kind == "timer_set":
            self.timers_set[body["ordinal"]] = body
        elif kind == "timer_fired":
            self.outcomes.append((("timer", body["ordinal"]), body))


def describe(kind: str, name: str, request: Any) -> str:
    """One side of a divergence, on one line."""
    text = f"{kind} {name}({_short(request)})"
    return text if len(text) <= 300 else text[:299] + "…"


def _short(request: Any) -> str:
    if isinstance(request, dict):
        return ", ".join(f"{key}={value!r}" for key, value in request.items())  # type: ignore[reportUnknownVariableType]
    return repr(request)
