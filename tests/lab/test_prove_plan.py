"""Which cells a proof has: pure functions of the places that a good run passed."""

from __future__ import annotations

from itertools import count

import pytest

from tape.core.kernel.points import Death, Pass
from tape.lab.good import places_of
from tape.lab.proof import Cell, Place
from tape.lab.prove_plan import among_bodies, cells_of, deaths_at, kills_of, pairs_of, recovery_of


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
    frozen = [cell.place for cell in cells_of(batch, count(1)) if cell.death is Death.STOP]
    assert frozen == [begun_a]
    assert [cell.place for cell in cells_of(batch, count(1), (Death.STOP,))] == [begun_a]


def test_an_outbox_effect_opens_no_body_in_the_agent() -> None:
    mail, begun = Place("effect.begun", "mail", 0), Place("effect.begun", "a", 0)
    places = (mail, begun, Place("dispatch.started", "mail", 0), Place("effect.acted", "a", 0), Place("run.ending"))
    assert among_bodies(places) == frozenset()


def test_each_place_dies_each_death_that_is_wanted() -> None:
    places = (Place("effect.acted", "pay"), Place("observe.answered", "pay"))
    assert [(cell.number, cell.place.point, cell.death) for cell in cells_of(places, count(1))] == [
        (1, "effect.acted", Death.KILL),
        (2, "effect.acted", Death.TERM),
        (3, "effect.acted", Death.STOP),
        (4, "effect.acted", Death.LOST),
        (5, "observe.answered", Death.KILL),
    ]
    assert [cell.death for cell in cells_of(places, count(1), (Death.LOST, Death.KILL))] == [
        Death.KILL,
        Death.LOST,
        Death.KILL,
    ]


def test_a_recovery_is_what_comes_right_after_the_death() -> None:
    passed = tuple(Place("lease.granted", nth=nth) for nth in range(1, 8))
    cell = Cell(3, passed[1], Death.KILL)
    assert recovery_of(cell, passed) == passed[2:6]
    assert recovery_of(Cell(3, passed[1], Death.TERM), passed) == ()
    assert recovery_of(Cell(3, passed[1], Death.KILL, passed[2]), passed) == ()
    assert recovery_of(Cell(3, Place("run.ended"), Death.KILL), passed) == ()
    other = Cell(1, passed[0], Death.KILL)
    pairs = [*pairs_of([(cell, passed[2:4]), (other, passed[1:2])], count(8))]
    assert pairs == [
        Cell(8, passed[0], Death.KILL, passed[1]),
        Cell(9, passed[1], Death.KILL, passed[2]),
        Cell(10, passed[1], Death.KILL, passed[3]),
    ]


@pytest.mark.parametrize(
    ("first", "second", "armed"),
    [
        (Place("effect.acted", "pay", 0, 1), Place("effect.acted", "pay", 0, 2), 1),
        (Place("effect.acted", "pay", 0, 2), Place("effect.acted", "pay", 0, 4), 3),
        (Place("effect.acted", "pay", 0, 2), Place("effect.acted", "pay", 0, 1), 1),
        (Place("effect.acted", "pay", 0, 1), Place("effect.acted", "tip", 0, 2), 2),
        (Place("effect.acted", "pay", 0, 1), Place("effect.acted", "pay", 1, 2), 2),
    ],
)
def test_the_first_death_does_not_count_for_the_second(first: Place, second: Place, armed: int) -> None:
    kills = kills_of(Cell(1, first, Death.KILL, second))
    assert [(kill.nth, kill.signal) for kill in kills] == [(first.nth, Death.KILL), (armed, Death.KILL)]
    assert kills_of(Cell(1, first, Death.STOP)) == (first.kill(Death.STOP),)
