"""Entries as readers get them: decoded from the table, told in JSON, never refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, cast

import orjson

from tape.core.clock import format_us
from tape.core.journal.blobs import NOTHING, LostValue, Values
from tape.core.kernel.events import BY_KIND, Entry, Event, Json, from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterEvent(Event):
    """An entry that this release cannot read: a kind of a later one, or a damaged body. Shown raw.

    Each kind gets a subclass, so that `event.kind` says what stands in the journal.
    """

    kind: ClassVar[str] = "?"
    body: Json


@lru_cache(maxsize=256)
def _later_class(kind: str) -> type[LaterEvent]:
    return type("LaterEvent", (LaterEvent,), {"kind": kind, "__slots__": ()})


def later_event(kind: str, body: Json) -> LaterEvent:
    return _later_class(kind)(body=body)


def decode_event(kind: str, body: str, values: Values = NOTHING) -> Event:
    """The event of an entry, its values in place; what this release cannot read comes as a LaterEvent and never
    raises."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return later_event(kind, body)
    if isinstance(fields, dict) and "refs" in fields:
        try:
            fields = values.fill(cast(dict[str, Json], fields), lost=True)
        except LostValue:
            return later_event(kind, orjson.loads(body))
    try:
        return BY_KIND[kind](**fields)  # twice as fast as `from_json`, which is for fields of a later release
    except (TypeError, KeyError):
        if kind not in BY_KIND or not isinstance(fields, dict):
            return later_event(kind, fields)
    try:
        return from_json(kind, cast(dict[str, Json], fields))
    except TypeError:
        return later_event(kind, fields)


def decode_entries(rows: Iterable[tuple[Any, ...]], run_id: str | None = None, values: Values = NOTHING) -> list[Entry]:
    """Rows of `id, run id, seq, epoch, at_us, kind, body`; without the run id where all are of `run_id`."""
    if run_id is None:
        return [
            Entry(number, whose, seq, epoch, at_us, decode_event(kind, body, values))
            for number, whose, seq, epoch, at_us, kind, body in rows
        ]
    return [
        Entry(number, run_id, seq, epoch, at_us, decode_event(kind, body, values))
        for number, seq, epoch, at_us, kind, body in rows
    ]


def entry_json(entry: Entry) -> dict[str, Json]:
    event = entry.event
    body = (
        event.body
        if isinstance(event, LaterEvent)
        else {field.name: getattr(event, field.name) for field in fields(event)}
    )
    return {
        "id": entry.id,
        "run": entry.run_id,
        "seq": entry.seq,
        "epoch": entry.epoch,
        "at": format_us(entry.at_us),
        "kind": event.kind,
        "body": body,
    }
