"""The model's forks: a run whose tape begins as a copy of another's, and which acts on nothing outside until it is
promoted."""

from __future__ import annotations

from dataclasses import replace

from tests.journal.model import Run
from tests.journal.model_gates import Gate, Record, need

ENDED = {"effect_ended": "effect", "child_ended": "child"}
BEGUN = {"effect_begun": "effect", "child_started": "child"}


def fork(source: Run, at: int) -> Run:
    """In quarantine, behind seq `at` of the source."""
    return _copy(source, at, quarantine=True)


def promote(tried: Run) -> Run:
    """Acts for real from the first thing on that was only tried."""
    need(tried.source is not None and tried.quarantine and not tried.promoted and tried.status != "RUNNING")
    only_tried = [place for place, record in enumerate(tried.tape) if record.quarantined or record.kind == "run_ended"]
    made = _copy(tried, min(only_tried, default=tried.seq), quarantine=False)
    tried.promoted = True
    return made


def _copy(source: Run, at: int, *, quarantine: bool) -> Run:
    tape = source.tape
    need(1 <= at <= len(tape))
    upto = at
    if tape[at - 1].kind == "run_ended":
        upto -= 1
    elif _charged(tape, at - 1):
        upto += 1
    taken = tape[:upto]
    ends = _ends(source, upto)
    run = Run(
        now=source.now,
        wall=source.wall,
        source=source.id,
        fork_of=upto,
        quarantine=quarantine,
        tape=[*taken, *ends],
        decisions=sum(record.kind == "decision" for record in taken),
        children=sum(record.kind == "child_started" for record in taken),
    )
    begun = sum(record.kind == "effect_begun" for record in taken)
    run.effects = [
        replace(effect, inherited=True, attempts=0, claimed=False, until=0) for effect in source.effects[:begun]
    ]
    fired = {record.ref for record in taken if record.kind == "timer_fired"}
    run.timers = [
        (at_us, "FIRED" if ordinal in fired else "SET")
        for ordinal, (at_us, _) in enumerate(source.timers)
        if Record("timer_set", ordinal) in taken
    ]
    run.gates = _gates(source, taken)
    return run


def _ends(source: Run, upto: int) -> list[Record]:
    """What the rest of the tape says about whatever was open at its cut; some of what nobody awaits ends beside it."""
    open_ = {(BEGUN[record.kind], record.ref) for record in source.tape[:upto] if record.kind in BEGUN}
    open_ -= {(ENDED[record.kind], record.ref) for record in source.tape[:upto] if record.kind in ENDED}
    open_ -= {("effect", effect.ordinal) for effect in source.effects if not effect.awaited and not effect.open}
    ends: list[Record] = []
    for place in range(upto, len(source.tape)):
        record = source.tape[place]
        if record.kind in ENDED and (ENDED[record.kind], record.ref) in open_:
            open_.remove((ENDED[record.kind], record.ref))
            ends += source.tape[place : place + 2 if _charged(source.tape, place) else place + 1]
    need(not open_)
    return ends


def _charged(tape: list[Record], place: int) -> bool:
    """By the next record; what a failed attempt cost may stand behind anything."""
    record = tape[place]
    paid = {"decision": "ask", "effect_ended": record.ref}.get(record.kind)
    return paid is not None and tape[place + 1 : place + 2] == [Record("charge", paid)]


def _gates(source: Run, taken: list[Record]) -> list[Gate]:
    """Each gets as much time as it had. An approval counts where it was used: nowhere else is it taken over."""
    answered = {record.ref for record in taken if record.kind == "gate_answered"}
    used = {record.approval for record in taken if record.kind == "effect_begun"}
    found: list[Gate] = []
    for record in taken:
        gate = next((gate for gate in source.gates if gate.instance == record.ref), None)
        if record.kind != "gate_opened" or gate is None:
            continue
        rest = None if gate.deadline is None else gate.deadline - gate.opened
        copy = replace(gate, opened=source.wall, deadline=None if rest is None else source.wall + rest)
        if gate.instance not in answered:
            copy = replace(copy, status="OPEN", answer=None, used_by=None, void=False)
        elif gate.instance not in used:
            copy = replace(copy, used_by=None, void=gate.approves is not None)
        found.append(copy)
    return found
