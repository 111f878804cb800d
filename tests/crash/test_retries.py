"""Retries and time limits, with real processes and an upstream that fails: one layer of retries, under one key; what is
rejected, what is in doubt, and what is over its time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.stage import Stage
from tests.crash.test_points import effect_of, rows_of


def bodies(stage: Stage, key: str) -> list[int]:
    """The attempts of one key that entered the body, by the crew's own notes."""
    return [line["attempt"] for line in stage.lines("bodies.jsonl") if line["what"] == "enter" and line["key"] == key]


def failed(stage: Stage, tool: str, kind: str, times: int) -> None:
    """The mint (it honours keys) or the bank answers like that, so many times."""
    upstream = stage.upstreams.mint if tool in ("put_again", "put") else stage.upstreams.bank
    upstream.set_faults([{"kind": kind, "collection": tool, "count": times}])


def grants(stage: Stage, run: str) -> int:
    return len(stage.watch.of("lease_granted", run))


# --- one layer, one key -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fail_before", "fail_after", "lose_answer"])
@pytest.mark.parametrize("times", [1, 3])
def test_retries_are_in_one_drive_and_under_one_key(stage: Stage, kind: str, times: int) -> None:
    failed(stage, "put_again", kind, times)
    run = stage.run(["ask"], ["call", "put_again", 7], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, "put_again")
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("CONFIRMED", "redispatched", times + 1)
    assert bodies(stage, effect["key"]) == [*range(1, times + 2)]
    assert len({line["key"] for line in stage.lines("bodies.jsonl") if line["key"].startswith(run)}) == 1
    assert grants(stage, run) == 1
    assert stage.standing(run) == len(stage.acts(run)) == 1


def test_after_the_last_retry_the_table_decides_and_nothing_multiplies(stage: Stage) -> None:
    """Three retries are four bodies; then the run parks, and each later drive is one body more: never four again."""
    failed(stage, "put_again", "fail_before", 6)
    run = stage.run(["call", "put_again", 7])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, "put_again")
    assert (effect["status"], effect["attempts"]) == ("CONFIRMED", 7)
    assert bodies(stage, effect["key"]) == [1, 2, 3, 4, 5, 6, 7]
    assert grants(stage, run) == 4
    assert len(stage.acts(run)) == 1


def test_a_kill_between_retries_keeps_the_key_and_the_count(stage: Stage) -> None:
    """The answer of the first body is lost, the agent dies when the second has acted: a third one, under the key."""
    failed(stage, "put_again", "lose_answer", 1)
    stage.arm("effect.acted", tool="put_again", nth=2)
    run = stage.run(["call", "put_again", 7])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, "put_again")
    assert (effect["status"], bodies(stage, effect["key"])) == ("CONFIRMED", [1, 2, 3])
    assert (grants(stage, run), stage.reached("effect.acted")) == (2, 1)
    assert len(stage.acts(run)) == 1


# --- rejected, or in doubt ----------------------------------------------------------------------------------------


def test_rejected_is_failed_without_a_look_up(stage: Stage) -> None:
    run = stage.run(["ask"], ["call", "refuse", 7], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, "refuse")
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("FAILED", "rejected", 1)
    assert rows_of(stage, run) == () and not stage.watch.of("observed", run)
    assert grants(stage, run) == 1
    assert stage.acts(run) == []


@pytest.mark.parametrize(
    ("tool", "kind", "resolution", "attempts"),
    [
        ("wire", "fail_after", "observed", 1),
        ("wire", "lose_answer", "observed", 1),
        ("wire", "fail_before", "redispatched", 2),
        ("put", "fail_after", "redispatched", 2),
        ("put", "fail_before", "redispatched", 2),
    ],
)
def test_any_other_exception_is_in_doubt_and_settled(
    stage: Stage, tool: str, kind: str, resolution: str, attempts: int
) -> None:
    """The body says the same in all cases, that it failed; whether it acted is found out, and it is one act."""
    failed(stage, tool, kind, 1)
    run = stage.run(["ask"], ["call", tool, 7], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, tool)
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("CONFIRMED", resolution, attempts)
    assert stage.standing(run) == len(stage.acts(run)) == 1
    (doubted, *_) = stage.watch.of("effect_doubted", run)
    assert (doubted.status, doubted.why) == ("UNKNOWN", "raised")


def test_nobody_retries_what_only_a_person_can_know(stage: Stage) -> None:
    failed(stage, "blind", "fail_after", 1)
    run = stage.run(["call", "blind", 7])
    assert stage.until_rest(run) == "STUCK"
    assert bodies(stage, f"{run}/-/0/blind") == [1]
    assert len(stage.acts(run)) == 1


def test_rejected_speaks_for_its_own_attempt_only(stage: Stage) -> None:
    """The first attempt had acted: the second one's Rejected does not make the effect FAILED."""
    run = stage.run(["call", "moody", 7])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, "moody")
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("CONFIRMED", "observed", 2)
    assert len(stage.acts(run)) == 1


# --- over its time ------------------------------------------------------------------------------------------------


def test_a_thread_over_its_time_dies_with_its_process_and_is_asked_about(stage: Stage) -> None:
    """Nobody can cancel a thread: the process ends itself, the effect is in doubt, the look-up finds the act."""
    run = stage.run(["call", "hasty_thread", 7], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, "hasty_thread")
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("CONFIRMED", "observed", 1)
    assert grants(stage, run) == 2
    assert len(stage.acts(run)) == 1


def test_what_is_over_its_time_in_the_outbox_is_tried_again_under_its_key(stage: Stage) -> None:
    run = stage.run(["call", "mail_hasty", 7], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, "mail_hasty")
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("CONFIRMED", "redispatched", 2)
    over: list[Any] = stage.watch.of("attempt_ended", run, what="body")
    assert [each.how for each in over] == ["timed out"]
    assert len(stage.acts(run)) == 1
