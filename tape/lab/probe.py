"""Asks a look-up once more about an act that it did not find: does it lag behind, or does it not tell the truth?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import TimeoutError as NoAnswer
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tape.core.clock import Clock, format_us
from tape.core.journal.dump import EffectView, RunDump
from tape.core.kernel.errors import TapeError
from tape.core.kernel.events import Entry, Observed
from tape.core.kernel.resolution import Answer
from tape.lab.upstream_ledger import Act
from tape.reactors.host import Host

PATIENCE_US = 3_000_000
PAUSE_SECONDS = 0.1
LIMIT_US = 2_000_000


@dataclass(frozen=True, slots=True)
class FalseAbsent:
    """A look-up said absent `age_us` after the act. `seen_after_us`: how long after the act it was found, asked once
    more; None if it never was."""

    key: str
    tool: str
    upstream: str
    age_us: int
    seen_after_us: int | None = None


def false_absents(entries: Iterable[Entry], acts: Mapping[str, tuple[Act, ...]]) -> Iterator[FalseAbsent]:
    """Look-ups that said absent while an act with the effect's key stood in a ledger; the last one of each key."""
    told: dict[str, FalseAbsent] = {}
    for entry in entries:
        event = entry.event
        if not isinstance(event, Observed) or event.answer != Answer.ABSENT:
            continue
        asked_at = format_us(entry.at_us)
        for upstream, found in acts.items():
            before = [act for act in found if act.key == event.key and act.at < asked_at and not act.undone]
            if before:
                tool = event.key.rpartition("/")[2]
                told[event.key] = FalseAbsent(event.key, tool, upstream, max(0, entry.at_us - us_of(before[0].at)))
    yield from told.values()


def ask_again(host: Host, clock: Clock, dump: RunDump, absent: FalseAbsent) -> int | None:
    """How long after the first answer the look-up finds the act; None if it does not within some seconds."""
    effect = next((effect for effect in dump.effects if effect.key == absent.key), None)
    if effect is None:
        return None
    started = clock.boot_us()
    while clock.boot_us() - started < PATIENCE_US:
        if _ask(host, dump.run.id, effect) in (Answer.PRESENT, Answer.DUPLICATE):
            return clock.boot_us() - started
        clock.sleep(PAUSE_SECONDS)
    return None


def _ask(host: Host, run_id: str, effect: EffectView) -> str:
    worker = host.server.hook_worker(alone=False)
    if worker is None:
        return ""
    try:
        hook = host.server.hook(worker, "look-up", effect.key, _payload(run_id, effect), LIMIT_US)
        return str(hook.result(LIMIT_US / 1_000_000).get("answer", ""))
    except (TapeError, NoAnswer):
        return ""


def _payload(run_id: str, effect: EffectView) -> dict[str, Any]:
    return {
        "key": effect.key,
        "business_key": effect.business_key,
        "tool": effect.tool,
        "args": effect.args,
        "hidden": effect.hidden,
        "attempt": effect.attempts,
        "epoch": 0,
        "run_id": run_id,
        "decision_index": effect.decision_index,
        "call_ordinal": effect.ordinal,
        "begun_at": format_us(effect.begun_us),
        "result": None,
        "act": None,
    }


def us_of(at: str) -> int:
    """Microseconds of a ledger's time."""
    return round(datetime.fromisoformat(at).timestamp() * 1_000_000)
