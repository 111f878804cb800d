"""A story that uses every verb of the journal, some in batches, some refused: what the faults of this folder strike.

It is a generator: it yields a batch, is handed what became of each act in it (its result, or the error that refused
it), and moves the clock in between. The same clock and the same answers tell the same story again.
"""

from __future__ import annotations

from tape.core.clock import ManualClock
from tape.core.journal import claims, effects, obligations, persons, records, runs, workers
from tape.core.journal.effects import Call
from tape.core.journal.records import Usage
from tape.core.kernel.errors import Fenced, KeyConflict, Refused
from tape.core.kernel.events import PointReached, Sample, ServerStarted
from tape.core.kernel.identity import effect_key
from tape.core.kernel.lifecycle import LeaseTrigger, WorkerTrigger
from tape.core.kernel.resolution import Answer, Step
from tests.faults.branches import branches
from tests.faults.telling import (
    DUPLICATED,
    KEPT_AWHILE,
    READ_TWICE,
    RECOVERY,
    UNDO_ASKED,
    UNDO_BLIND,
    Part,
    Story,
    act,
    begin,
    claim,
    claim_duty,
    decision,
    driven,
    grant,
    hire,
    key_of,
    one,
)
from tests.journal.book import BLIND, BOOM, CONFIRMED, OUTBOX, OUTBOX_BLIND, OUTBOX_SURE, SURE, TTL_US


def whole(clock: ManualClock) -> Story:
    started = ServerStarted(pid=1, host="here", boot_id=clock.boot_id, release="0", sqlite="3")
    yield from one(workers.start_service, started)
    yield from hire(1)
    yield from well(clock)
    yield from deaths(clock)
    yield from cancelled(clock)
    yield from stuck(clock)
    yield from left_and_undone(clock)
    yield from branches(clock)


def well(clock: ManualClock) -> Part:
    """A run that meets much and ends TERMINAL: batches, refusals, retries, a timer, the outbox."""
    named = {"start_key": "k", "actor": "me", "caps": {"tokens": 10_000}}
    run_id = yield from one(runs.start_run, "agent", "first", **named)
    again, other = yield [
        act(runs.start_run, "agent", "first", **named),
        act(runs.start_run, "agent", "else", **named),
    ]
    assert again == run_id and isinstance(other, KeyConflict)
    epoch = yield from grant(run_id, 1)

    key = effect_key(run_id, 0, 0, "tool")
    answers = yield [
        act(records.ask_model, run_id, epoch, 0, "ask"),
        act(records.record_decision, run_id, epoch, decision(0), Usage(1, 2, 3)),
        act(effects.begin_effect, run_id, epoch, Call(0, 0, "tool", {"a": 1}, SURE, "b-1"), "f"),
        act(runs.end_run, run_id, epoch, "TERMINAL", None, None),
        act(workers.place_order, None, "freeze", {"run": 1}, "me", "to look"),
        act(effects.end_effect, run_id, epoch, key, 1, CONFIRMED, Usage(usd_micro=1)),
        act(records.record_sample, run_id, epoch, Sample(index=0, name="now", fingerprint="f", value=1)),
    ]
    assert [type(answer) for answer in answers] == [int, int, int, Refused, int, int, int]

    reached = PointReached(point="decision.recorded", death="freeze", worker=1, pid=101)
    answers = yield [
        act(workers.reach_point, run_id, reached),
        act(workers.reach_point, None, reached),
        act(workers.place_order, run_id, "step", {}, "me", ""),
        act(runs.renew_leases, 1, TTL_US),
        begin(run_id, 1, epoch, READ_TWICE),
        begin(run_id, 2, epoch, BLIND),
    ]
    assert not [answer for answer in answers if isinstance(answer, Exception)] and answers[3] == 1

    failed = run_id, epoch, key_of(run_id, 1)
    assert (yield from one(effects.fail_attempt, *failed, 1, "raised", BOOM, RECOVERY))[1] is Step.AGAIN
    yield from one(effects.start_attempt, *failed, 2)
    assert (yield from one(effects.fail_attempt, *failed, 2, "raised", BOOM, RECOVERY))[1] is None
    yield from one(effects.reject_attempt, run_id, epoch, key_of(run_id, 2), 1, BOOM, RECOVERY, Usage(1, 0, 0))

    yield from one(records.set_timer, run_id, epoch, 0, 5.0, "f")
    yield from one(runs.park, run_id, epoch, ["timer 0"], "sleeps")
    clock.advance(6)
    yield from one(records.fire_timer, 1, 0)
    epoch = yield from grant(run_id, 1)
    drive, status, _ = yield [
        act(records.drive_of, run_id),
        act(runs.run_status, run_id),
        act(records.attach, run_id, epoch, ["decision 0"]),
    ]
    assert drive["drive"] == 2 and status == "RUNNING"
    yield from outbox(clock, run_id, epoch)
    yield [
        act(records.record_decision, run_id, epoch, decision(1), Usage()),
        act(runs.end_run, run_id, epoch, "TERMINAL", {"paid": 1}, None),
    ]


def outbox(clock: ManualClock, run_id: str, epoch: int) -> Part:
    """Dispatches that return, raise, are rejected and are lost, and look-ups that die and answer."""
    again, rejected, asked = (key_of(run_id, ordinal) for ordinal in (3, 4, 5))
    yield [
        begin(run_id, ordinal, epoch, policy) for ordinal, policy in ((3, OUTBOX), (4, OUTBOX_BLIND), (5, OUTBOX_SURE))
    ]
    dispatch = yield from claim(run_id, again, "body")
    yield from one(claims.lose_dispatch, dispatch, "raised", BOOM, RECOVERY, body_over=True, died=False)
    clock.advance(1)
    dispatch = yield from claim(run_id, again, "body")
    yield from one(claims.end_dispatch, dispatch, CONFIRMED)
    dispatch = yield from claim(run_id, rejected, "body")
    yield from one(claims.reject_dispatch, dispatch, BOOM, RECOVERY)
    dispatch = yield from claim(run_id, asked, "body")
    clock.advance(3)
    yield from one(claims.void_claim, run_id, asked, dispatch.epoch, "late", RECOVERY, proven=True)
    look_up = yield from claim(run_id, asked, "look-up")
    yield from one(claims.lose_look_up, look_up, "signal 9", RECOVERY)
    clock.advance(1)
    look_up = yield from claim(run_id, asked, "look-up")
    late, _, answered = yield [
        act(claims.end_dispatch, dispatch, CONFIRMED),
        act(claims.note_late_dispatch, dispatch, CONFIRMED),
        act(claims.record_observation, look_up, Answer.PRESENT, [{"id": 1}], ""),
    ]
    assert isinstance(late, Fenced) and answered == "N-present"


def deaths(clock: ManualClock) -> Part:
    """Its worker dies with a body open, twice; a look-up and a person say what happened; it fails and is undone."""
    run_id, epoch = yield from driven(1, "second")
    undone, open_one = key_of(run_id, 0), key_of(run_id, 1)
    yield [begin(run_id, 0, epoch, UNDO_ASKED), begin(run_id, 1, epoch, SURE)]
    yield from one(effects.end_effect, run_id, epoch, undone, 1, CONFIRMED, None)
    assert (yield from one(workers.worker_died, 1, "signal 9", RECOVERY, proven=True)) == 1
    answers = yield [
        act(effects.end_effect, run_id, epoch, open_one, 1, CONFIRMED, None),
        act(claims.note_fenced_end, run_id, 1, epoch, open_one, CONFIRMED),
        act(workers.refuse_write, run_id, 1, epoch, "sample", "the lease is over", {"name": "now"}),
    ]
    assert [type(answer) for answer in answers] == [Fenced, type(None), type(None)]
    clock.advance(2)
    look_up = yield from claim(run_id, open_one, "look-up")
    assert (yield from one(claims.record_observation, look_up, Answer.ABSENT, [], "not there")) == "N-absent"

    yield from hire(2)
    epoch = yield from grant(run_id, 2)
    yield from one(effects.start_attempt, run_id, epoch, open_one, 2)
    yield from one(effects.end_effect, run_id, epoch, open_one, 2, CONFIRMED, None)
    yield [begin(run_id, 2, epoch, BLIND)]
    yield from one(workers.worker_died, 2, "signal 9", RECOVERY, proven=True)
    blind = key_of(run_id, 2)
    assert (yield from one(claims.resolve_effect, run_id, blind, "confirm", {"id": 7}, "I saw it")) == "RUNNABLE"

    yield from hire(3)
    epoch = yield from grant(run_id, 3)
    yield from one(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    yield from undo(clock, run_id, f"{undone}/undo/1")


def undo(clock: ManualClock, run_id: str, duty: str) -> Part:
    """An undo that raises, is asked about, runs again, is lost and found done."""
    claimed = yield from claim_duty(run_id, duty, "undo")
    yield from one(obligations.fail_duty, claimed, "raised", BOOM, RECOVERY, body_over=True)
    yield from one(obligations.review, run_id)
    clock.advance(5)
    claimed = yield from claim_duty(run_id, duty, "look-up")
    yield from one(obligations.lose_duty_look_up, claimed, "signal 9", RECOVERY)
    clock.advance(5)
    claimed = yield from claim_duty(run_id, duty, "look-up")
    assert (yield from one(obligations.record_duty_observation, claimed, Answer.ABSENT, "")) == "N-absent"
    clock.advance(5)
    claimed = yield from claim_duty(run_id, duty, "undo")
    clock.advance(3)
    yield from one(obligations.void_duty_claim, run_id, duty, claimed.epoch, "late", RECOVERY, proven=True)
    yield from one(obligations.note_late_undo, claimed)
    clock.advance(60)
    claimed = yield from claim_duty(run_id, duty, "look-up")
    yield from one(obligations.record_duty_observation, claimed, Answer.PRESENT, "undone")


def cancelled(clock: ManualClock) -> Part:
    """Leases that run out, a run that is cancelled at rest, one while it is driven, one in which a key has run out."""
    run_id, epoch = yield from driven(3, "third")
    other, other_epoch = yield from driven(3, "fourth")
    kept, kept_epoch = yield from driven(3, "fifth")
    yield [begin(kept, 0, kept_epoch, KEPT_AWHILE), act(records.ask_model, other, other_epoch, 0, "ask")]
    clock.advance(20)
    yield from one(workers.move_worker, 3, WorkerTrigger.FREEZE)
    lost = act(effects.lose_lease_of, kept, kept_epoch, LeaseTrigger.EXPIRE, "late", RECOVERY, proven=True)
    assert (yield [lost, lost]) == [True, False]
    assert (yield from one(workers.expire_leases, 3, RECOVERY)) == 2
    yield from one(workers.move_worker, 3, WorkerTrigger.THAW)
    answers = yield [
        act(runs.cancel, run_id),
        act(records.record_decision, run_id, epoch, decision(0), Usage()),
        act(runs.cancel, run_id),
    ]
    assert answers[0] == "CANCELLED" and isinstance(answers[1], Fenced) and isinstance(answers[2], Refused)

    other_epoch = yield from grant(other, 3)
    yield from one(records.diverge, other, other_epoch, "decision 0 differs")
    yield from one(runs.redrive, other)
    other_epoch = yield from grant(other, 3)
    yield [act(runs.cancel, other), act(runs.park, other, other_epoch, [], "cancelled")]

    clock.advance(60)
    assert (yield from one(effects.recheck_keys, kept))
    yield from one(claims.resolve_effect, kept, key_of(kept, 0), "fail", None, "it never arrived")
    assert (yield from one(runs.cancel, kept)) == "CANCELLED"


def stuck(clock: ManualClock) -> Part:
    """Undos that only a person can settle, and a surplus act in a healthy run."""
    run_id, epoch = yield from driven(3, "sixth")
    effect = key_of(run_id, 0)
    duty = f"{effect}/undo/1"
    yield [begin(run_id, 0, epoch, UNDO_BLIND), act(effects.end_effect, run_id, epoch, effect, 1, CONFIRMED, None)]
    yield from one(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    for how in ("retry", "confirm"):
        claimed = yield from claim_duty(run_id, duty, "undo")
        yield from one(obligations.fail_duty, claimed, "raised", BOOM, RECOVERY, body_over=True)
        status = yield from one(obligations.resolve_duty, run_id, duty, how, "I looked")
        assert status == ("COMPENSATING" if how == "retry" else "FAILED")

    run_id, epoch = yield from driven(3, "seventh")
    effect = key_of(run_id, 0)
    yield [begin(run_id, 0, epoch, DUPLICATED)]
    dispatch = yield from claim(run_id, effect, "body")
    yield from one(claims.lose_dispatch, dispatch, "signal 9", None, RECOVERY, body_over=True, died=True)
    look_up = yield from claim(run_id, effect, "look-up")
    acts = [{"id": 1}, {"id": 2}]
    assert (yield from one(claims.record_observation, look_up, Answer.DUPLICATE, acts, "")) == "X-duplicate"
    claimed = yield from claim_duty(run_id, f"{effect}/undo/2", "undo")
    yield from one(obligations.fulfil_duty, claimed)
    yield from one(runs.end_run, run_id, epoch, "TERMINAL", None, None)


def left_and_undone(clock: ManualClock) -> Part:
    """An act that is undone by order, one that is left to the outbox and outlives its run, a closed conflict."""
    run_id, epoch = yield from driven(3, "eighth")
    undone, left = key_of(run_id, 0), key_of(run_id, 1)
    enqueued = Call(None, 1, "tool", {"n": 1}, OUTBOX_BLIND, awaited=False)
    yield [
        begin(run_id, 0, epoch, UNDO_BLIND),
        act(effects.end_effect, run_id, epoch, undone, 1, CONFIRMED, None),
        act(effects.begin_effect, run_id, epoch, enqueued, "f"),
    ]
    assert (yield from one(persons.undo_effect, run_id, undone, "wrong account")) == "RUNNING"
    yield from one(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    claimed = yield from claim_duty(run_id, f"{undone}/undo/1", "undo")
    yield from one(obligations.fulfil_duty, claimed)
    dispatch = yield from claim(run_id, left, "body")
    yield from one(claims.lose_dispatch, dispatch, "signal 9", None, RECOVERY, body_over=True, died=True)
    assert (yield from one(claims.resolve_effect, run_id, left, "fail", None, "not there")) == "TERMINAL"
    yield from one(claims.note_fenced_end, run_id, 3, epoch, left, CONFIRMED)
    yield from one(persons.close_conflicts, run_id, left, "me@here", "it came back")
