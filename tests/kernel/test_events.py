"""The vocabulary: every kind survives JSON, and the tape's kinds are those of contract.md section 2."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import MISSING, fields
from typing import Any

import orjson
import pytest

from tape.core.kernel import events
from tape.core.kernel.events import BY_KIND, STORY_EVENTS, TAPE_EVENTS, TAPE_KINDS, Event, from_json

CONTRACT_KINDS = {
    "run_started",
    "decision",
    "charge",
    "effect_begun",
    "effect_ended",
    "sample",
    "gate_opened",
    "gate_answered",
    "timer_set",
    "timer_fired",
    "child_started",
    "child_ended",
    "budget_refused",
    "run_ended",
}
VALUES: dict[Any, Any] = {
    str: "text é",
    int: 7,
    bool: True,
    float: 1.5,
    list[str]: ["a", "b"],
    Any: {"nested": [1, 2.0, None, "x"]},
}


def sample_of(cls: type[Event], *, whole: bool) -> Event:
    """An event with a value in every field, or in those without a default only."""
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in fields(cls):
        if whole or field.default is MISSING:
            hint = hints[field.name]
            parts = [part for part in typing.get_args(hint) if part is not type(None)]
            values[field.name] = VALUES[hint] if hint in VALUES else VALUES[parts[0]]
    return cls(**values)


@pytest.mark.parametrize("cls", BY_KIND.values(), ids=lambda cls: cls.kind)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "defaults"])
def test_every_kind_survives_json(cls: type[Event], whole: bool) -> None:
    event = sample_of(cls, whole=whole)
    body = orjson.loads(orjson.dumps(event))
    assert set(body) == {field.name for field in fields(cls)}, "the kind is the entry's column, not a field"
    again = from_json(cls.kind, body)
    assert again == event
    assert orjson.dumps(again) == orjson.dumps(event)


@pytest.mark.parametrize("cls", BY_KIND.values(), ids=lambda cls: cls.kind)
def test_fields_of_a_later_release_are_dropped(cls: type[Event]) -> None:
    body = orjson.loads(orjson.dumps(sample_of(cls, whole=True)))
    assert from_json(cls.kind, {**body, "added_later": 1}) == from_json(cls.kind, body)


@pytest.mark.parametrize("cls", BY_KIND.values(), ids=lambda cls: cls.kind)
def test_what_an_older_release_did_not_write_takes_its_default(cls: type[Event]) -> None:
    body = orjson.loads(orjson.dumps(sample_of(cls, whole=True)))
    needed = {field.name for field in fields(cls) if field.default is MISSING}
    assert from_json(cls.kind, {name: body[name] for name in needed}) == sample_of(cls, whole=False)


def test_events_are_frozen() -> None:
    event = events.TimerFired(ordinal=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.ordinal = 2  # type: ignore[misc]


def test_the_kinds_on_the_tape_are_the_contracts() -> None:
    assert TAPE_KINDS == CONTRACT_KINDS
    assert not {event.kind for event in STORY_EVENTS} & CONTRACT_KINDS


def test_every_event_has_one_kind_and_is_listed_once() -> None:
    listed = [*TAPE_EVENTS, *STORY_EVENTS]
    assert len(BY_KIND) == len(listed) == len(set(listed))
    declared = {
        value
        for value in vars(events).values()
        if isinstance(value, type) and issubclass(value, Event) and value is not Event
    }
    assert declared == set(listed)
