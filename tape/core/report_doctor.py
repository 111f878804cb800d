"""What `tape doctor` prints: findings, and one run in full."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tape.core.clock import format_us
from tape.core.figures import (
    Recovery,
    Totals,
    recovery_lines,
    recovery_of,
    totals_json,
    totals_line,
    totals_of,
)
from tape.core.journal.audit import Audit
from tape.core.journal.audit_facts import Finding, Severity
from tape.core.journal.dump import (
    AttemptView,
    BudgetView,
    ChildView,
    ConflictView,
    DecisionView,
    EffectView,
    GateView,
    LeaseView,
    ObligationView,
    OrderView,
    RunDump,
)
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import JournalError
from tape.core.kernel.events import Entry, Json
from tape.core.kernel.hidden import visible
from tape.core.render import (
    EFFECT_MARKS,
    LEASE_MARKS,
    OBLIGATION_MARKS,
    UNKNOWN_MARK,
    Mark,
    Style,
    call,
    count,
    duration,
    fault,
    given,
    line,
    money,
    run_mark,
    short_json,
    short_key,
    show,
)
from tape.core.report import Cell, Paper, clock_time, status_line

MAX_FINDINGS = 100
_RANKS = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
SEVERITY_MARKS: Mapping[Severity, Mark] = {
    Severity.ERROR: Mark("✗", Style.ERROR),
    Severity.WARNING: Mark("!", Style.WARNING),
    Severity.NOTE: Mark("✓", Style.SUCCESS),
}


def finding_json(finding: Finding) -> Json:
    return {
        "severity": str(finding.severity),
        "run": finding.run_id,
        "what": finding.what,
        "help": finding.help,
    }


def journal_recovery(journal: Path, found: Audit) -> Totals:
    """What all crashes in the journal came to; what cannot be read any more is among the findings."""
    if not found.eventful:
        return Totals()
    told: list[Recovery] = []
    with open_reader(journal) as reader:
        for run_id in found.eventful:
            with contextlib.suppress(JournalError):
                told.append(recovery_of(reader.entries(run_id=run_id, limit=None)))
    return totals_of(told)


def print_doctor(
    paper: Paper, journal: Path, machine: Sequence[Finding], found: Audit, as_json: bool, recovery: Totals
) -> bool:
    """All findings, what crashes came to, and one line that sums up. Returns whether nothing is broken."""
    findings = (*machine, *found.findings)
    errors, warnings = (
        sum(finding.severity is severity for finding in findings) for severity in (Severity.ERROR, Severity.WARNING)
    )
    if as_json:
        facts: dict[str, Json] = {"journal": str(journal), "ok": not errors}
        facts |= {"runs": found.runs, "entries": found.entries, "recovery": totals_json(recovery)}
        paper.json(facts | {"findings": [finding_json(finding) for finding in findings]}, indent=2)
        return not errors
    print_findings(paper, "environment", machine)
    looked = f"{count(found.runs, 'run')}, {count(found.entries, 'entry', 'entries')}"
    sound = (Finding(Severity.NOTE, None, "nothing wrong"),)
    print_findings(paper, f"journal {show(str(journal))}  {looked}", found.findings or sound)
    if recovery:
        paper.say("recovery")
        paper.say(f"  {totals_line(recovery)}")
    paper.say("fine" if not errors + warnings else f"{count(errors, 'error')}, {count(warnings, 'warning')}")
    return not errors


def print_findings(paper: Paper, title: str, findings: Sequence[Finding]) -> None:
    """The first of them, the worst before the others; what helps several in a row is said once."""
    paper.say(title)
    ranked = sorted(findings, key=lambda finding: _RANKS.index(finding.severity))
    shown = ranked[:MAX_FINDINGS]
    for finding, following in zip(shown, [*shown[1:], None], strict=True):
        mark = SEVERITY_MARKS[finding.severity]
        whose = f"{finding.run_id} " if finding.run_id else ""
        word = "" if finding.severity is Severity.NOTE else f"{finding.severity}: "
        paper.say(f"  {mark.glyph} {word}{show(whose + finding.what, 1000)}", mark.style)
        if finding.help and (following is None or following.help != finding.help):
            paper.say(f"      {show(finding.help, 1000)}")
    if len(ranked) > len(shown):
        paper.say(f"  {len(ranked) - len(shown)} more; --json prints all")


def print_dump(paper: Paper, dump: RunDump) -> None:
    """Everything about one run, in sections; a section without rows is left out unless it always has some."""
    paper.say(status_line(dump.run))
    paper.say(f"agent {show(dump.run.agent)}  created {dump.run.created_at}  updated {dump.run.updated_at}")
    if dump.run.origin:
        paper.say(show(dump.run.origin, 100), Style.ACCENT)
    _section(paper, "entries", [_entry_row(entry) for entry in dump.entries], always=True)
    _section(paper, "decisions", [_decision_row(decision) for decision in dump.decisions], always=True)
    _section(paper, "effects", [row for effect in dump.effects for row in _effect_rows(effect)], always=True)
    _section(paper, "attempts", [_attempt_row(attempt) for attempt in dump.attempts], always=True)
    _section(paper, "budget", [_budget_row(budget) for budget in dump.budget], always=True)
    _section(paper, "leases", [_lease_row(lease) for lease in dump.leases], always=True)
    _section(paper, "obligations", [_duty_row(duty) for duty in dump.obligations])
    timers = [
        (f"timer {timer.ordinal}  {timer.status}  fires at {format_us(timer.fire_us)}", Style.PLAIN)
        for timer in dump.timers
    ]
    _section(paper, "timers", timers)
    _section(paper, "gates", [_gate_row(gate) for gate in dump.gates])
    _section(paper, "children", [_child_row(child) for child in dump.children])
    _section(paper, "conflicts", [_conflict_row(conflict) for conflict in dump.conflicts])
    _section(paper, "orders", [_order_row(order) for order in dump.orders])
    told = [(text.strip(), Style.PLAIN) for text in recovery_lines(recovery_of(dump.entries))[1:]]
    _section(paper, "crashes and questions", told)


def _child_row(child: ChildView) -> Cell:
    mark = run_mark(child.status)
    why = child.waiting_on or child.error
    return f"child {child.ordinal}  {child.run}  {child.agent}  {child.status}{f'  {why}' if why else ''}", mark.style


def _section(paper: Paper, title: str, rows: Sequence[Cell], *, always: bool = False) -> None:
    if rows or always:
        paper.say()
        paper.say(title if rows else f"{title}: none", Style.ACCENT)
        for text, style in rows:
            paper.say(f"  {show(text, 2000)}", style)


def _gate_row(gate: GateView) -> Cell:
    said = {"DROPPED": "", "OPEN": f"  {' | '.join(gate.options or [])}"}.get(gate.status)
    if said is None:
        said = f"  {'no answer' if gate.answer is None else gate.answer}" + (f" by {gate.actor}" if gate.actor else "")
    used = f"  used by {gate.used_by}" if gate.used_by else ""
    times = "" if gate.deadline_us is None else f"  until {format_us(gate.deadline_us)}"
    return f"gate {gate.name} {gate.ordinal}  {gate.status}{said}{used}{times}", Style.PLAIN


def _entry_row(entry: Entry) -> Cell:
    told = line(entry)
    seq = "" if entry.seq is None else entry.seq
    return f"{seq:>4}  {clock_time(entry.at_us)}  {told.glyph} {told.text}", told.style


def _decision_row(decision: DecisionView) -> Cell:
    cost = f"{count(decision.tokens_in + decision.tokens_out, 'token')} {money(decision.usd_micro)}"
    failed = decision.error is not None
    said = f"raised {fault(decision.error)}" if failed else short_json(decision.reply, 400)
    style = Style.ERROR if failed else Style.PLAIN
    return f"decision {decision.index}  seq {decision.seq}  {decision.name}  {cost}  {said}", style


def _effect_rows(effect: EffectView) -> list[Cell]:
    mark = EFFECT_MARKS.get(effect.status, UNKNOWN_MARK)
    how = f"{effect.resolution} by {effect.writer}" if effect.resolution else f"next: {effect.step or 'its body ends'}"
    row = f" ({effect.row})" if effect.row else ""
    tries = count(effect.attempts, "attempt")
    not_called = "  (in quarantine: not called)" if effect.quarantined else ""
    whose = "  (of the run it was forked from)" if effect.inherited else not_called
    head = f"{mark.glyph} {effect.status}  {effect.key}  {effect.semantics}  {tries}  {how}{row}{whose}"
    rows = [(head, mark.style), (f"    {call(effect.tool, visible(effect.args, effect.hidden), 400)}", Style.PLAIN)]
    if effect.error is not None:
        rows.append((f"    error: {fault(effect.error)}", Style.PLAIN))
    elif effect.result_error:
        rows.append((f"    the result cannot be recorded: {effect.result_error}", Style.PLAIN))
    elif effect.ended_us is not None:
        rows.append((f"    result: {short_json(effect.result, 400)}", Style.PLAIN))
    return rows


def _attempt_row(attempt: AttemptView) -> Cell:
    took = "" if attempt.ended_us is None else f" after {duration(attempt.ended_us - attempt.started_us)}"
    who = attempt.by + (f" in w{attempt.worker}, pid {attempt.pid}" if attempt.worker else "")
    evidence = "" if attempt.evidence is None else f"  {short_json(attempt.evidence, 400)}"
    what = f"{attempt.what} {attempt.number} of {short_key(attempt.key)}  by {who}  epoch {attempt.epoch}"
    return f"{what}  {clock_time(attempt.started_us)}  {attempt.how or 'open'}{took}{evidence}", Style.PLAIN


def print_budget(paper: Paper, purse: Sequence[BudgetView]) -> None:
    """The purse of one run, a unit a line."""
    for budget in purse:
        text, style = _budget_row(budget)
        paper.say(text, style)


def _budget_row(budget: BudgetView) -> Cell:
    usd = budget.unit == "usd_micro"
    spent, reserved = (money(part) if usd else str(part) for part in (budget.spent, budget.reserved))
    cap = "no cap" if budget.cap is None else f"cap {money(budget.cap) if usd else budget.cap}"
    lost = f"  of it lost {money(budget.lost) if usd else budget.lost}" if budget.lost else ""
    over = budget.left is not None and budget.left < 0
    text = f"{'usd' if usd else budget.unit}  spent {spent}{lost}  reserved {reserved}  {cap}"
    return text, Style.ALARM if over else Style.PLAIN


def _lease_row(lease: LeaseView) -> Cell:
    mark = LEASE_MARKS.get(lease.status, UNKNOWN_MARK)
    lasted = "" if lease.ended_us is None else f" after {duration(lease.ended_us - lease.granted_us)}"
    why = f": {lease.why}" if lease.why else ""
    who = f"w{lease.worker}, pid {lease.pid} on {lease.host}"
    text = f"{mark.glyph} epoch {lease.epoch}  drive {lease.drive}  {who}  from seq {lease.first_seq}"
    return f"{text}  {clock_time(lease.granted_us)}  {lease.status}{lasted}{why}", mark.style


def _duty_row(duty: ObligationView) -> Cell:
    mark = OBLIGATION_MARKS.get(duty.status, UNKNOWN_MARK)
    why = f": {duty.why}" if duty.why else ""
    return f"{mark.glyph} {duty.status}  {duty.key}  {count(duty.attempts, 'attempt')}{why}", mark.style


def _conflict_row(conflict: ConflictView) -> Cell:
    state = "open" if conflict.closed_us is None else "closed"
    return f"! {state}  {conflict.key}: {conflict.why}  {short_json(conflict.evidence, 400)}", Style.WARNING


def _order_row(order: OrderView) -> Cell:
    why = f": {order.reason}" if order.reason else ""
    return (
        f"{clock_time(order.placed_us)}  {order.verb}  {short_json(given(order.args), 400)}  by {order.actor}{why}",
        Style.PLAIN,
    )
