"""`tape gc`: plans what retention removes, and has it removed batch by batch, through the server if one runs."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass

from tape.core.clock import Clock
from tape.core.config import Config
from tape.core.journal.imported import imported_journal
from tape.core.journal.retention import Removal, compact, plan, until_of, unused_values, value_batches
from tape.core.journal.views import open_reader
from tape.core.journal.writer import Writer
from tape.core.retention import Retention
from tape.core.server.orders import Lock, Order, place


@dataclass(frozen=True, slots=True)
class Collected:
    """What was (or, dry, would be) removed; `freed` is by how much the file has become smaller, None if it was left as
    it is: a server uses the space again."""

    removal: Removal
    freed: int | None = None


def collect(config: Config, clock: Clock, keep: Retention, *, dry_run: bool, actor: str, reason: str = "") -> Collected:
    """Removes what retention says. Raises the journal's errors; what was removed by then stays removed, and no run is
    ever there by half."""
    until = until_of(keep, clock.wall_us())
    with open_reader(config.journal) as reader:
        if reader.imported() is not None:
            raise imported_journal(config.journal)
        planned = plan(reader, until)
    if dry_run:
        return Collected(planned.removal)
    runs: list[str] = []
    entries = values = size = 0
    served = False
    for batch in planned.batches():
        placed = place(config, Order("gc", None, {"groups": batch, "until": until}, actor, reason))
        runs += placed.result["runs"]
        entries, size, served = entries + placed.result["entries"], size + placed.result["bytes"], placed.served
    with open_reader(config.journal) as reader:
        names, after_id = unused_values(reader)
    for part in value_batches(names):
        placed = place(config, Order("gc", None, {"values": list(part), "after": after_id}, actor, reason))
        values, size, served = values + placed.result["values"], size + placed.result["bytes"], placed.served
    ends = dict(Counter(planned.statuses[run_id] for run_id in runs))
    removal = Removal(tuple(runs), ends, entries, values, size)
    return Collected(removal, None if served or not (runs or values) else _compact(config, clock))


def _compact(config: Config, clock: Clock) -> int | None:
    lock = Lock(config.journal, brief=True)
    if not lock.take():
        return None
    try:
        before = os.stat(config.journal).st_size
        writer = Writer(config.journal, clock)
        try:
            compact(writer)
        finally:
            writer.close()
        return before - os.stat(config.journal).st_size
    finally:
        lock.release()
