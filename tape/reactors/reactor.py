"""What a reactor is, and the desk it works at: find work, claim it, do one step, record it. Idempotent."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tape.core.clock import Clock
from tape.core.journal.claims import check_answer
from tape.core.journal.transaction import Tx
from tape.core.journal.work import Work
from tape.core.kernel.errors import Refused, UsageError
from tape.core.kernel.events import (
    Attached,
    Charge,
    Decision,
    EffectBegun,
    EffectEnded,
    Event,
    GateOpened,
    ModelAsked,
    Sample,
    TimerSet,
)
from tape.core.kernel.policy import LeasePolicy, RecoveryPolicy
from tape.core.kernel.resolution import Answer, Dispatch
from tape.core.kernel.resolution import Writer as By
from tape.core.server.peers import HookLost
from tape.core.wire import Frame

T = TypeVar("T")
LOOK_UP_LIMIT_US = 30_000_000
BODY_LIMIT_US = 600_000_000
BODY_END_US = 10_000_000
CLAIM_MARGIN_US = 30_000_000
_PROGRESS = (ModelAsked, Decision, Charge, Sample, TimerSet, GateOpened, Attached)


def body_limit_us(timeout_us: int | None) -> int:
    """For how long a dispatched body may run before its process is ended. A tool that declares a longer time gets it,
    and some time to end the body by itself."""
    return BODY_LIMIT_US if timeout_us is None else max(BODY_LIMIT_US, timeout_us + BODY_END_US)


class Reactor(Protocol):
    """`tick` does all that is due now and returns how many rows it moved; it never waits."""

    name: str

    def tick(self) -> int: ...


class Pool(Protocol):
    """The agent processes, as reactors need them."""

    def hook_worker(self, *, alone: bool = False) -> int | None: ...
    def driver_for(self, *, alone: bool) -> int | None: ...
    def driving(self) -> int: ...
    def hook(self, worker: int, what: str, key: str, effect: dict[str, Any], limit_us: int) -> Future[Any]: ...
    def end_silent(self, worker: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything a reactor may use. `call` commits one verb; `who` names this host of reactors in claims."""

    clock: Clock
    work: Work
    pool: Pool
    call: Callable[[Callable[[Tx], Any]], Any]
    lease: LeasePolicy
    recovery: RecoveryPolicy
    slots: int
    concurrency: int
    who: str

    def try_call(self, verb: Callable[[Tx], T]) -> T | None:
        """The verb's result, or None if somebody else was faster: another observer of the same fact."""
        try:
            return self.call(verb)
        except Refused:
            return None


def is_over(lost: BaseException | None) -> bool:
    """Whether the body of a hook is certainly over: its worker said so, or nothing of its worker is left that could act
    on (contract.md section 4)."""
    return lost is None or (isinstance(lost, HookLost) and lost.proven)


def answer_of(frame: Frame) -> tuple[Answer, list[Any], str]:
    """A look-up's answer, the acts it found and its reason; one that failed, or does not make sense, could not say."""
    if frame["how"] != "answered":
        error: dict[str, str] = frame.get("error") or {}
        return Answer.UNCLEAR, [], error.get("message", "")
    try:
        said = Answer(frame["answer"])
        check_answer(said, frame["acts"])
    except (ValueError, UsageError) as wrong:
        return Answer.UNCLEAR, [], str(wrong)
    return said, frame["acts"], frame["why"]


def may_make_work(event: Event) -> bool:
    """Whether a reactor may have something to do now. A run's plain progress gives none, and the reactors' queries
    would only hold it up; their period is the net."""
    if isinstance(event, EffectBegun):
        return event.dispatch == Dispatch.OUTBOX
    return not isinstance(event, _PROGRESS) and not (isinstance(event, EffectEnded) and event.writer == By.AGENT)
