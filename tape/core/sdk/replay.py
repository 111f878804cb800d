"""A run's tape as its agent sees it: what has been recorded, and in which order outcomes are handed over.

Outcomes are handed over one at a time in tape order, while replaying and live alike, so that branches under
`asyncio.gather` interleave the second time as they did the first (contract.md section 5).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

from tape.core.kernel.preview import preview
from tape.core.sdk.hiding import opened

Outcome = tuple[str, Any]
"""What an operation waits for: ("decision", index), ("effect", key), ("sample", index), ("timer", ordinal),
("gate", (name, ordinal)), ("child", ordinal) and, for its id, ("started", ordinal); ("enqueued", key): it is begun, and
its end is nobody's business; where a cap was in the way, what it gets instead: ("refusal", (place, ordinal))."""

Body = dict[str, Any]
PIPELINED = 0
END = 1 << 62


@dataclass(frozen=True, slots=True)
class Handover:
    """An outcome that is due. `seq` is PIPELINED while its record is still on its way: nothing can come before it."""

    seq: int
    name: Outcome
    body: Body


@dataclass(slots=True)
class Tape:
    """The records by what they answer; `outcomes` are those not handed over yet, in tape order."""

    decisions: dict[int, Body] = field(default_factory=lambda: {})
    begun: dict[str, Body] = field(default_factory=lambda: {})
    ended: dict[str, Body] = field(default_factory=lambda: {})
    samples: dict[int, Body] = field(default_factory=lambda: {})
    timers_set: dict[int, Body] = field(default_factory=lambda: {})
    gates: dict[tuple[str, int], Body] = field(default_factory=lambda: {})
    refusals: dict[tuple[str, int], Body] = field(default_factory=lambda: {})
    charges: dict[str, list[Body]] = field(default_factory=lambda: {})
    children: dict[int, Body] = field(default_factory=lambda: {})
    outcomes: deque[Handover] = field(default_factory=lambda: deque())
    settled: set[Outcome] = field(default_factory=lambda: set())
    seqs: dict[Outcome, int] = field(default_factory=lambda: {})
    """Where each operation stands: the seq of its first record."""
    whole_to: int = 0
    """Every record up to this seq has been seen."""
    _beyond: dict[int, int] = field(default_factory=lambda: {})
    _starts: deque[tuple[int, Outcome]] = field(default_factory=lambda: deque())
    _places: dict[tuple[int | None, int], str] = field(default_factory=lambda: {})

    def add(self, seq: int, kind: str, body: Body) -> None:
        """Takes a record that stands on the tape; those that are outcomes queue up. One that came before changes
        nothing."""
        if seq <= self.whole_to or seq - 1 in self._beyond:
            return
        self.cover(seq, 1)
        if kind == "decision":
            self.decisions[body["index"]] = body
            self.put(seq, ("decision", body["index"]), body)
        elif kind == "effect_begun":
            self.begun[body["key"]] = body
            self._places[body["decision_index"], body["ordinal"]] = body["key"]
            if body.get("awaited", True):
                self._start(seq, ("effect", body["key"]))
            else:
                self.put(seq, ("enqueued", body["key"]), {"key": body["key"]})
        elif kind == "effect_ended":
            self.ended[body["key"]] = body
            self.put(seq, ("effect", body["key"]), body)
        elif kind == "sample":
            self.samples[body["index"]] = body
            self.put(seq, ("sample", body["index"]), body)
        elif kind == "timer_set":
            self.timers_set[body["ordinal"]] = body
            self._start(seq, ("timer", body["ordinal"]))
        elif kind == "timer_fired":
            self.put(seq, ("timer", body["ordinal"]), body)
        elif kind == "gate_opened":
            instance = body["name"], body["ordinal"]
            self.gates[instance] = body
            self._start(seq, ("gate", instance))
        elif kind == "gate_answered":
            self.put(seq, ("gate", (body["name"], body["ordinal"])), body)
        elif kind == "child_started":
            self.children[body["ordinal"]] = body
            self._start(seq, ("child", body["ordinal"]))
            self.put(seq, ("started", body["ordinal"]), body)
        elif kind == "child_ended":
            self.put(seq, ("child", body["ordinal"]), body)
        elif kind == "charge":
            self.charge(body["pays_for"], body)
        elif kind == "budget_refused":
            self.refuse(seq, body)

    def charge(self, pays_for: str, body: Body) -> None:
        self.charges.setdefault(pays_for, []).append(body)

    def refuse(self, seq: int, body: Body) -> Outcome:
        """A cap was in the way of an ask or a call: its outcome is the refusal."""
        place: str = body["place"]
        self.refusals[place, body["ordinal"]] = body
        if "/" in place:
            _, decision, ordinal, _ = place.split("/", 3)
            self._places[None if decision == "-" else int(decision), int(ordinal)] = place
        name: Outcome = ("refusal", (place, body["ordinal"]))
        self.put(seq, name, body)
        return name

    def paid(self, name: Outcome) -> list[Body]:
        """The charges of what this outcome is of."""
        return self.charges.get(f"decision {name[1]}" if name[0] == "decision" else str(name[1]), [])

    def _start(self, seq: int, name: Outcome) -> None:
        self._starts.append((seq, name))
        self.seqs[name] = seq

    def cover(self, seq: int, count: int) -> None:
        """The `count` records up to `seq` are known now: they came, or this drive wrote them."""
        if count <= 0:
            return
        self._beyond[seq - count] = seq
        while self.whole_to in self._beyond:
            self.whole_to = self._beyond.pop(self.whole_to)

    def put(self, seq: int, name: Outcome, body: Body) -> None:
        """Queues an outcome at its place."""
        at = len(self.outcomes)
        while at and self.outcomes[at - 1].seq > seq:
            at -= 1
        self.outcomes.insert(at, Handover(seq, name, body))
        self.seqs.setdefault(name, seq)
        self.settled.add(name)

    def put_next(self, name: Outcome, body: Body) -> None:
        """Queues an outcome whose record is on its way, and before which no other record can come."""
        self.outcomes.append(Handover(PIPELINED, name, body))
        self.settled.add(name)

    def begun_at(self, decision: int | None, ordinal: int) -> Outcome | None:
        """The effect that was begun, or refused, at this place of the run, whatever its tool."""
        key = self._places.get((decision, ordinal))
        if key is None:
            return None
        begun = self.begun.get(key)
        if begun is None:
            return ("refusal", (key, 0))
        return ("effect" if begun.get("awaited", True) else "enqueued", key)

    def uncalled(self, called: Collection[Outcome], before: int = END) -> Outcome | None:
        """The first call or timer that was begun before this seq and has not been asked for by the code."""
        while self._starts and self._starts[0][1] in called:
            self._starts.popleft()
        return self._starts[0][1] if self._starts and self._starts[0][0] < before else None

    def leftover(self, called: Collection[Outcome]) -> Outcome | None:
        """What the code should ask for next, and does not; None if it has asked for all that is recorded."""
        first = next((item for item in self.outcomes if item.name not in called), None)
        return self.uncalled(called, END if first is None else first.seq) or (first.name if first else None)

    def describe(self, name: Outcome) -> str:
        """An operation on one line: one side of a divergence."""
        kind, which = name
        if kind == "decision" and which in self.decisions:
            recorded = self.decisions[which]
            if recorded.get("preview") is not None:
                return f"decision {recorded['name']}({recorded['preview']})"
            return describe("decision", recorded["name"], recorded.get("request"))
        if kind in ("effect", "enqueued") and which in self.begun:
            return describe_begun(self.begun[which])
        if kind == "sample" and which in self.samples:
            return f"sample {self.samples[which]['name']}"
        if kind == "refusal":
            return f"a refusal of {which[0]} by the budget"
        if kind in ("effect", "enqueued") and (which, 0) in self.refusals:
            return self.describe(("refusal", (which, 0)))
        if kind == "timer" and which in self.timers_set:
            return f"timer {self.timers_set[which]['seconds']} s"
        if kind == "gate":
            gate, ordinal = cast("tuple[str, int]", which)
            return describe_gate(gate, ordinal, self.gates.get((gate, ordinal)))
        if kind in ("child", "started") and which in self.children:
            return describe("child", self.children[which]["agent"], self.children[which]["input"])
        return f"{kind} {which}"


def describe_gate(name: str, ordinal: int, body: Body | None) -> str:
    """A gate on one line: what it is bound to, and among what is chosen."""
    text = f"gate {name} {ordinal}"
    if body:
        text += f" ({' | '.join(body['options'])})"
        approves = body.get("approves")
        if approves is not None:
            text += f" for {approves['tool']}({preview(opened(approves['args'], approves.get('hidden')))})"
    return text if len(text) <= 300 else text[:299] + "…"


def describe(kind: str, name: str, request: Any) -> str:
    """One side of a divergence, on one line."""
    return f"{kind} {name}({preview(request)})"


def describe_begun(begun: Body) -> str:
    kind = "effect" if begun.get("awaited", True) else "enqueued"
    return describe_call(kind, begun["tool"], begun["args"], begun.get("hidden"))


def describe_call(kind: str, tool: str, args: Any, hidden: Any) -> str:
    return describe(kind, tool, opened(args, hidden))
