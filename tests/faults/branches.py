"""The later chapters of the story: gates and approvals, caps, children, forks, what retention removes."""

from __future__ import annotations

from tape.core.clock import ManualClock
from tape.core.journal import caps, children, effects, forks, gates, quarantine, records, retention, runs
from tape.core.journal.blobs import exact_text
from tape.core.journal.effects import Call
from tape.core.journal.records import Usage
from tape.core.journal.transaction import Tx
from tape.core.kernel.errors import Refused, UsageError
from tape.core.kernel.events import Decision
from tape.core.kernel.identity import hash_json, hash_text
from tests.faults.telling import Act, Part, act, decision, driven, grant, key_of, one
from tests.journal.book import CONFIRMED, SURE

BOUND = {"tool": "tool", "args": {"n": 0}, "args_hash": hash_json({"n": 0})}
LONG = {"text": "a long reply " * 900}
"""Long enough to be a value by its hash."""
AGES = {"terminal": 0, "failed": 0, "cancelled": 0}


def branches(clock: ManualClock) -> Part:
    run_id = yield from gated(clock)
    yield from tried(run_id)
    yield from collected(clock)


def gated(clock: ManualClock) -> Part:
    """A call that a person approves, a raised cap, a child: a run that ends TERMINAL."""
    run_id, epoch = yield from driven(3, "ninth")
    reply = Decision(index=0, name="ask", fingerprint="f", request={"i": 0}, reply=LONG)
    asked = gates.Gate("pay", 0, "pay it?", ("approve", "deny"), "f", 60.0, approves=BOUND)
    yield [
        act(records.record_decision, run_id, epoch, reply, Usage(1, 2, 3)),
        act(gates.open_gate, run_id, epoch, asked),
        act(effects.begin_effect, run_id, epoch, Call(0, 0, "tool", {"n": 0}, SURE, approval="pay 0"), "f"),
        act(gates.tell_unapproved, run_id, epoch, "tool", BOUND["args_hash"], "nobody has answered"),
    ]
    yield from one(runs.park, run_id, epoch, ["gate pay 0"], "waiting")
    answers = yield [
        act(gates.answer_gate, run_id, gates.Answer("pay", "perhaps")),
        act(gates.answer_gate, run_id, gates.Answer("pay", "deny", 1, actor="me")),
        act(gates.answer_gate, run_id, gates.Answer("pay", "approve", actor="me", reason="it is due")),
        act(gates.answer_gate, run_id, gates.Answer("pay", "deny", actor="you")),
        act(caps.set_caps, run_id, {"tokens": 500, "calls:tool": 9}, "me", "it costs more"),
    ]
    assert isinstance(answers[0], UsageError) and [answers[at]["status"] for at in (1, 2, 3)] == [
        "early",
        "answered",
        "refused",
    ]
    epoch = yield from grant(run_id, 3)
    approved = key_of(run_id, 0).replace("/-/", "/0/")
    _, child_started = yield [
        act(effects.begin_effect, run_id, epoch, Call(0, 0, "tool", {"n": 0}, SURE, approval="pay 0"), "f"),
        act(children.start_child, run_id, epoch, 0, "agent", "below", "f"),
    ]
    yield from one(effects.end_effect, run_id, epoch, approved, 1, CONFIRMED, None)
    child = child_started[1]
    child_epoch = yield from grant(child, 3)
    yield from one(runs.end_run, child, child_epoch, "TERMINAL", "done", None)
    clock.advance(1)
    yield [
        act(records.record_decision, run_id, epoch, decision(1), Usage()),
        act(runs.end_run, run_id, epoch, "TERMINAL", "paid", None),
    ]
    return run_id


def call_in_quarantine(tx: Tx, run_id: str, epoch: int, call: Call) -> None:
    """As the server does it: an effect in quarantine is never open."""
    effects.begin_effect(tx, run_id, epoch, call, "f", quarantined=True)
    quarantine.end_in_quarantine(tx, run_id, epoch, f"{run_id}/0/{call.ordinal}/{call.tool}", "made")


def held(run_id: str, epoch: int, ordinal: int) -> Act:
    return act(call_in_quarantine, run_id, epoch, Call(0, ordinal, "other", {"n": ordinal}, SURE))


def tried(source: str) -> Part:
    """Forks at the gate and behind the approved call; one ends, and is promoted; a fork of it stays where it is."""
    at_gate, whole, beyond, no_fork = yield [
        act(forks.fork_run, source, 4, actor="me", caps={"tokens": 99}),
        act(forks.fork_run, source, 7, input="another", actor="me"),
        act(forks.fork_run, source, 99),
        act(forks.promote_fork, source),
    ]
    assert isinstance(beyond, UsageError) and isinstance(no_fork, Refused)
    epoch = yield from grant(whole.run, 3)
    answers = yield [
        held(whole.run, epoch, 1),
        held(whole.run, epoch, 2),
        act(runs.end_run, whole.run, epoch, "TERMINAL", 1, None),
    ]
    assert not [answer for answer in answers if isinstance(answer, Exception)], answers
    made, again, second = yield [
        act(forks.promote_fork, whole.run, actor="me", reason="it is right"),
        act(forks.promote_fork, whole.run),
        act(forks.fork_run, whole.run, 11),
    ]
    assert isinstance(again, Refused) and made.seq < second.seq
    epoch = yield from grant(made.run, 3)
    key = f"{made.run}/0/1/other"
    yield [
        act(effects.begin_effect, made.run, epoch, Call(0, 1, "other", {"n": 1}, SURE), "f"),
        act(effects.end_effect, made.run, epoch, key, 1, CONFIRMED, None),
        act(runs.end_run, made.run, epoch, "TERMINAL", 1, None),
    ]
    yield [act(runs.cancel, at_gate.run), act(runs.cancel, second.run)]


def collected(clock: ManualClock) -> Part:
    """A family goes as a whole, a part of one stays, then the values that nobody needs any more."""
    newest = yield from one(runs.start_run, "agent", "newest")
    clock.advance(3600)
    until = retention.until_of(AGES, clock.wall_us())
    family = [9, 10, 11, 12, 13, 14]  # the run, its child, two forks, what one was promoted to, a fork of that one
    wishes = (
        ([family[:-1]], "a part of a family"),
        ([family], ""),
        ([[1], [2]], ""),
        ([[15]], "the newest"),
    )
    answers = yield [Act(retention.remove_runs, (groups, until, "me", why), chain="gc") for groups, why in wishes]
    assert [len(done["runs"]) for done in answers] == [0, 6, 2, 0]
    name = hash_text(exact_text(LONG))
    gone = yield from one(retention.remove_values, [name], 10**9)
    assert gone["values"] == 1
    yield from one(runs.cancel, newest)
