"""What readers get about runs: frozen dataclasses, never rows, light to import.

Names ending in `_us` are microseconds of wall time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast

from tape.core.clock import format_us
from tape.core.kernel.lifecycle import RUN_ENDS


@dataclass(frozen=True, slots=True)
class WorkerRef:
    """The agent process that holds a lease."""

    no: int
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as it stands. `no` pages through runs; `worker` is the holder of its live lease; `conflicts` counts
    the open ones; `cancel` means that a person wants it ended."""

    no: int
    id: str
    agent: str
    status: str
    decisions: int
    effects: int
    epoch: int
    seq: int
    drive: int
    crashes: int
    waiting_on: str
    end_status: str | None
    error: str
    cancel: bool
    created_us: int
    updated_us: int
    worker: WorkerRef | None
    conflicts: int

    @property
    def created_at(self) -> str:
        return format_us(self.created_us)

    @property
    def updated_at(self) -> str:
        return format_us(self.updated_us)

    @property
    def ended(self) -> bool:
        return self.status in RUN_ENDS


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many runs there are, and how many of each status that is no end."""

    total: int
    open: dict[str, int]

    @property
    def ended(self) -> int:
        return self.total - sum(self.open.values())


def view_json(value: Any, special: Mapping[type, Callable[[Any], Any]] = {}) -> Any:
    """The JSON value of a view: fields by name, times as RFC 3339 UTC under `..._at`; `special` says how else."""
    if type(value) in special:
        return special[type(value)](value)
    if isinstance(value, list):
        return [view_json(item, special) for item in cast(list[Any], value)]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    body: dict[str, Any] = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if field.name.endswith("_us"):
            body[field.name.removesuffix("_us") + "_at"] = None if part is None else format_us(part)
        else:
            body[field.name] = view_json(part, special)
    return body
