"""What must hold for one run: its tape, its chain, its counters, its leases and its effects (contract.md section 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from tape.core.journal.audit_facts import DAMAGED, Facts, Finding, Row, Severity
from tape.core.journal.commands import close_command, resolve_commands
from tape.core.journal.entries import LaterEvent
from tape.core.journal.redaction import hash_behind
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import (
    BY_KIND,
    TAPE_KINDS,
    BudgetLost,
    BudgetOverrun,
    Charge,
    ChildEnded,
    ChildStarted,
    Decision,
    EffectBegun,
    EffectEnded,
    GateAnswered,
    GateOpened,
    LeaseGranted,
    RunEnded,
    RunMoved,
    RunStarted,
    TimerFired,
    TimerSet,
)
from tape.core.kernel.identity import chain_hash, chained_text, effect_key, hash_args
from tape.core.kernel.lifecycle import (
    EFFECT_ENDS,
    OBLIGATION_OPEN,
    RUN_ENDS,
    GateStatus,
    LeaseStatus,
    ObligationStatus,
    RunStatus,
    TimerStatus,
)
from tape.core.kernel.resolution import Dispatch, Step

UPGRADE = "a newer release wrote it: upgrade tape-agents to read it"


def check_run(facts: Facts) -> Iterator[Finding]:
    """Everything that is wrong with one run, then what a person should look at."""
    run_id: str = facts.run["id"]
    for check in CHECKS:
        try:
            wrong = list(check(facts))
        except (TypeError, ValueError, AttributeError):
            wrong = [f"an entry holds values of other types than its kind ({check.__name__.strip('_')})"]
        for what in wrong:
            yield Finding(Severity.ERROR, run_id, what, DAMAGED)
    yield from _attention(facts)


# --- the tape ---------------------------------------------------------------------------------------------------


def _readable(facts: Facts) -> Iterator[str]:
    for entry in facts.entries:
        if isinstance(entry.event, LaterEvent) and entry.kind in BY_KIND:
            yield f"entry {entry.id} ({entry.kind}) cannot be read"


def _chain(facts: Facts) -> Iterator[str]:
    head = b""
    wrong: list[int] = []
    for entry in facts.entries:
        text = chained_text(entry.seq, entry.kind, entry.epoch, entry.at_us, entry.body)
        if chain_hash(head, text) != entry.hash:
            wrong.append(entry.id)
        head = entry.hash
    if wrong:
        more = f", and {len(wrong) - 1} more" if wrong[1:] else ""
        yield f"the hash chain breaks at entry {wrong[0]}{more}: it or the one before was changed, or one is missing"
    if facts.run["head"] != head:
        yield "the run's head is not the hash of its last entry: entries are missing at the end"


def _dense(facts: Facts) -> Iterator[str]:
    left = {effect["key"] for effect in facts.effects if not effect["awaited"]}
    dispatched = {begun.key for _, begun in facts.told(EffectBegun) if begun.dispatch == Dispatch.OUTBOX}
    for entry in facts.entries:
        event = entry.event
        if isinstance(event, Charge) and event.pays_for in dispatched - left:
            continue  # with the end on the tape, for an attempt that settled nothing beside it
        beside = (isinstance(event, EffectEnded) and event.key in left) or (
            isinstance(event, Charge) and event.pays_for in left
        )
        if entry.kind in BY_KIND and (entry.seq is not None) is not (entry.kind in TAPE_KINDS and not beside):
            yield f"entry {entry.id} ({entry.kind}) " + ("has a seq" if entry.seq else "has no seq")
    for due, entry in enumerate(facts.tape, start=1):
        if entry.seq != due:
            yield f"seq {due} is missing: entry {entry.id} has seq {entry.seq}"
            break
    if facts.run["seq"] != len(facts.tape):
        yield f"the run counts {facts.run['seq']} records, its tape holds {len(facts.tape)}"


def _decisions(facts: Facts) -> Iterator[str]:
    decisions = [(at, entry.event) for at, entry in enumerate(facts.tape) if isinstance(entry.event, Decision)]
    charges = Counter(charge.pays_for for _, charge in facts.told(Charge))
    for due, (at, decision) in enumerate(decisions):
        if decision.index != due:
            yield f"decision {due} is missing: decision {decision.index} stands in its place"
            break
        name = f"decision {due}"
        following = facts.tape[at + 1].event if at + 1 < len(facts.tape) else None
        if not isinstance(following, Charge) or following.pays_for != name:
            yield f"{name} is not followed by its charge"
        elif charges[name] != 1:
            yield f"{name} is charged {charges[name]} times"
    known = {f"decision {decision.index}" for _, decision in decisions}
    known |= {begun.key for _, begun in facts.told(EffectBegun)}
    for paid in charges:
        if paid not in known:
            yield f"a charge pays for {paid}, which is not on the tape"
    if facts.run["decisions"] != len(decisions):
        yield f"the run counts {facts.run['decisions']} decisions, its tape holds {len(decisions)}"


def _money(facts: Facts) -> Iterator[str]:
    """Each unit of the purse is what the charges and losses of the run and its descendants sum up to; what came with
    the tape that it was forked from was paid by that run."""
    if _without_children(facts):
        return
    inherited = {row["key"] for row in facts.effects if row["inherited"]}
    own = [entry.event for entry in facts.entries if entry.seq is None or entry.seq > facts.run["source_seq"]]
    events = [*own, *facts.paid_below]
    charges = [event for event in events if isinstance(event, Charge) and event.pays_for not in inherited]
    losses = [event for event in events if isinstance(event, BudgetLost)]
    summed = {
        "tokens": (sum(charge.tokens_in + charge.tokens_out for charge in charges), sum(it.tokens for it in losses)),
        "usd_micro": (sum(charge.usd_micro for charge in charges), sum(loss.usd_micro for loss in losses)),
    }
    for unit, (paid, lost) in summed.items():
        row = facts.budget.get(unit)
        spent = None if row is None else row["spent"]
        if spent != paid + lost:
            also = f", and {lost} were lost" if lost else ""
            yield f"the budget says {spent} {unit} spent, the charges sum up to {paid}{also}"
        elif row is not None and row.get("lost", 0) != lost:
            yield f"the budget says {row['lost']} {unit} lost, the entries say {lost}"
    for unit, row in facts.budget.items():
        tool = unit.removeprefix("calls:")
        if unit not in summed and row["spent"] != facts.calls.get(tool, 0):
            yield f"the budget says {row['spent']} calls of {tool}, the effects say {facts.calls.get(tool, 0)}"


def _without_children(facts: Facts) -> bool:
    """Whether the run had children that are not in this journal: they drew from its purse."""
    return facts.alone and bool(facts.run["children"])


def _held_back(facts: Facts) -> Iterator[str]:
    """What is reserved is the sum of its reservations; with what is spent within the cap, if no bill passed it."""
    if _without_children(facts):
        return
    events = [*(entry.event for entry in facts.entries), *facts.paid_below]
    overruns = [event for event in events if isinstance(event, BudgetOverrun) and event.run == facts.run["id"]]
    for unit, row in facts.budget.items():
        held = sum(one["amount"] for one in facts.reservations if one["unit"] == unit)
        if row["reserved"] != held:
            yield f"the budget says {row['reserved']} {unit} reserved, the reservations sum up to {held}"
        over = sum(overrun.by for overrun in overruns if overrun.unit == unit)
        if row["cap"] is not None and row["spent"] + row["reserved"] > row["cap"] + over:
            used = f"{row['spent']} spent and {row['reserved']} reserved"
            yield f"{used} of {unit} pass the cap of {row['cap']}, and no bill says so"
    for wait in facts.cap_waits if facts.run["end_status"] is not None else ():
        yield f"{wait['place']} waits for a cap, but the run has ended"
    for one in facts.reservations:
        if one["place"].startswith("decision ") and facts.run["end_status"] is not None:
            yield f"{one['amount']} {one['unit']} are reserved for {one['place']}, but the run has ended"


def _ends(facts: Facts) -> Iterator[str]:
    run = facts.run
    first = facts.tape[0].event if facts.tape else None
    if not isinstance(first, RunStarted):
        yield "the tape does not begin with run_started"
    elif first.agent != run["agent"]:
        yield f"the run is of agent {run['agent']}, run_started says {first.agent}"
    ends = [(entry, ended) for entry, ended in facts.told(RunEnded)]
    if not ends:
        if run["end_status"] is not None or run["status"] in RUN_ENDS:
            yield f"the run is {run['status']} ({run['end_status']}), but its tape has no run_ended"
        return
    if len(ends) > 1 or facts.tape[-1] is not ends[0][0]:
        yield "run_ended is not the last record, or stands there more than once"
    if ends[0][1].outcome != run["end_status"]:
        yield f"run_ended says {ends[0][1].outcome}, the run says {run['end_status']}"
    if run["status"] in RUN_ENDS and run["status"] != run["end_status"]:
        yield f"the run is {run['status']}, but ended {run['end_status']}"


# --- leases, effects, duties ------------------------------------------------------------------------------------


def _leases(facts: Facts) -> Iterator[str]:
    run, epoch = facts.run, 0
    for drive, lease in enumerate(facts.leases, start=1):
        epoch += 1
        if (lease["epoch"], lease["drive"]) != (epoch, drive):
            yield f"drive {drive} has the lease epoch {lease['epoch']} (drive {lease['drive']}) where {epoch} was due"
            return
        epoch += lease["status"] in (LeaseStatus.DIED, LeaseStatus.EXPIRED)
    if (run["epoch"], run["drive"]) != (epoch, len(facts.leases)):
        yield f"the run is at epoch {run['epoch']}, drive {run['drive']}; its leases say {epoch}, {len(facts.leases)}"
    live = [lease for lease in facts.leases if lease["status"] == LeaseStatus.LIVE]
    if len(live) > 1:
        yield f"the run has {len(live)} live leases"
    if bool(live) is not (run["status"] == RunStatus.RUNNING):
        yield f"the run is {run['status']} with {len(live)} live leases"
    holder = live[-1]["worker_no"] if live else None
    if run["worker_no"] != holder:
        yield f"the run names worker {run['worker_no']}, its live lease {holder}"
    granted = [grant.epoch for _, grant in facts.told(LeaseGranted)]
    if granted != [lease["epoch"] for lease in facts.leases]:
        yield f"the leases' epochs are not those of the entries: {granted}"


def _epochs(facts: Facts) -> Iterator[str]:
    highest = 0
    for entry in facts.entries:
        if entry.epoch < highest:
            yield f"entry {entry.id} was written under epoch {entry.epoch} after one under {highest}"
            return
        highest = entry.epoch
    if highest > facts.run["epoch"]:
        yield f"an entry was written under epoch {highest}, the run is at {facts.run['epoch']}"


def _effects(facts: Facts) -> Iterator[str]:
    begun = {event.key: (entry.id, event) for entry, event in reversed(list(facts.told(EffectBegun)))}
    ended = {event.key: (entry.id, event) for entry, event in reversed(list(facts.told(EffectEnded)))}
    rows = {row["key"] for row in facts.effects}
    for kind, what in ((EffectBegun, "began"), (EffectEnded, "ended")):
        times = Counter(event.key for _, event in facts.told(kind))
        yield from (f"{key} {what} {number} times" for key, number in times.items() if number > 1)
        yield from (f"{key} {what} on the tape, but is no effect of the run" for key in times if key not in rows)
    for row in facts.effects:
        yield from _effect(facts, row, begun.get(row["key"]), ended.get(row["key"]))
    if facts.run["effects"] != len(facts.effects):
        yield f"the run counts {facts.run['effects']} effects, the journal holds {len(facts.effects)}"


def _effect(
    facts: Facts, row: Row, begun: tuple[int, EffectBegun] | None, ended: tuple[int, EffectEnded] | None
) -> Iterator[str]:
    key: str = row["key"]
    index = None if row["decision_index"] < 0 else row["decision_index"]
    if key != effect_key(facts.run["id"], index, row["ordinal"], row["tool"]):
        yield f"{key} is not the key of its run, decision, ordinal and tool"
    if begun is None or begun[0] != row["begun_id"]:
        yield f"{key} has no effect_begun"
    elif not row["args_hash"] == begun[1].args_hash == _hash(begun[1]):
        yield f"the arguments of {key} are not those that were hashed"
    if row["status"] in EFFECT_ENDS:
        if ended is None or ended[0] != row["ended_id"]:
            yield f"{key} is {row['status']}, but has no effect_ended"
        elif ended[1].status != row["status"]:
            yield f"{key} is {row['status']}, effect_ended says {ended[1].status}"
    else:
        if ended is not None:
            yield f"{key} is {row['status']}, but effect_ended says {ended[1].status}"
        if facts.run["end_status"] is not None and row["awaited"]:
            yield f"{key} is {row['status']}, but the run has ended"
    if facts.attempts.get(key, 0) != row["attempts"]:
        yield f"{key} counts {row['attempts']} attempts, the journal holds {facts.attempts.get(key, 0)}"


def _hash(begun: EffectBegun) -> str:
    behind = hash_behind(begun.args)
    if behind is not None:
        return behind
    try:
        return hash_args(begun.args, begun.hidden)
    except UsageError:
        return "no strict JSON"


def _duties(facts: Facts) -> Iterator[str]:
    left = {effect["key"] for effect in facts.effects if not effect["awaited"]}
    if facts.run["status"] in RUN_ENDS:
        for duty in facts.obligations:
            if duty["effect_key"] not in left and (duty["status"] in OBLIGATION_OPEN or duty["status"] == "ARMED"):
                yield f"{duty['key']} is {duty['status']}, but the run has ended"


def _timers(facts: Facts) -> Iterator[str]:
    told = {timer.ordinal: TimerStatus.SET for _, timer in facts.told(TimerSet)}
    told |= {timer.ordinal: TimerStatus.FIRED for _, timer in facts.told(TimerFired)}
    for ordinal in sorted(facts.timers.keys() | told.keys()):
        status = facts.timers.get(ordinal)
        expected = told.get(ordinal)
        if status == TimerStatus.DROPPED and expected is TimerStatus.SET and facts.run["end_status"] is not None:
            continue
        if status != expected:
            yield f"timer {ordinal} is {status}, its entries say {expected}"
        elif status == TimerStatus.SET and facts.run["end_status"] is not None:
            yield f"timer {ordinal} is SET, but the run has ended"


def _gates(facts: Facts) -> Iterator[str]:
    ended = facts.run["end_status"] is not None
    answers = {(event.name, event.ordinal): event.answer for _, event in facts.told(GateAnswered)}
    told = {(event.name, event.ordinal): GateStatus.OPEN for _, event in facts.told(GateOpened)}
    told |= dict.fromkeys(answers, GateStatus.ANSWERED)
    rows = {(row["name"], row["ordinal"]): row for row in facts.gates}
    for name, ordinal in sorted(rows.keys() | told.keys()):
        row, expected = rows.get((name, ordinal)), told.get((name, ordinal))
        status = None if row is None else row["status"]
        if status == GateStatus.DROPPED and ended and expected in (GateStatus.OPEN, None):
            continue
        if status != (expected or GateStatus.EARLY):
            yield f"gate {name} {ordinal} is {status}, its entries say {expected or 'nothing'}"
        elif status in (GateStatus.OPEN, GateStatus.EARLY) and ended:
            yield f"gate {name} {ordinal} is {status}, but the run has ended"
        elif row is not None and expected is GateStatus.ANSWERED and row["answer"] != answers[name, ordinal]:
            yield f"gate {name} {ordinal} holds another answer than its entry: {row['answer']}"
    used = {event.approval: event.key for _, event in facts.told(EffectBegun) if event.approval}
    for row in facts.gates:
        key = used.get(f"{row['name']} {row['ordinal']}", "")
        if row["used_by"] != key:
            which = f"gate {row['name']} {row['ordinal']}"
            yield f"{which} was used up by {row['used_by'] or 'nobody'}, its entries say {key or 'nobody'}"


def _children(facts: Facts) -> Iterator[str]:
    """Every child that was started is one run, and each end of one stands here, unless this run ended first."""
    if _without_children(facts):
        return
    run = facts.run
    before = sum((entry.seq or 0) <= run["source_seq"] for entry, _ in facts.told(ChildStarted))
    """Children of the run that this one was forked from: they have ended, and are none of its own."""
    started = [(child.ordinal, child.child) for _, child in facts.told(ChildStarted)][before:]
    if started != [(row["parent_ordinal"], row["id"]) for row in facts.children]:
        yield f"its tape has started the children {started[:3]}, the journal holds {len(facts.children)} runs of them"
        return
    ended = {child.child: child.status for _, child in facts.told(ChildEnded) if child.ordinal >= before}
    over = {row["id"]: row["status"] for row in facts.children if row["status"] in RUN_ENDS}
    for child, status in ended.items():
        if over.get(child) != status:
            yield f"child_ended says that {child} is {status}, it is {over.get(child, 'not at its end')}"
    if run["end_status"] is None:
        yield from (
            f"the child {child} is {over[child]}, but has no child_ended" for child in over if child not in ended
        )
    open_children = len(facts.children) - len(over)
    if (run["children"] - before, run["children_open"]) != (len(facts.children), open_children):
        yield f"the run counts {run['children']} children, {run['children_open']} open; there are {len(started)}, " + (
            f"{open_children} open"
        )
    if run["status"] in RUN_ENDS and open_children:
        yield f"the run has ended, but {open_children} of its children are open"


CHECKS: tuple[Callable[[Facts], Iterator[str]], ...] = (
    _readable,
    _chain,
    _dense,
    _decisions,
    _money,
    _held_back,
    _ends,
    _leases,
    _epochs,
    _effects,
    _duties,
    _timers,
    _gates,
    _children,
)


# --- what a person should look at -------------------------------------------------------------------------------


def _attention(facts: Facts) -> Iterator[Finding]:
    run = facts.run
    run_id: str = run["id"]
    later = sorted({entry.kind for entry in facts.entries if entry.kind not in BY_KIND})
    if later:
        yield Finding(Severity.NOTE, run_id, f"holds entries that are not known here: {', '.join(later)}", UPGRADE)
    for conflict in facts.conflicts:
        key = conflict["key"]
        help = f"compare the upstream's own record with `tape doctor --dump-run {run_id}`, then `{close_command(key)}`"
        yield Finding(Severity.WARNING, run_id, f"open conflict on {conflict['key']}: {conflict['why']}", help)
    if run["status"] == RunStatus.STUCK:
        moves = [moved for _, moved in facts.told(RunMoved) if moved.status == RunStatus.STUCK]
        commands = [str(command) for command in moves[-1].commands] if moves else []
        helps = " | ".join(commands or [f"tape redrive {run_id}", f"tape cancel {run_id}"])
        yield Finding(Severity.WARNING, run_id, f"STUCK: {run['error'] or 'a person must look'}", helps)
    for key in _dead_letters(facts):
        what = f"dead letter: only a person can settle {key}, which no run waits for"
        yield Finding(Severity.WARNING, run_id, what, " | ".join(resolve_commands(key)))
    if _forgotten(facts):
        what = f"is {run['status']}, but nothing that it could wait for is open"
        yield Finding(Severity.WARNING, run_id, what, f"tape cancel {run_id}")


def _dead_letters(facts: Facts) -> Iterator[str]:
    """What needs a person although no run is STUCK over it."""
    left = {effect["key"] for effect in facts.effects if not effect["awaited"]}
    for effect in facts.effects:
        if effect["key"] in left and effect["status"] not in EFFECT_ENDS and effect["step"] == Step.PERSON:
            yield effect["key"]
    if facts.run["status"] != RunStatus.STUCK:
        for duty in facts.obligations:
            if duty["effect_key"] in left and duty["status"] == ObligationStatus.STUCK:
                yield duty["key"]


def _forgotten(facts: Facts) -> bool:
    """Nothing would ever wake the run (invariant I12)."""
    still_open = [effect for effect in facts.effects if effect["status"] not in EFFECT_ENDS]
    if facts.run["status"] == RunStatus.COMPENSATING:
        owed = still_open or any(duty["status"] in OBLIGATION_OPEN for duty in facts.obligations)
        return not owed and not facts.run["children_open"]
    waits = (
        bool(facts.run["children_open"])
        or any(effect["awaited"] for effect in still_open)
        or TimerStatus.SET in facts.timers.values()
        or any(gate["status"] == GateStatus.OPEN for gate in facts.gates)
        or bool(facts.cap_waits)
    )
    return facts.run["status"] == RunStatus.WAITING and not waits
