"""Every row of contract.md section 4, end to end through the verbs: begun, lost, asked, run again, ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tape.core.journal import claims, effects, runs, workers
from tape.core.journal.effects import Ending
from tape.core.kernel.errors import Fenced, Refused, UsageError
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.policy import SECOND_US
from tape.core.kernel.resolution import Answer, Dispatch, OnUnknown, Semantics
from tests.journal.book import (
    ANY_STEP,
    BLIND,
    CLAIM_US,
    CONFIRMED,
    IDEMPOTENT,
    IDEMPOTENT_LOOK_UP,
    LOOK_UP,
    OUTBOX_BLIND,
    READ,
    SURE,
    TTL_US,
    UNDO_UNKNOWN,
    Book,
)
from tests.journal.book import (
    ToolPolicy as Tool,
)


def lost(book: Book, policy: Tool, *, proven: bool = True) -> tuple[str, str]:
    """A run whose worker died in the body."""
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, policy)
    book.die(run_id, proven=proven)
    return run_id, key


def redone(book: Book, run_id: str, key: str) -> None:
    """The body runs again on re-drive, returns, and the run ends."""
    epoch = book.again(run_id)
    number = book.retry(run_id, epoch, key)
    book.end(run_id, epoch, key, number)
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    assert outcome(book, key) == ("CONFIRMED", "redispatched", "agent")


def outcome(book: Book, key: str) -> tuple[str, str, str]:
    row = book.effect(key)
    return row["status"], row["resolution"], row["writer"]


def rows_of(book: Book) -> list[str]:
    return [body["row"] for body in book.bodies("effect_doubted")]


@pytest.mark.parametrize(("policy", "row"), [(READ, "R-again"), (IDEMPOTENT, "I-again")])
def test_runs_again(book: Book, policy: Tool, row: str) -> None:
    run_id, key = lost(book, policy)
    assert rows_of(book) == [row]
    assert (book.status(run_id), book.effect(key)["status"]) == ("RUNNABLE", "PENDING")
    redone(book, run_id, key)


@pytest.mark.parametrize("policy", [READ, IDEMPOTENT])
def test_runs_again_even_if_the_death_is_not_proven(book: Book, policy: Tool) -> None:
    """The rule about the earlier body is for non_idempotent tools only."""
    run_id, key = lost(book, policy, proven=False)
    redone(book, run_id, key)


@pytest.mark.parametrize(("policy", "row"), [(IDEMPOTENT_LOOK_UP, "I-present"), (LOOK_UP, "N-present")])
def test_present(book: Book, policy: Tool, row: str) -> None:
    run_id, key = lost(book, policy)
    assert (book.status(run_id), book.effect(key)["status"]) == ("WAITING", "UNKNOWN")
    assert book.run(run_id)["waiting_on"] == "look-up of -/0/tool"
    assert book.observe(run_id, key, Answer.PRESENT, [{"wire": 7}]) == row
    assert outcome(book, key) == ("CONFIRMED", "observed", "reconciler")
    ended = book.bodies("effect_ended")[0]
    assert (ended["result"], ended["row"], ended["attempt"]) == ({"wire": 7}, row, 1)
    assert book.status(run_id) == "RUNNABLE"


def test_i_absent(book: Book) -> None:
    run_id, key = lost(book, IDEMPOTENT_LOOK_UP)
    assert book.observe(run_id, key, Answer.ABSENT) == "I-absent"
    redone(book, run_id, key)


def test_i_unclear_is_asked_six_times_then_runs_again(book: Book) -> None:
    run_id, key = lost(book, IDEMPOTENT_LOOK_UP)
    for _ in range(5):
        assert book.observe(run_id, key, Answer.UNCLEAR) == "I-unclear"
        assert book.status(run_id) == "WAITING"
        assert book.effect(key)["next_boot_us"] > book.clock.boot_us()
    book.observe(run_id, key, Answer.UNCLEAR)
    redone(book, run_id, key)


def test_n_absent_runs_again_after_the_settle_delay(book: Book) -> None:
    run_id, key = lost(book, SURE)
    assert book.observe(run_id, key, Answer.ABSENT) == "N-settling"
    assert book.effect(key)["asks"] == 0, "to wait is no failure to answer"
    assert book.effect(key)["next_boot_us"] == book.clock.boot_us() + 2 * SECOND_US
    assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"
    redone(book, run_id, key)


def test_the_settle_delay_counts_until_the_question_not_until_the_answer(book: Book) -> None:
    """An upstream that was asked too early and answers late has not been asked late."""
    run_id, key = lost(book, SURE)
    book.clock.advance(1.9)
    claim = book.claim(run_id, key)
    book.clock.advance(1)
    assert book.do(claims.record_observation, claim, Answer.ABSENT, [], "") == "N-settling"
    assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"


def test_the_settle_delay_counts_from_the_latest_attempts_end(book: Book) -> None:
    run_id, key = lost(book, SURE)
    book.clock.advance(2)
    assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"
    epoch = book.again(run_id)
    book.retry(run_id, epoch, key)
    book.clock.advance(5)
    book.die(run_id)
    assert book.observe(run_id, key, Answer.ABSENT) == "N-settling"
    assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"


def test_n_absent_is_unclear_without_authority(book: Book) -> None:
    run_id, key = lost(book, LOOK_UP)
    assert book.observe(run_id, key, Answer.ABSENT) == "N-unclear"
    assert book.status(run_id) == "WAITING"


def test_n_absent_is_unclear_where_the_death_is_not_proven(book: Book) -> None:
    run_id, key = lost(book, SURE, proven=False)
    book.clock.advance(10)
    assert book.observe(run_id, key, Answer.ABSENT) == "N-unclear"


@pytest.mark.parametrize("how", ["confirm", "fail", "retry"])
def test_n_unclear_ends_with_a_person(book: Book, how: str) -> None:
    run_id, key = lost(book, SURE)
    for _ in range(6):
        assert book.observe(run_id, key, Answer.UNCLEAR) == "N-unclear"
    assert (book.status(run_id), book.effect(key)["step"]) == ("STUCK", "person")
    stuck = book.bodies("run_moved")[-1]
    assert f"tape resolve {key} --fail --reason TEXT" in stuck["commands"]
    decided(book, run_id, key, how)


@pytest.mark.parametrize("how", ["confirm", "fail", "retry"])
def test_n_ask_is_stuck_at_once(book: Book, how: str) -> None:
    run_id, key = lost(book, BLIND)
    assert rows_of(book) == ["N-ask"]
    assert (book.status(run_id), book.effect(key)["status"]) == ("STUCK", "UNKNOWN")
    decided(book, run_id, key, how)


def decided(book: Book, run_id: str, key: str, how: str) -> None:
    assert book.do(claims.resolve_effect, run_id, key, how, {"by": "hand"}, "I looked") == "RUNNABLE"
    assert book.run(run_id)["error"] == ""
    if how == "retry":
        redone(book, run_id, key)
        return
    assert outcome(book, key) == ("CONFIRMED" if how == "confirm" else "FAILED", "decided", "operator")
    ended = book.bodies("effect_ended")[0]
    if how == "confirm":
        assert ended["result"] == {"by": "hand"}
    else:
        assert ended["error"] == {"type": "EffectFailed", "message": "I looked"}
    book.refused(claims.resolve_effect, run_id, key, how, None, "again", says="has ended already")


def test_x_duplicate_without_undo_is_a_conflict(book: Book) -> None:
    run_id, key = lost(book, LOOK_UP)
    assert book.observe(run_id, key, Answer.DUPLICATE, [{"id": 1}, {"id": 2}, {"id": 3}]) == "X-duplicate"
    assert outcome(book, key) == ("CONFIRMED", "observed", "reconciler")
    assert book.bodies("effect_ended")[0]["result"] == {"id": 1}
    assert [body["evidence"] for body in book.bodies("conflict_opened")] == [{"id": 2}, {"id": 3}]
    assert len(book.rows("SELECT * FROM conflict WHERE closed_us IS NULL")) == 2
    assert book.status(run_id) == "RUNNABLE"


def test_x_duplicate_also_for_idempotent_tools(book: Book) -> None:
    run_id, key = lost(book, IDEMPOTENT_LOOK_UP)
    assert book.observe(run_id, key, Answer.DUPLICATE) == "X-duplicate"


def test_n_undo(book: Book) -> None:
    run_id, key = lost(book, UNDO_UNKNOWN)
    assert rows_of(book) == ["N-undo"]
    assert (book.status(run_id), book.run(run_id)["waiting_on"]) == ("WAITING", "undo of -/0/tool")
    assert book.duty(f"{key}/undo/1")["status"] == "DUE"
    book.undo(run_id, f"{key}/undo/1")
    assert outcome(book, key) == ("FAILED", "compensated", "compensation")
    assert book.status(run_id) == "RUNNABLE"


@pytest.mark.parametrize("how", ["confirm", "fail", "retry"])
def test_n_undo_never_comes_before_an_act_that_may_still_come(book: Book, how: str) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDO_UNKNOWN)
    book.die(run_id, proven=False)
    assert rows_of(book) == ["N-undo"]
    assert (book.status(run_id), book.effect(key)["step"]) == ("STUCK", "person")
    assert book.duty(f"{key}/undo/1")["status"] == "ARMED"
    decided(book, run_id, key, how)


def test_n_undo_waits_for_a_person_where_a_dispatch_may_still_act(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, replace(UNDO_UNKNOWN, dispatch=Dispatch.OUTBOX))
    book.do(runs.park, run_id, epoch, [key], "waits")
    claim = book.claim(run_id, key, "body")
    book.clock.advance(60)
    book.do(claims.void_claim, run_id, key, claim.epoch, "the claim ran out", book.recovery, proven=False)
    assert (book.effect(key)["step"], book.duty(f"{key}/undo/1")["status"]) == ("person", "ARMED")


def test_n_undo_needs_a_compensation(book: Book) -> None:
    run_id, epoch = book.driven()
    call = effects.Call(None, 0, "tool", {}, Tool(on_unknown=OnUnknown.COMPENSATE))
    book.refused(effects.begin_effect, run_id, epoch, call, "f", by=UsageError, says="compensate")


def test_a_key_that_ran_out_makes_an_idempotent_tool_non_idempotent(book: Book) -> None:
    policy = Tool(semantics=Semantics.IDEMPOTENT, key_lifetime_us=60 * SECOND_US)
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, policy)
    book.clock.advance(14)
    worker = book.run(run_id)["worker_no"]
    for _ in range(5):
        book.do(runs.renew_leases, worker, TTL_US)
        book.clock.advance(14)
    book.die(run_id)
    assert rows_of(book) == ["N-ask"]
    assert book.status(run_id) == "STUCK"
    assert key


def test_a_key_that_runs_out_before_the_redrive(book: Book) -> None:
    """I-again was right when it was judged; when the run is to be driven, the upstream has forgotten the key."""
    policy = Tool(semantics=Semantics.IDEMPOTENT, key_lifetime_us=60 * SECOND_US)
    run_id, key = lost(book, policy)
    assert book.status(run_id) == "RUNNABLE"
    assert book.do(effects.recheck_keys, run_id) is False
    book.clock.advance(61)
    named = {"ttl_us": TTL_US, "concurrency": 1, "recovery": book.recovery}
    book.refused(runs.grant, run_id, book.worker(), **named, says="settled first")
    assert book.do(effects.recheck_keys, run_id) is True
    assert book.status(run_id) == "STUCK" and rows_of(book) == ["I-again", "N-ask"]
    assert book.do(claims.resolve_effect, run_id, key, "retry", None, "it is not there") == "RUNNABLE"
    redone(book, run_id, key)


def test_a_key_that_runs_out_during_the_redrive(book: Book) -> None:
    policy = Tool(semantics=Semantics.IDEMPOTENT, key_lifetime_us=60 * SECOND_US, look_up=True)
    run_id, key = lost(book, policy)
    book.observe(run_id, key, Answer.ABSENT)
    book.clock.advance(59)
    epoch = book.again(run_id)
    book.clock.advance(2)
    book.refused(effects.start_attempt, run_id, epoch, key, 2, says="forgotten its key")
    book.do(runs.park, run_id, epoch, [], "its key has run out")
    assert (book.status(run_id), book.effect(key)["step"]) == ("WAITING", "ask_later")
    book.observe(run_id, key, Answer.PRESENT)
    assert book.status(run_id) == "RUNNABLE"


def test_attempts_are_numbered_and_durable_before_they_start(book: Book) -> None:
    run_id, key = lost(book, IDEMPOTENT)
    epoch = book.again(run_id)
    book.refused(effects.start_attempt, run_id, epoch, key, 3, says="attempt 3 after 1")
    book.refused(effects.start_attempt, run_id, epoch, key, 1, says="attempt 1 after 1")
    book.retry(run_id, epoch, key)
    book.refused(effects.start_attempt, run_id, epoch, key, 3, says="a body is open")
    book.refused(effects.end_effect, run_id, epoch, key, 1, CONFIRMED, None, says="not the live one")
    numbers = book.rows("SELECT number, how, ended_us FROM attempt WHERE key = ? ORDER BY number", key)
    assert [(row["number"], row["how"], row["ended_us"] is None) for row in numbers] == [
        (1, "signal 9", False),
        (2, "", True),
    ]


def test_what_a_reactor_or_person_settles_is_not_run_by_the_agent(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, LOOK_UP)
    book.fail(run_id, epoch, key)
    book.refused(effects.start_attempt, run_id, epoch, key, 2, says="not to run again now")
    book.refused(
        claims.claim_effect,
        run_id,
        key,
        ANY_STEP,
        "reconciler",
        what="look-up",
        claim_us=CLAIM_US,
        worker_no=None,
        says="being driven",
    )


def test_a_death_of_a_run_with_two_open_effects(book: Book) -> None:
    run_id, epoch = book.driven()
    asked, blind = book.begin(run_id, epoch, LOOK_UP, 0), book.begin(run_id, epoch, BLIND, 1)
    book.die(run_id)
    assert book.status(run_id) == "STUCK"
    assert book.do(claims.resolve_effect, run_id, blind, "fail", None, "no") == "WAITING"
    book.observe(run_id, asked, Answer.PRESENT)
    assert book.status(run_id) == "RUNNABLE"


def test_a_person_after_the_reactor(book: Book) -> None:
    run_id, epoch = book.driven()
    asked, blind = book.begin(run_id, epoch, LOOK_UP, 0), book.begin(run_id, epoch, BLIND, 1)
    book.die(run_id)
    book.observe(run_id, asked, Answer.PRESENT)
    assert book.status(run_id) == "STUCK"
    assert book.do(claims.resolve_effect, run_id, blind, "confirm", None, "yes") == "RUNNABLE"


def test_a_resolve_while_the_run_is_driven_takes_no_lease_away(book: Book) -> None:
    run_id, epoch = book.driven()
    blind, other = book.begin(run_id, epoch, BLIND, 0), book.begin(run_id, epoch, READ, 1)
    book.fail(run_id, epoch, blind)
    assert book.do(claims.resolve_effect, run_id, blind, "fail", None, "no") == "RUNNING"
    book.end(run_id, epoch, other)
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)


@pytest.mark.parametrize("policy", [READ, IDEMPOTENT, LOOK_UP, SURE, UNDO_UNKNOWN])
def test_only_what_is_for_a_person_is_resolved_by_one(book: Book, policy: Tool) -> None:
    run_id, key = lost(book, policy)
    book.refused(claims.resolve_effect, run_id, key, "fail", None, "no", says="not for a person")
    book.refused(claims.resolve_effect, run_id, key, "delete", None, "no", by=UsageError, says="confirm, fail or retry")


def test_claims_are_exclusive_fenced_and_void_before_another(book: Book) -> None:
    run_id, key = lost(book, SURE)
    first = book.claim(run_id, key)
    named = {"what": "look-up", "claim_us": CLAIM_US, "worker_no": None}
    book.refused(claims.claim_effect, run_id, key, ANY_STEP, "b", **named, says="claimed by reactor")
    book.clock.advance(30)
    book.refused(claims.record_observation, first, Answer.PRESENT, [1], "", by=Fenced, says="not live")
    book.refused(claims.claim_effect, run_id, key, ANY_STEP, "b", **named, says="voided first")
    book.refused(claims.void_claim, run_id, key, 7, "late", book.recovery, proven=True, says="not claimed under")
    book.do(claims.void_claim, run_id, key, first.epoch, "late", book.recovery, proven=True)
    book.refused(claims.void_claim, run_id, key, first.epoch, "late", book.recovery, proven=True)
    second = book.claim(run_id, key)
    assert (second.epoch, second.number) == (2, 2)
    book.refused(claims.record_observation, first, Answer.PRESENT, [1], "", by=Fenced)
    book.do(claims.record_observation, second, Answer.PRESENT, [1], "")
    book.refused(claims.record_observation, second, Answer.PRESENT, [1], "", says="has ended already")


def test_an_answer_counts_once(book: Book) -> None:
    run_id, key = lost(book, LOOK_UP)
    claim = book.claim(run_id, key)
    book.do(claims.record_observation, claim, Answer.UNCLEAR, [], "the bank is down")
    assert book.bodies("observed")[-1]["detail"] == {"why": "the bank is down"}
    book.refused(claims.record_observation, claim, Answer.UNCLEAR, [], "", by=Fenced)


@pytest.mark.parametrize(
    ("answer", "acts"),
    [
        (Answer.PRESENT, []),
        (Answer.PRESENT, [1, 2]),
        (Answer.DUPLICATE, [1]),
        (Answer.ABSENT, [1]),
        (Answer.UNCLEAR, [1]),
        (Answer.NONE, []),
    ],
)
def test_answers_fit_their_acts(book: Book, answer: Answer, acts: list[int]) -> None:
    run_id, key = lost(book, LOOK_UP)
    claim = book.claim(run_id, key)
    book.refused(claims.record_observation, claim, answer, acts, "", by=UsageError)


def test_only_what_is_due_is_claimed(book: Book) -> None:
    run_id, key = lost(book, LOOK_UP)
    named = {"claim_us": CLAIM_US, "worker_no": None}
    book.refused(claims.claim_effect, run_id, key, frozenset(), "r", what="look-up", **named, says="not due")
    book.refused(claims.claim_effect, run_id, key, ANY_STEP, "r", what="body", **named, says="not due")
    book.observe(run_id, key, Answer.UNCLEAR)
    book.refused(claims.claim_effect, run_id, key, ANY_STEP, "r", what="look-up", **named, says="not due")
    book.clock.advance(0.2)
    book.do(claims.claim_effect, run_id, key, ANY_STEP, "r", what="look-up", **named)


@pytest.mark.parametrize("policy", [READ, IDEMPOTENT])
def test_the_outbox_never_runs_an_inline_body(book: Book, policy: Tool) -> None:
    run_id, key = lost(book, policy)
    named = {"claim_us": CLAIM_US, "worker_no": None}
    with pytest.raises(Refused):
        book.do(claims.claim_effect, run_id, key, ANY_STEP, "outbox", what="body", **named)


@pytest.mark.parametrize("void", [True, False])
def test_a_look_up_that_kills_its_worker_is_for_a_person(book: Book, void: bool) -> None:
    run_id, key = lost(book, LOOK_UP)
    for death in range(1, 6):
        assert book.status(run_id) == "WAITING"
        claim = book.claim(run_id, key)
        assert book.effect(key)["hook_crashes"] == death
        if void:
            book.do(claims.void_claim, run_id, key, claim.epoch, "its worker died", book.recovery, proven=True)
        else:
            book.do(claims.lose_look_up, claim, "its worker died", book.recovery)
    assert (book.status(run_id), book.effect(key)["step"]) == ("STUCK", "person")


def test_an_orderly_answer_gives_the_claims_count_back(book: Book) -> None:
    run_id, key = lost(book, LOOK_UP)
    for _ in range(2):
        claim = book.claim(run_id, key)
        book.do(claims.lose_look_up, claim, "its worker died", book.recovery)
    book.observe(run_id, key, Answer.UNCLEAR)
    assert book.effect(key)["hook_crashes"] == 2


def test_late_ends_are_evidence_and_a_conflict_only_if_they_contradict(book: Book) -> None:
    run_id, epoch = book.driven()
    worker = book.run(run_id)["worker_no"]
    failed = book.begin(run_id, epoch, BLIND, 0)
    open_one = book.begin(run_id, epoch, LOOK_UP, 1)
    book.die(run_id)
    note = (claims.note_fenced_end, run_id, worker, epoch)
    book.do(*note, failed, CONFIRMED)
    assert not book.bodies("conflict_opened"), "it has no end to contradict"
    book.do(claims.resolve_effect, run_id, failed, "fail", None, "not there")
    before = book.dump()
    book.do(*note, failed, CONFIRMED)
    assert book.bodies("conflict_opened")[0]["evidence"]["result"] == {"ok": 1}
    after = book.dump()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"entry", "run", "conflict"}, "it closes nothing"
    book.do(*note, failed, effects.Ending(effects.EffectStatus.FAILED, error={"message": "no"}))
    book.do(*note, open_one, CONFIRMED)
    book.do(*note, "no/such/effect/here", CONFIRMED)
    book.observe(run_id, open_one, Answer.PRESENT)
    book.do(*note, open_one, CONFIRMED)
    assert len(book.rows("SELECT * FROM conflict")) == 1
    refusals = book.bodies("write_refused")
    assert len(refusals) == 6
    assert refusals[0]["evidence"] == {"key": failed, "status": "CONFIRMED", "result": {"ok": 1}, "error": None}
    assert (refusals[0]["worker"], refusals[0]["epoch"], refusals[0]["live_epoch"]) == (worker, 1, 2)


def late(book: Book, *, void: bool = True) -> tuple[str, str, claims.Claim]:
    """A dispatch whose claim ran out while its body was in."""
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX_BLIND)
    book.do(runs.park, run_id, epoch, [key], "waits")
    claim = book.claim(run_id, key, "body")
    book.clock.advance(60)
    if void:
        book.do(claims.void_claim, run_id, key, claim.epoch, "the claim ran out", book.recovery, proven=False)
    return run_id, key, claim


@pytest.mark.parametrize("void", [True, False])
def test_a_late_dispatch_is_evidence(book: Book, void: bool) -> None:
    run_id, key, claim = late(book, void=void)
    book.refused(claims.end_dispatch, claim, CONFIRMED, by=Fenced)
    book.do(claims.note_late_dispatch, claim, CONFIRMED)
    (refused,) = book.bodies("write_refused")
    assert refused["evidence"] == {"key": key, "status": "CONFIRMED", "result": {"ok": 1}, "error": None}
    assert (refused["worker"], refused["why"]) == (None, "the claim of reactor under epoch 1 is over")
    assert (
        book.effect(key)["status"] == ("UNKNOWN" if void else "PENDING") and book.rows("SELECT 1 FROM conflict") == []
    )
    assert book.run(run_id)["seq"] == 2, "nothing of it is applied"


@pytest.mark.parametrize(("how", "conflicts"), [("fail", 1), ("confirm", 0)])
def test_a_late_dispatch_that_contradicts_a_person_is_a_conflict(book: Book, how: str, conflicts: int) -> None:
    run_id, key, claim = late(book)
    book.do(claims.resolve_effect, run_id, key, how, {"by": "hand"}, "I looked")
    book.refused(claims.end_dispatch, claim, CONFIRMED, says="has ended already")
    book.do(claims.note_late_dispatch, claim, Ending(EffectStatus.FAILED, error={"message": "no"}))
    assert book.bodies("conflict_opened") == []
    book.do(claims.note_late_dispatch, claim, CONFIRMED)
    assert [body["key"] for body in book.bodies("conflict_opened")] == [key] * conflicts
    assert len(book.bodies("write_refused")) == 2


def test_the_outcome_of_a_live_dispatch_is_no_evidence(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX_BLIND)
    claim = book.claim(run_id, key, "body")
    book.refused(claims.note_late_dispatch, claim, CONFIRMED, says="is live")
    book.do(claims.end_dispatch, claim, CONFIRMED)


def test_a_frozen_workers_lease_runs_out(book: Book) -> None:
    run_id, epoch = book.driven()
    worker = book.run(run_id)["worker_no"]
    key = book.begin(run_id, epoch, SURE)
    book.do(workers.move_worker, worker, effects_freeze())
    assert book.do(workers.expire_leases, worker, book.recovery) == 0, "it has not run out"
    book.clock.advance(15)
    assert book.do(workers.expire_leases, worker, book.recovery) == 1
    assert book.do(workers.expire_leases, worker, book.recovery) == 0
    assert book.bodies("lease_ended")[-1]["status"] == "EXPIRED"
    book.refused(effects.end_effect, run_id, epoch, key, 1, CONFIRMED, None, by=Fenced)
    book.clock.advance(2)
    assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"


def effects_freeze() -> workers.WorkerTrigger:
    return workers.WorkerTrigger.FREEZE
