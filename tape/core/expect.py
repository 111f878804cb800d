"""What will happen, and why, before a process is killed: one sentence for a point, a death and a tool. Pure.

What becomes of an open effect is asked of the resolution table itself, never known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tape.core.kernel.events import Json
from tape.core.kernel.points import OWN_PREFIX, Death, Stage, find_point
from tape.core.kernel.resolution import Answer, Case, Dispatch, OnUnknown, Rule, Semantics, Step, resolve
from tape.core.story_facts import DEATHS, blow
from tape.core.text import show

LIMIT = 160
NAME_LIMIT = 24
NOT_AT_INLINE = ("dispatch.started", "dispatch.acted")
NOT_AT_OUTBOX = ("effect.acted", "effect.ended")


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """What a tool declares, and whom it acts on. `undo_semantics` is empty where nothing is known of the undo."""

    name: str
    semantics: str = Semantics.NON_IDEMPOTENT
    look_up: bool = False
    authoritative: bool = False
    dispatch: str = Dispatch.INLINE
    on_unknown: str = OnUnknown.ASK
    compensable: bool = False
    upstream: str = "the upstream"
    undo_semantics: str = ""
    undo_look_up: bool = False

    @classmethod
    def from_mapping(cls, declared: Mapping[str, Json]) -> ToolFacts:
        """From the words of a tool's policy; what is missing is as undeclared, what is unknown is left out. Raises
        ValueError for a semantics, a dispatch or an on_unknown that there is none of."""
        return cls(
            name=str(declared.get("name") or declared.get("tool") or "the tool"),
            semantics=Semantics(declared.get("semantics") or Semantics.NON_IDEMPOTENT),
            look_up=bool(declared.get("look_up")),
            authoritative=bool(declared.get("authoritative")),
            dispatch=Dispatch(declared.get("dispatch") or Dispatch.INLINE),
            on_unknown=OnUnknown(declared.get("on_unknown") or OnUnknown.ASK),
            compensable=bool(declared.get("compensable")),
            upstream=str(declared.get("upstream") or "the upstream"),
            undo_semantics=Semantics(declared["undo_semantics"]) if declared.get("undo_semantics") else "",
            undo_look_up=bool(declared.get("undo_look_up")),
        )

    def case(self) -> Case:
        """The table's question right after the attempt was lost."""
        return Case(
            semantics=Semantics(self.semantics),
            look_up=bool(self.look_up),
            authoritative=bool(self.authoritative),
            on_unknown=OnUnknown(self.on_unknown),
        )

    def undo_case(self) -> Case:
        semantics = Semantics(self.undo_semantics)
        return Case(semantics=semantics, look_up=bool(self.undo_look_up), authoritative=bool(self.authoritative))

    @property
    def outbox(self) -> bool:
        return self.dispatch == Dispatch.OUTBOX


def outcome(case: Case, acted: bool) -> Rule:
    """The row that the table comes to in the end, if every look-up tells the truth about `acted`."""
    rule = resolve(case)
    if rule.step is not Step.ASK:
        return rule
    answer = Answer.PRESENT if acted else Answer.ABSENT
    return resolve(replace(case, answer=answer, settled=True, asks_left=False))


def expect(point: str, death: str, tool: ToolFacts | None) -> str:
    """One sentence of at most `LIMIT` characters: what will happen at this point with this death, and why. `tool` is
    what is under way there, if anything is known of it. Raises UsageError for a point that there is none of."""
    place = find_point(point)
    dealt = blow(point, death)
    if dealt not in DEATHS:
        return "the agent waits here until it is let go on: nothing dies, and nothing is lost"
    if tool is not None:
        tool = replace(tool, name=show(tool.name, NAME_LIMIT), upstream=show(tool.upstream, NAME_LIMIT))
        missed = _missed(point, tool)
        if missed:
            return missed
    if place.stage is Stage.HOOK:
        return _fit(_hook(point, tool))
    if dealt == Death.LOST:
        return _lost(point)
    if dealt == Death.TERM:
        return _drained(point)
    told = _own(tool) if place.stage is Stage.OWN else _killed(point, tool)
    if dealt == Death.STOP and point == "run.ended":
        return f"frozen after its lease was given back: {told}"
    if dealt == Death.STOP:
        return _fit(f"frozen, its lease runs out: {told}", "; once thawed it is refused")
    return _fit(told)


def _fit(text: str, more: str = "") -> str:
    return text + more if len(text) + len(more) <= LIMIT else show(text, LIMIT)


def _missed(point: str, tool: ToolFacts) -> str:
    """Why this tool never passes the point; empty if it does."""
    if point in NOT_AT_INLINE and not tool.outbox:
        return f"{tool.name} does not pass here: its body runs in the agent, not in the outbox"
    if point in NOT_AT_OUTBOX and tool.outbox:
        return f"{tool.name} does not pass here: the outbox runs its body, see dispatch.acted"
    if point == "observe.answered" and resolve(tool.case()).step is not Step.ASK:
        why = "it only reads" if tool.semantics == Semantics.READ_ONLY else "it has no look-up"
        return f"{tool.name} does not pass here: {why}, so nothing is asked about it"
    if point == "compensate.acted" and not tool.compensable:
        return f"{tool.name} does not pass here: it cannot be undone"
    return ""


# --- an open effect -----------------------------------------------------------------------------------------------

_AGAIN: Mapping[str, str] = {
    "R-again": "it only reads, so {again}",
    "I-again": "{again} with the same key, which {upstream} honours",
    "I-absent": "the reconciler asks, finds nothing, and {again} with the same key",
    "N-absent": "the reconciler asks until it is certainly not there, then {again}",
}
_PERSON: Mapping[str, str] = {
    "N-unclear": "a look-up that finds nothing proves nothing, so a person must decide",
    "N-undo": "nobody can be asked, and an undo could come before the act, so a person must decide",
    "N-ask": "nobody can be asked about it, so a person must decide",
}
_ELSE: Mapping[Step, str] = {
    Step.CONFIRM: "the reconciler asks it by key and confirms; the body does not run again",
    Step.COMPENSATE: "nobody can be asked, so it is undone, happened or not, and ends FAILED",
}


def _again(tool: ToolFacts, *, entered: bool = True) -> str:
    words = "the outbox runs the body" if tool.outbox else "the body runs"
    return f"{words} again" if entered else words


def _fate(rule: Rule, tool: ToolFacts, *, entered: bool = True) -> str:
    if rule.step is Step.AGAIN:
        return _AGAIN[rule.row].replace("{again}", _again(tool, entered=entered)).replace("{upstream}", tool.upstream)
    return _PERSON[rule.row] if rule.step is Step.PERSON else _ELSE[rule.step]


def _acted(tool: ToolFacts | None) -> str:
    if tool is None:
        return "the body has returned, its outcome is lost: what the tool declares says who settles it, and how"
    seen = "answered" if tool.semantics == Semantics.READ_ONLY else "acted"
    rule = outcome(tool.case(), True)
    return f"{tool.upstream} has {seen}, the answer died: {_fate(rule, tool)}"


def _not_acted(tool: ToolFacts | None, head: str) -> str:
    if tool is None:
        return f"{head}: what the tool declares says who settles it, and how"
    return f"{head}: {_fate(outcome(tool.case(), False), tool, entered=False)}"


def _own(tool: ToolFacts | None) -> str:
    if tool is None:
        return "what is on the tape is replayed, not done again; a body open here is settled as its tool declares"
    there, absent = outcome(tool.case(), True), outcome(tool.case(), False)
    head = f"{tool.name}'s body may have acted"
    if there == absent:
        return f"{head}: {_fate(there, tool)}"
    otherwise = "a person must decide" if absent.step is Step.PERSON else _again(tool)
    return f"{head}: the reconciler asks by key: there, it is confirmed, else {otherwise}"


# --- the places ---------------------------------------------------------------------------------------------------

_KILLED: Mapping[str, str] = {
    "decision.asking": "the model has not been asked: the next drive replays the tape and asks it",
    "decision.replied": "the model has answered and billed, the reply died: it is asked, and paid, once more",
    "decision.recorded": "the decision is on the tape: the model is not asked again, the next drive goes on from it",
    "effect.ended": "the outcome is on the tape: the next drive gets it from there, the body does not run again",
    "timer.set": "the timer is on the tape: the next drive waits for the rest of it, no longer",
    "gate.opened": "the gate is on the tape: the next drive comes to it, and waits for the same one answer",
    "budget.awaited": "nothing of it has begun or stands on the tape: the next drive comes to the same cap, and waits",
    "child.started": "the child is a run of its own, and goes on: the next drive finds it on the tape and waits for it",
    "run.ending": "all but the end is on the tape: the next drive replays it, does nothing again, and ends the run",
    "run.ended": "the end is on the tape: there is nothing left to take up",
    "lease.granted": "the lease is lost unused, nothing was done under it: the next drive starts at the same seq",
}


def _killed(point: str, tool: ToolFacts | None) -> str:
    if point == "effect.acted":
        return _acted(tool)
    if point == "effect.begun":
        if tool is not None and tool.outbox:
            return "the intent is queued: the outbox runs the body, whatever becomes of the agent"
        return _not_acted(tool, "the intent is on the tape, the body not entered")
    return _KILLED[point]


def _drained(point: str) -> str:
    if point in ("run.ending", "run.ended"):
        return "the agent drains: the end of the run is on the tape, there is nothing left to take up"
    if point.startswith(OWN_PREFIX):
        return "the agent drains: an open body ends and is recorded, the lease is given back, the next drive goes on"
    return "the agent drains: what is under way is recorded, the lease given back, the next drive goes on from there"


def _lost(point: str) -> str:
    if point == "lease.granted":
        return "the line breaks after the grant: nobody dies, the agent calls back and is sent the same drive"
    return "it is recorded, only the answer is lost: nobody dies, the agent asks again and gets the same answer"


def _hook(point: str, tool: ToolFacts | None) -> str:
    """The process of a look-up, a dispatch or an undo is killed, whatever the death; the driver is not."""
    if point == "observe.answered":
        return "the look-up's answer dies with the hook worker: asking changes nothing, so it is asked again"
    if point == "dispatch.started":
        return _not_acted(tool, "the dispatch is recorded, the body not entered")
    if point == "dispatch.acted":
        return _acted(tool)
    if tool is None or not tool.undo_semantics:
        return "the undo has returned, its outcome is lost: what the undo declares says who settles it, and how"
    rule = outcome(tool.undo_case(), True)
    fates = {
        Step.AGAIN: "it runs again, which is harmless",
        Step.CONFIRM: "its look-up finds that it is undone; it does not run again",
        Step.PERSON: "nobody can be asked about it, so a person must decide",
    }
    return f"the undo has returned, its outcome is lost: {fates[rule.step]}"
