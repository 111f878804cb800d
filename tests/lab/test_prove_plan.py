"""Which cells a proof has: pure functions of the places that a good run passed."""

from __future__ import annotations

import pytest

from tape.core.kernel.points import Death, Pass
from tape.lab.good import places_of
from tape.lab.proof import Place
from tape.lab.prove_plan import among_bodies, deaths_at


def test_passes_are_numbered_among_their_like() -> None:
    passes = [
        Pass("r", "effect.begun", "pay", 1),
        Pass("r", "effect.begun", "pay", 1),
        Pass("r", "effect.begun", "tip", 1),
    ]
    assert [place.nth for place in places_of(passes)] == [1, 2, 1]
    assert [place.label for place in places_of(passes)] == [
        "effect.begun 1/pay",
        "effect.begun 1/pay #2",
        "effect.begun 1/tip",
    ]


@pytest.mark.parametrize(
    ("point", "deaths"),
    [
        ("effect.acted", {Death.KILL, Death.TERM, Death.STOP, Death.LOST}),
        ("lease.granted", {Death.KILL, Death.TERM, Death.STOP, Death.LOST}),
        ("observe.answered", {Death.KILL}),
        ("dispatch.acted", {Death.KILL}),
        ("at:mine", {Death.KILL, Death.TERM}),
    ],
)
def test_what_can_be_done_at_a_place(point: str, deaths: set[Death]) -> None:
    assert set(deaths_at(Place(point))) == deaths


def test_nobody_is_frozen_while_another_body_is_open() -> None:
    begun_a, begun_b = Place("effect.begun", "a", 0), Place("effect.begun", "b", 0)
    acted_a, acted_b = Place("effect.acted", "a", 0), Place("effect.acted", "b", 0)
    ended_a, ended_b = Place("effect.ended", "a", 0), Place("effect.ended", "b", 0)
    batch = (begun_a, begun_b, acted_b, ended_b, acted_a, ended_a)
    assert among_bodies(batch) == set(batch) - {begun_a}
    assert among_bodies((*batch, Place("run.ending"))) == set(batch) - {begun_a}
    assert among_bodies((begun_a, acted_a, ended_a, begun_b, acted_b, ended_b)) == frozenset()


def test_an_outbox_effect_opens_no_body_in_the_agent() -> None:
    mail, begun = Place("effect.begun", "mail", 0), Place("effect.begun", "a", 0)
    places = (mail, begun, Place("dispatch.started", "mail", 0), Place("effect.acted", "a", 0), Place("run.ending"))
    assert among_bodies(places) == frozenset()
