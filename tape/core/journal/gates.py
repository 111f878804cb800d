"""Verbs on gates: a named pause of a run that waits for a person's or a program's answer, one instance per name and
ordinal. The first answer counts; whatever comes later is told and changes nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tape.core.journal.capwaits import open_waits
from tape.core.journal.course import resettle
from tape.core.journal.records import TIMER_LIMIT_SECONDS
from tape.core.journal.tables import GateRow
from tape.core.journal.transaction import Row, RunEdit, Tx, dump, edit_leased, edit_run, load
from tape.core.kernel import lifecycle
from tape.core.kernel.errors import CancelRequested, Refused, UsageError
from tape.core.kernel.events import AnswerRefused, ApprovalRefused, EarlyAnswer, GateAnswered, GateOpened, Json
from tape.core.kernel.lifecycle import RUN_ENDS, GateStatus, GateTrigger

NAME_LIMIT = 200
OPTION_LIMIT = 200
MOST_OPTIONS = 20
_FORGET_EARLY = "DELETE FROM gate WHERE run_no = :run_no AND name = :name AND ordinal = :ordinal AND status = :w_status"


@dataclass(frozen=True, slots=True)
class Gate:
    """One instance as the agent opens it. `seconds`: how long it waits, None for ever; `approves` is the call that its
    answer is bound to, `{"tool", "args", "args_hash"}`: its first option approves."""

    name: str
    ordinal: int
    prompt: str
    options: Sequence[str]
    fingerprint: str
    seconds: float | None = None
    on_timeout: str | None = None
    approves: Json = None


def check_name(name: Any) -> None:
    """Raises UsageError for what no gate can be called."""
    if not isinstance(name, str) or not name.strip() or name != name.strip() or not name.isprintable():
        raise UsageError(f"a gate cannot be called {name!r}: a name on one line without blanks around it, please")
    if len(name) > NAME_LIMIT:
        raise UsageError(f"the gate's name {name[:40] + '…'!r} is longer than {NAME_LIMIT} characters")


def check_options(name: str, options: Sequence[Any], on_timeout: Any) -> None:
    """Raises UsageError for options among which nobody could choose."""
    if not 1 <= len(options) <= MOST_OPTIONS:
        raise UsageError(f"gate {name}: {len(options)} options; there are 1 to {MOST_OPTIONS}")
    for option in options:
        if not isinstance(option, str) or not option.strip() or len(option) > OPTION_LIMIT:
            raise UsageError(f"gate {name}: {option!r} is no option: texts of 1 to {OPTION_LIMIT} characters, please")
    if len({*options}) != len(options):
        raise UsageError(f"gate {name}: an option stands there twice: {', '.join(options)}")
    if on_timeout is not None and on_timeout not in options:
        raise UsageError(f"gate {name}: on_timeout is {on_timeout!r}; {nearest(on_timeout, options)}")


def nearest(word: Any, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, 1) if isinstance(word, str) else []
    return f"did you mean {near[0]}?" if near else f"it is one of: {', '.join(known)}"


# --- the agent's side -------------------------------------------------------------------------------------------------


def open_gate(tx: Tx, run_id: str, epoch: int, gate: Gate) -> tuple[int, GateAnswered | None]:
    """The run has come to the gate. Returns seq, and the answer if there was an early one that fits."""
    run = edit_leased(tx, run_id, epoch)
    if run["cancel"]:
        raise CancelRequested(f"{run_id} is being cancelled")
    _check_gate(run_id, gate)
    early = _refuse_known(tx, run, gate)
    deadline_us = None if gate.seconds is None else tx.wall_us + int(gate.seconds * 1_000_000)
    row = {
        "run_no": run.no,
        "name": gate.name,
        "ordinal": gate.ordinal,
        "status": str(GateStatus.OPEN),
        "prompt": gate.prompt,
        "options": dump(list(gate.options)),
        "approves": "" if gate.approves is None else dump(gate.approves),
        "answer": None,
        "actor": "",
        "reason": "",
        "on_timeout": gate.on_timeout,
        "opened_us": tx.wall_us,
        "deadline_us": deadline_us,
        "answered_us": None,
        "used_by": "",
    }
    run.record(
        GateOpened(
            name=gate.name,
            ordinal=gate.ordinal,
            prompt=gate.prompt,
            options=list(gate.options),
            fingerprint=gate.fingerprint,
            deadline_us=deadline_us,
            on_timeout=gate.on_timeout,
            approves=gate.approves,
        )
    )
    answered = None
    if early is None:
        tx.insert(GateRow, row)
    elif why := _misfit(gate, early["answer"]):
        lifecycle.step(lifecycle.GATE, GateStatus.EARLY, GateTrigger.DROP)
        _forget_early(tx, early)
        _refuse(run, early, early["answer"], early["actor"], why)
        tx.insert(GateRow, row)
    else:
        answered = _answer_early(run, early, row)
    run.save()
    return run.seq, answered


def _check_gate(run_id: str, gate: Gate) -> None:
    check_name(gate.name)
    check_options(gate.name, gate.options, gate.on_timeout)
    seconds = gate.seconds
    if seconds is not None and not (math.isfinite(seconds) and 0 < seconds <= TIMER_LIMIT_SECONDS):
        raise UsageError(f"{run_id}: gate {gate.name} cannot wait for {seconds} seconds: more than 0, up to 100 years")
    if gate.on_timeout is not None and seconds is None:
        raise UsageError(f"{run_id}: gate {gate.name} has on_timeout, but no timeout")
    approves = gate.approves
    if approves is not None and not {"tool", "args", "args_hash"} <= approves.keys():
        raise UsageError(f"{run_id}: gate {gate.name}: approves is a tool's call, with its arguments and their hash")


def _refuse_known(tx: Tx, run: RunEdit, gate: Gate) -> Row | None:
    """The early answer of this instance, if there is one. Raises Refused if it was opened already, or is not next."""
    if gate.ordinal:
        before = tx.one(GateRow, run_no=run.no, name=gate.name, ordinal=gate.ordinal - 1)
        if before is None or before["status"] == GateStatus.EARLY:
            raise Refused(f"{run.id}: gate {gate.name} {gate.ordinal} before {gate.ordinal - 1}")
    known = tx.one(GateRow, run_no=run.no, name=gate.name, ordinal=gate.ordinal)
    if known is not None and known["status"] != GateStatus.EARLY:
        raise Refused(f"{run.id}: gate {gate.name} {gate.ordinal} was opened already")
    return known


def _misfit(gate: Gate, answer: str) -> str:
    """Why an early answer does not count: empty if it does."""
    if answer not in gate.options:
        return f"the gate has no such option; {nearest(answer, gate.options)}"
    if gate.approves is not None and answer == gate.options[0]:
        return "it was given before anybody could see which call it approves"
    return ""


def _answer_early(run: RunEdit, early: Row, row: dict[str, Any]) -> GateAnswered:
    status = lifecycle.step(lifecycle.GATE, GateStatus(early["status"]), GateTrigger.OPEN)
    where = {"run_no": run.no, "name": early["name"], "ordinal": early["ordinal"]}
    kept = {name: early[name] for name in ("answer", "actor", "reason", "answered_us")}
    changes = {**row, **kept, "status": str(status)}
    run.tx.update(GateRow, {name: changes[name] for name in changes if name not in where}, **where, status="EARLY")
    answered = GateAnswered(
        name=early["name"],
        ordinal=early["ordinal"],
        answer=early["answer"],
        actor=early["actor"],
        reason=early["reason"],
    )
    run.record(answered)
    return answered


def _forget_early(tx: Tx, early: Row) -> None:
    where = {"run_no": early["run_no"], "name": early["name"], "ordinal": early["ordinal"]}
    if tx.connection.execute(_FORGET_EARLY, {**where, "w_status": early["status"]}).rowcount != 1:
        raise Refused(f"the early answer of gate {early['name']} {early['ordinal']} is there no more")


def tell_unapproved(tx: Tx, run_id: str, epoch: int, tool: str, args_hash: str, why: str) -> int:
    """The agent says that a call was not approved: nothing was begun."""
    run = edit_leased(tx, run_id, epoch)
    run.record(ApprovalRefused(tool=tool, args_hash=args_hash, why=why))
    run.save()
    return run.seq


# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says to a gate. Without an ordinal the first instance is meant, or the last one that was answered:
    nobody may answer one that they have not seen because another was quicker to answer the one before."""

    name: str
    value: str
    ordinal: int | None = None
    actor: str = ""
    reason: str = ""


def answer_gate(tx: Tx, run_id: str, answer: Answer) -> dict[str, Any]:
    """Answers a gate. Returns `{gate, ordinal, status, answer, by, why}`; `status` is `answered`, `early` (the run has
    not come to it yet), or `refused`: it had an answer, which `answer` and `by` tell, and keeps it. Raises UsageError
    for a gate or an option that does not exist, Refused for a run that has ended."""
    run = edit_run(tx, run_id)
    check_name(answer.name)
    _check_value(answer)
    if run.status in RUN_ENDS or run["end_status"] is not None:
        raise Refused(f"{run_id} has ended ({run['end_status'] or run.status}): its gates are closed for good")
    ordinal, row = _meant(tx, run, answer)
    if row is None:
        _take_early(run, answer, ordinal)
        done = _told(answer, ordinal, "early", answer.value, answer.actor)
    elif row["status"] == GateStatus.OPEN:
        options = load(row["options"])
        if answer.value not in options:
            raise UsageError(
                f"gate {answer.name} {ordinal} of {run_id} has no option {answer.value!r}; "
                + nearest(answer.value, options)
            )
        close_gate(run, row, answer.value, actor=answer.actor, reason=answer.reason)
        done = _told(answer, ordinal, "answered", answer.value, answer.actor)
    else:
        said = "nothing" if row["answer"] is None else row["answer"]
        by = row["actor"] or "the time-out"
        ahead = " ahead of the run" if row["status"] == GateStatus.EARLY else ""
        why = f"gate {answer.name} {ordinal} was answered already{ahead}: {said}, by {by}"
        _refuse(run, row, answer.value, answer.actor, why)
        done = {**_told(answer, ordinal, "refused", row["answer"], by), "why": why}
    run.save()
    return done


def _check_value(answer: Answer) -> None:
    value: Any = answer.value
    if not isinstance(value, str) or not value.strip() or len(value) > OPTION_LIMIT:
        raise UsageError(f"{value!r} is no answer: one of the gate's options, up to {OPTION_LIMIT} characters")
    ordinal: Any = answer.ordinal
    if ordinal is not None and (type(ordinal) is not int or ordinal < 0):
        raise UsageError(f"{ordinal!r} is no instance of gate {answer.name}: they are counted from 0")


def _told(answer: Answer, ordinal: int, status: str, said: str | None, by: str) -> dict[str, Any]:
    return {"gate": answer.name, "ordinal": ordinal, "status": status, "answer": said, "by": by, "why": ""}


def _meant(tx: Tx, run: RunEdit, answer: Answer) -> tuple[int, Row | None]:
    """The instance that is meant, and its row: none if nobody has opened or answered it. Raises UsageError."""
    rows = tx.rows(GateRow, run_no=run.no)
    mine = {row["ordinal"]: row for row in rows if row["name"] == answer.name}
    opened = [row["ordinal"] for row in mine.values() if row["status"] != GateStatus.EARLY]
    following = len(opened)
    if answer.ordinal is not None:
        if answer.ordinal > following:
            raise UsageError(
                f"gate {answer.name} {answer.ordinal} of {run.id} is too far ahead: the next one is {following}"
            )
        return answer.ordinal, mine.get(answer.ordinal)
    now_open = [row for row in rows if row["status"] == GateStatus.OPEN]
    open_mine = [row["ordinal"] for row in now_open if row["name"] == answer.name]
    if len(open_mine) > 1:
        raise UsageError(
            f"{run.id} waits at gate {answer.name} more than once: say which with --ordinal "
            + " or ".join(str(ordinal) for ordinal in open_mine)
        )
    answered = [ordinal for ordinal in opened if ordinal not in open_mine]
    if open_mine and answered:
        before = mine[max(answered)]
        said = f"{before['answer'] or 'nothing'}, by {before['actor'] or 'the time-out'}"
        raise UsageError(
            f"{run.id} waits at gate {answer.name} {open_mine[0]}, and {answer.name} {before['ordinal']} was answered "
            f"before ({said}): say which is meant with --ordinal {open_mine[0]}"
        )
    if open_mine:
        return open_mine[0], mine[open_mine[0]]
    if answered:
        return max(answered), mine[max(answered)]
    if not mine:
        _refuse_unknown(run, answer.name, sorted({row["name"] for row in rows}), now_open)
    return following, mine.get(following)


def _refuse_unknown(run: RunEdit, name: str, known: list[str], now_open: list[Row]) -> None:
    """A name that the run has not come to may be answered early; more likely it is misspelt if the run waits at
    another gate, or has one that is called nearly so."""
    near = get_close_matches(name, known, 1)
    if not near and not now_open:
        if open_waits(run.tx, run.no):
            raise UsageError(
                f"{run.id} has come to no gate {name!r}; it waits for its budget: `tape budget {run.id} --deny` says "
                "no, with a cap it is raised. To answer a gate ahead of the run, add --ordinal 0"
            )
        return
    listed = ", ".join(f"{row['name']} {row['ordinal']}" for row in now_open)
    hint = f"did you mean {near[0]}?" if near else f"it waits at {listed}."
    raise UsageError(f"{run.id} has come to no gate {name!r}; {hint} To answer one ahead of the run, add --ordinal 0")


def _take_early(run: RunEdit, answer: Answer, ordinal: int) -> None:
    run.tx.insert(
        GateRow,
        {
            "run_no": run.no,
            "name": answer.name,
            "ordinal": ordinal,
            "status": str(GateStatus.EARLY),
            "prompt": "",
            "options": "[]",
            "approves": "",
            "answer": answer.value,
            "actor": answer.actor,
            "reason": answer.reason,
            "on_timeout": None,
            "opened_us": None,
            "deadline_us": None,
            "answered_us": run.tx.wall_us,
            "used_by": "",
        },
    )
    run.record(
        EarlyAnswer(name=answer.name, ordinal=ordinal, answer=answer.value, actor=answer.actor, reason=answer.reason)
    )


def _refuse(run: RunEdit, row: Row, value: str, actor: str, why: str) -> None:
    run.record(AnswerRefused(name=row["name"], ordinal=row["ordinal"], answer=value, actor=actor, why=why))


def close_gate(
    run: RunEdit, row: Row, answer: str | None, *, actor: str = "", reason: str = "", timed_out: bool = False
) -> None:
    """The open gate's one answer, and its run goes on if nothing else holds it. The caller saves the run."""
    tx, was = run.tx, GateStatus(row["status"])
    status = lifecycle.step(lifecycle.GATE, was, GateTrigger.ANSWER)
    tx.update(
        GateRow,
        {
            "status": str(status),
            "answer": answer,
            "actor": actor,
            "reason": reason,
            "answered_us": tx.wall_us,
        },
        run_no=run.no,
        name=row["name"],
        ordinal=row["ordinal"],
        status=str(was),
    )
    run.record(
        GateAnswered(
            name=row["name"], ordinal=row["ordinal"], answer=answer, actor=actor, reason=reason, timed_out=timed_out
        )
    )
    resettle(run, f"gate {row['name']} {row['ordinal']} " + ("timed out" if timed_out else "was answered"))


def time_out_gate(run: RunEdit, name: str, ordinal: int) -> bool:
    """Gives the answer that the time-out gives, once; late if need be, never early. False if it is not due (any more).
    The caller saves the run."""
    row = run.tx.one(GateRow, run_no=run.no, name=name, ordinal=ordinal)
    if row is None or row["status"] != GateStatus.OPEN:
        return False
    if row["deadline_us"] is None or row["deadline_us"] > run.tx.wall_us:
        return False
    close_gate(run, row, row["on_timeout"], timed_out=True)
    return True
