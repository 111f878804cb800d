"""Correct agents of many shapes: none of them is accused of anything."""

from __future__ import annotations

import pytest

from tape.core.kernel.points import POINTS
from tests.prove.conftest import Prove, assert_acquitted

pytestmark = pytest.mark.slow


def test_several_tools_at_a_time(prove: Prove) -> None:
    """Two of them send no key and are open at the same time, at the same collection."""
    assert_acquitted(prove("manners", "crowd")["crowd"])


def test_outbox_with_a_second_death(prove: Prove) -> None:
    """Who of agent and outbox comes first differs from run to run: the run that waits is granted a second lease, the
    one that need not wait is not, and a second place may not be passed again."""
    proof = prove("manners", "post_office", pairs=True)["post_office"]
    assert proof["holds"], proof["causes"]
    assert proof["marks"]["holds"] > 50
    missed = [result["cell"] for result in proof["results"] if result["mark"] == "missed"]
    assert all(cell["second"] is not None or cell["place"]["point"] == "lease.granted" for cell in missed), missed
    second = {result["cell"]["second"]["point"] for result in proof["results"] if result["cell"]["second"]}
    assert {"dispatch.started", "dispatch.acted"} <= second | {place["point"] for place in proof["boundaries"]}


def test_what_is_undone(prove: Prove) -> None:
    """A run that fails undoes its acts; an act that nobody can look up is undone. Both leave nothing behind."""
    proofs = prove("manners", "regretful", "undoing")
    assert_acquitted(proofs["regretful"])
    assert proofs["regretful"]["status"] == "FAILED"
    assert {result["acts"] for result in proofs["regretful"]["results"]} == {1}
    assert_acquitted(proofs["undoing"])
    undone = [result for result in proofs["undoing"]["results"] if "compensated" in result["resolutions"]]
    assert undone and all(result["acts"] == 0 for result in undone)


def test_what_only_a_person_knows(prove: Prove) -> None:
    proof = prove("manners", "asking")["asking"]
    assert_acquitted(proof)
    asked = {result["label"] for result in proof["results"] if result["mark"] == "person"}
    assert asked == {f"effect.{what} shout {death}" for what in ("begun", "acted") for death in ("KILL", "STOP")}
    assert all(result["acts"] == 1 for result in proof["results"])


def test_pauses_of_hours_and_chance_from_the_tape(prove: Prove) -> None:
    proof = prove("manners", "patient")["patient"]
    assert_acquitted(proof)
    assert {"timer.set", "at:before-reminder"} <= {place["point"] for place in proof["boundaries"]}


def test_a_long_run(prove: Prove) -> None:
    assert_acquitted(prove("manners", "long", input=6)["long"])


def test_a_model_that_answers_otherwise_each_time(prove: Prove) -> None:
    """How much is done is its decision: not all places come again, and nobody is convicted for that."""
    proof = prove("manners", "moody")["moody"]
    assert proof["holds"], [cause["sentence"] for cause in proof["causes"]]
    assert proof["marks"]["holds"] >= 20


def test_every_point_of_the_registry_is_a_place(prove: Prove) -> None:
    """But the one that only a recovery passes (`test_outbox_with_a_second_death` kills on the way back), and the one
    that waits for a person's money (`test_spending`)."""
    proof = prove("manners", "household")["household"]
    places = {place["point"] for place in proof["boundaries"]}
    assert places == {point.name for point in POINTS} - {"observe.answered", "budget.awaited"}
    assert proof["holds"], [cause["sentence"] for cause in proof["causes"]]
    killed = {(result["cell"]["place"]["point"], result["cell"]["signal"]) for result in proof["results"]}
    assert {point for point, death in killed if death == "KILL"} == places
