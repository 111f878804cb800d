"""A cap that a person may raise: real processes that are killed around the wait, and what a person says is neither lost
nor doubled. The tape is that of a run whose cap was never in the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tape.core.journal.views import open_reader
from tests.crash.stage import Stage
from tests.crash.test_budgets import purse

Opener = Callable[..., Stage]

STEPS: list[list[Any]] = [["ask"], ["call", "priced", 1], ["ask"], ["call", "priced", 2], ["call", "put", 3]]
"""The asks cost 0.001 and hold 0.01 back; a call of `priced` costs 0.02: 0.042 in all."""
TIGHT, WIDE = "{usd: 0.03}", "{usd: 1}"
TOP_UP = 45_000


def start(stage: Stage, steps: list[list[Any]] = STEPS) -> str:
    return stage.run(*steps, agent="asking")


def until_asked(stage: Stage, run: str, count: int = 1) -> Any:
    """The run has parked for a cap, and no process is bound by it. Returns the need."""
    stage.until_event("budget_awaited", run, count)
    stage.until_status(run, "WAITING")
    peers = stage.host.server.peers
    stage.watch.until(lambda: not any(run in peer.drives for peer in list(peers.values())), "its worker is free", 5)
    with open_reader(stage.journal) as reader:
        (need,) = [need for need in reader.needs() if need.kind == "budget" and need.run_id == run]
    return need


def give(stage: Stage, run: str, usd_micro: int = TOP_UP) -> Any:
    return stage.order("budget", run, caps={"usd_micro": usd_micro})


@pytest.fixture
def never(open_stage: Opener) -> list[str]:
    """The tape of the run whose cap is never in its way."""
    stage = open_stage(budget=WIDE)
    run = start(stage)
    assert stage.until_rest(run) == "TERMINAL"
    tape = stage.tape(run)
    stage.close()
    return tape


def test_raised_by_a_person_it_is_as_if_the_cap_had_been_higher(open_stage: Opener, never: list[str]) -> None:
    stage = open_stage(budget=TIGHT)
    run = start(stage)
    need = until_asked(stage, run)
    assert (need.key, need.most, need.cap, need.spent, need.reserved) == ("decision 1", 10_000, 30_000, 21_000, 0)
    assert len(stage.acts(run)) == 1 and stage.asked(run) == {0: 1}
    assert give(stage, run, 30_500)["waiting"][0]["enough"] == 31_000
    assert stage.status(run) == "WAITING", "too small"
    assert give(stage, run)["woken"] == [run]
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.tape(run) == never
    assert purse(stage, run)["usd_micro"] == (TOP_UP, 0, 42_000, 0)
    assert stage.asked(run) == {0: 1, 1: 1}


@pytest.mark.parametrize("death", ["KILL", "TERM", "LOST"])
def test_each_death_while_it_begins_to_wait(open_stage: Opener, never: list[str], death: str) -> None:
    stage = open_stage(budget=TIGHT)
    stage.arm("budget.awaited", death)
    run = start(stage)
    stage.until_reached("budget.awaited")
    until_asked(stage, run, 1 if death == "LOST" else 2)
    give(stage, run)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.tape(run) == never and stage.standing(run, "priced") == 2
    assert stage.asked(run) == {0: 1, 1: 1}


def test_frozen_while_it_begins_to_wait(open_stage: Opener, never: list[str]) -> None:
    stage = open_stage(budget=TIGHT, ttl="1s")
    stage.arm("budget.awaited", "STOP")
    run = start(stage)
    reached = stage.until_reached("budget.awaited")
    stage.until_event("budget_awaited", run, 2)
    stage.until_status(run, "WAITING")
    give(stage, run)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.watch.of("lease_granted", run)[-1].pid != reached.pid
    stage.order("thaw")
    assert stage.tape(run) == never


@pytest.mark.parametrize(
    ("point", "narrowed"),
    [
        ("decision.asking", {"decision_index": 1, "nth": 1}),
        ("decision.asking", {"decision_index": 1, "nth": 2}),
        ("lease.granted", {"nth": 1}),
        ("lease.granted", {"nth": 2}),
        ("effect.ended", {"tool": "priced", "nth": 1}),
        ("decision.recorded", {"decision_index": 1}),
        ("effect.begun", {"tool": "priced", "nth": 2}),
        ("effect.acted", {"tool": "priced", "nth": 2}),
        ("run.ending", {}),
    ],
)
def test_killed_before_and_after_the_person(
    open_stage: Opener, never: list[str], point: str, narrowed: dict[str, Any]
) -> None:
    stage = open_stage(budget=TIGHT)
    stage.arm(point, **narrowed)
    run = start(stage)
    until_asked(stage, run)
    give(stage, run)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached(point) == 1
    assert stage.tape(run) == never and stage.standing(run, "priced") == 2
    assert purse(stage, run)["usd_micro"] == (TOP_UP, 0, 42_000, 0)


def test_the_reply_is_lost_that_the_person_paid_for(open_stage: Opener, never: list[str]) -> None:
    """It is lost at its maximum, and the person is asked once more."""
    stage = open_stage(budget=TIGHT)
    stage.arm("decision.replied", decision_index=1)
    run = start(stage)
    until_asked(stage, run)
    give(stage, run, 31_000)
    stage.until_reached("decision.replied")
    need = until_asked(stage, run, 2)
    assert (need.spent, need.most) == (31_000, 10_000)
    give(stage, run, 60_000)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.tape(run) == never
    assert purse(stage, run)["usd_micro"] == (60_000, 0, 52_000, 10_000)
    assert stage.asked(run) == {0: 1, 1: 2}


DENIABLE: list[list[Any]] = [["ask"], ["call", "priced", 1], ["call", "priced", 2], ["call", "put", 3]]


@pytest.mark.parametrize("point", [None, "budget.awaited", "lease.granted", "run.ending", "effect.begun"])
def test_denied_it_is_refused_once_whoever_dies(open_stage: Opener, point: str | None) -> None:
    stage = open_stage(budget=TIGHT)
    if point is not None:
        narrowed = {"effect.begun": {"tool": "put"}, "lease.granted": {"nth": 2}}.get(point, {})
        stage.arm(point, **narrowed)
    run = start(stage, DENIABLE)
    need = until_asked(stage, run, 2 if point == "budget.awaited" else 1)
    assert need.key == f"{run}/0/1/priced"
    assert stage.order("budget", run, deny=True, reason="too much") == {"denied": [need.key]}
    assert stage.until_rest(run) == "TERMINAL"
    (refused,) = stage.watch.of("budget_refused", run)
    assert (refused.place, refused.actor, refused.reason) == (need.key, "tester", "too much")
    assert [line.split()[0] for line in stage.tape(run)][-3:] == stage_end(stage, run)
    assert stage.standing(run, "priced") == 1 and stage.standing(run, "put") == 1
    assert point is None or stage.reached(point) == 1


def stage_end(stage: Stage, run: str) -> list[str]:
    return [line.split()[0] for line in stage.tape(run)][-3:]


def test_of_a_batch_one_waits_and_is_killed(open_stage: Opener) -> None:
    batch = [["batch", [["priced", 1], ["priced", 2], ["put", 3]]], ["call", "put", 4]]
    wide = open_stage(budget=WIDE)
    run = start(wide, batch)
    assert wide.until_rest(run) == "TERMINAL"
    never = wide.tape(run)
    wide.close()
    stage = open_stage(budget=TIGHT)
    stage.arm("effect.acted", tool="put", nth=1)
    run = start(stage, batch)
    until_asked(stage, run)
    give(stage, run)
    assert stage.until_rest(run) == "TERMINAL"
    assert sorted(stage.tape(run)) == sorted(never), "who of a batch is quicker differs from run to run"
    assert stage.standing(run, "priced") == 2


def test_raised_while_a_sibling_is_at_work(open_stage: Opener) -> None:
    """The run has a process, whose other body is open: what waited goes ahead beside it, in the same drive."""
    stage = open_stage(budget="{usd: 0.01}")
    run = start(stage, [["batch", [["slowly", 1], ["priced", 2]]]])
    stage.until_event("budget_awaited", run)
    give(stage, run, 20_000)
    stage.watch.until(lambda: stage.watch.of("effect_ended", run, tool="priced"), "the call went ahead")
    assert stage.status(run) == "RUNNING" and not stage.watch.of("effect_ended", run, tool="slowly")
    (stage.logs / "mercy").touch()
    assert stage.until_rest(run) == "TERMINAL"
    assert len(stage.watch.of("lease_granted", run)) == 1


def test_the_server_goes_away_while_it_waits(open_stage: Opener, never: list[str]) -> None:
    stage = open_stage(budget=TIGHT)
    run = start(stage)
    until_asked(stage, run)
    stage.restart()
    with open_reader(stage.journal) as reader:
        assert [need.key for need in reader.needs()] == ["decision 1"]
    give(stage, run)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.tape(run) == never


def test_cancelled_while_it_waits(open_stage: Opener) -> None:
    stage = open_stage(budget=TIGHT)
    run = start(stage)
    until_asked(stage, run)
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    with open_reader(stage.journal) as reader:
        assert reader.needs() == []


@pytest.mark.parametrize("point", [None, "budget.awaited", "effect.acted"])
def test_children_wait_for_their_parents_cap(open_stage: Opener, point: str | None) -> None:
    stage = open_stage(workers=2, concurrency=2, budget="{usd: 0.03}")
    if point is not None:
        stage.arm(point, tool="priced", each_run=True)
    parent = start(stage, [["children", [[["call", "priced", n]] for n in range(3)]]])
    stage.until_event("budget_awaited", count=2)
    children = [event.child for event in stage.watch.of("child_started", parent)]
    stage.watch.until(
        lambda: sum(stage.status(child) == "WAITING" for child in children) == 2, "two of three wait for a cap"
    )
    assert give(stage, parent, 60_000)["waiting"] == []
    assert stage.until_rest(parent, seconds=60) == "TERMINAL"
    assert purse(stage, parent)["usd_micro"] == (60_000, 0, 60_000, 0)
    assert sum(stage.standing(child) for child in children) == 3
    assert not stage.watch.of("budget_refused")


def test_what_a_dispatched_body_reports_is_charged(open_stage: Opener) -> None:
    """Of one that the run waits for, and of one that outlives it."""
    stage = open_stage(budget="{usd: 0.05}")
    run = stage.run(["call", "mail_dear", 1], ["enqueue", "mail_dear", 2], ["call", "peek", 3])
    assert stage.until_rest(run) == "TERMINAL", stage.watch.tail()
    stage.until_event("effect_ended", run, 3)
    assert purse(stage, run)["usd_micro"] == (50_000, 0, 60_000, 0) and purse(stage, run)["tokens"][2] == 80
    assert [event.by for event in stage.watch.of("budget_overrun", run)] == [10_000]


def test_a_first_cap_holds_from_the_next_ask_on(open_stage: Opener) -> None:
    """The run is at work, under no cap so far; one is set, and as soon as the agent hears of it, an ask is refused. It
    hears of it before the answer to its next boundary."""
    stage = open_stage()
    run = stage.run(["ask"], ["until", "go"], *[["ask"]] * 10)
    stage.until_event("charge", run)
    stage.order("budget", run, caps={"usd_micro": 5_000})
    (stage.logs / "go").touch()
    assert stage.until_rest(run) == "FAILED"
    (refused,) = stage.watch.of("budget_refused", run)
    asked = stage.asked(run)
    assert refused.place == f"decision {len(asked)}" and len(asked) < 5
