"""The model's gates: a named pause, one instance per name and ordinal, whose first answer counts; and approvals, which
are answers that are bound to one call (contract.md section 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class No(Exception):
    """The verb is refused."""


def need(condition: object) -> None:
    if not condition:
        raise No


class Record(NamedTuple):
    """One on the tape; `ref`: which effect, timer, child or gate it is about."""

    kind: str
    ref: object = None
    quarantined: bool = False
    approval: object = None


Instance = tuple[str, int]
Bound = tuple[str, int]
"""The call that an answer is bound to: tool and argument."""


@dataclass
class Gate:
    name: str
    ordinal: int
    status: str = "OPEN"
    options: tuple[str, ...] = ()
    answer: str | None = None
    opened: int = 0
    deadline: int | None = None
    on_timeout: str | None = None
    approves: Bound | None = None
    used_by: int | None = None
    void: bool = False

    @property
    def instance(self) -> Instance:
        return self.name, self.ordinal


@dataclass(eq=False, kw_only=True)
class Gated:
    """The part of a run that is about its gates."""

    wall: int
    end: str | None
    cancelling: bool
    gates: list[Gate] = field(default_factory=list)
    tape: list[Record] = field(default_factory=lambda: [Record("run_started")])

    def leased(self, epoch: int) -> None:
        raise NotImplementedError

    def record(self, kind: str, ref: object = None, *, quarantined: bool = False, approval: object = None) -> None:
        raise NotImplementedError

    def resettle(self) -> None:
        raise NotImplementedError

    def gate(self, name: str, ordinal: int) -> Gate | None:
        return next((gate for gate in self.gates if gate.instance == (name, ordinal)), None)

    def open_gate(self, epoch: int, fresh: Gate, seconds: int | None) -> None:
        self.leased(epoch)
        need(not self.cancelling)
        if fresh.ordinal:
            before = self.gate(fresh.name, fresh.ordinal - 1)
            need(before is not None and before.status != "EARLY")
        early = self.gate(fresh.name, fresh.ordinal)
        need(early is None or early.status == "EARLY")
        fresh.opened = self.wall
        fresh.deadline = None if seconds is None else self.wall + seconds * 1_000_000
        self.record("gate_opened", fresh.instance)
        self.gates = [gate for gate in self.gates if gate is not early]
        self.gates.append(fresh)
        blind = fresh.approves is not None and early is not None and early.answer == fresh.options[0]
        if early is not None and early.answer in fresh.options and not blind:
            self.close_gate(fresh, early.answer, resettles=False)

    def close_gate(self, gate: Gate, answer: str | None, *, resettles: bool = True) -> None:
        gate.status, gate.answer = "ANSWERED", answer
        self.record("gate_answered", gate.instance)
        if resettles:
            self.resettle()

    def answer(self, name: str, value: str, ordinal: int | None) -> str:
        """Returns what becomes of it: answered, early, or refused because there is an answer."""
        need(self.end is None)
        mine = [gate for gate in self.gates if gate.name == name]
        following = sum(gate.status != "EARLY" for gate in mine)
        waiting = [gate.ordinal for gate in mine if gate.status == "OPEN"]
        if ordinal is None:
            need(len(waiting) <= 1)
            need(mine or not any(gate.status == "OPEN" for gate in self.gates))
            answered = [gate.ordinal for gate in mine if gate.status not in ("EARLY", "OPEN")]
            need(not (waiting and answered))
            ordinal = waiting[0] if waiting else max(answered, default=following)
        need(ordinal <= following)
        gate = self.gate(name, ordinal)
        if gate is None:
            self.gates.append(Gate(name, ordinal, "EARLY", answer=value))
            return "early"
        if gate.status != "OPEN":
            return "refused"
        need(value in gate.options)
        self.close_gate(gate, value)
        return "answered"

    def time_out(self, name: str, ordinal: int) -> None:
        gate = self.gate(name, ordinal)
        need(gate is not None and gate.status == "OPEN")
        assert gate is not None
        need(gate.deadline is not None and gate.deadline <= self.wall)
        self.close_gate(gate, gate.on_timeout)

    def drop_gates(self) -> None:
        for gate in self.gates:
            if gate.status in ("OPEN", "EARLY"):
                gate.status = "DROPPED"

    def approved(self, tool: str, args: int, approval: Instance | None, effect: int, *, needed: bool) -> None:
        """The call begins only if nothing guards it, or with an approval of its own, which is used up."""
        if approval is None:
            need(not needed)
            need(not any(gate.approves is not None and gate.approves[0] == tool for gate in self.gates))
            return
        gate = self.gate(*approval)
        need(gate is not None and gate.approves is not None)
        assert gate is not None
        need(gate.status == "ANSWERED" and gate.answer == gate.options[0])
        need(gate.approves == (tool, args) and gate.used_by is None and not gate.void)
        gate.used_by = effect
