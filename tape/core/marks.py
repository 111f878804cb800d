"""The language of state: a glyph and a style for each, always beside the word, never instead of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tape.core.kernel.lifecycle import EffectStatus, LeaseStatus, ObligationStatus, RunStatus, WorkerStatus


class Style(StrEnum):
    """How a line is coloured; what each means is up to the sink. Never the only carrier of a meaning."""

    PLAIN = "plain"
    DIM = "dim"
    MUTED = "muted"
    PRIMARY = "primary"
    ACCENT = "accent"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Mark:
    glyph: str
    style: Style


RUN_MARKS: Mapping[str, Mark] = {
    RunStatus.RUNNABLE: Mark("○", Style.MUTED),
    RunStatus.RUNNING: Mark("●", Style.PRIMARY),
    RunStatus.WAITING: Mark("◇", Style.WARNING),
    RunStatus.STUCK: Mark("!", Style.ALARM),
    RunStatus.COMPENSATING: Mark("↶", Style.ACCENT),
    RunStatus.TERMINAL: Mark("✓", Style.SUCCESS),
    RunStatus.FAILED: Mark("✗", Style.ERROR),
    RunStatus.CANCELLED: Mark("⊘", Style.MUTED),
}
EFFECT_MARKS: Mapping[str, Mark] = {
    EffectStatus.PENDING: Mark("◐", Style.WARNING),
    EffectStatus.UNKNOWN: Mark("?", Style.ALARM),
    EffectStatus.CONFIRMED: Mark("✓", Style.SUCCESS),
    EffectStatus.FAILED: Mark("✗", Style.ERROR),
}
OBLIGATION_MARKS: Mapping[str, Mark] = {
    ObligationStatus.ARMED: Mark("·", Style.DIM),
    ObligationStatus.DUE: Mark("↶", Style.ACCENT),
    ObligationStatus.CLAIMED: Mark("◐", Style.ACCENT),
    ObligationStatus.DONE: Mark("✓", Style.SUCCESS),
    ObligationStatus.STUCK: Mark("!", Style.ALARM),
    ObligationStatus.DROPPED: Mark("·", Style.DIM),
}
LEASE_MARKS: Mapping[str, Mark] = {
    LeaseStatus.LIVE: Mark("●", Style.PRIMARY),
    LeaseStatus.RELEASED: Mark("○", Style.MUTED),
    LeaseStatus.DIED: Mark("✗", Style.ERROR),
    LeaseStatus.EXPIRED: Mark("✗", Style.ERROR),
}
WORKER_MARKS: Mapping[str, Mark] = {
    WorkerStatus.STARTED: Mark("○", Style.MUTED),
    WorkerStatus.READY: Mark("●", Style.PRIMARY),
    WorkerStatus.FROZEN: Mark("◆", Style.ACCENT),
    WorkerStatus.DEAD: Mark("✗", Style.ERROR),
}
UNKNOWN_MARK = Mark("·", Style.PLAIN)
QUIET = Mark("·", Style.DIM)
RECOVERING = Mark("↻", Style.MUTED)
FORK = Mark("↱", Style.ACCENT)
"""A fork, what it took over, and what it does not call while it is in quarantine."""


def run_mark(status: str, *, drive: int = 0) -> Mark:
    """The glyph of a run's state; a RUNNABLE run that has been driven before is being recovered."""
    if status == RunStatus.RUNNABLE and drive > 0:
        return RECOVERING
    return RUN_MARKS.get(status, UNKNOWN_MARK)
