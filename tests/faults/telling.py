"""What a story of the journal is told with: acts, batches of them, and the steps that every chapter needs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

from tape.core.journal import claims, effects, obligations, runs, workers
from tape.core.journal.effects import Call, ToolPolicy
from tape.core.journal.transaction import Tx
from tape.core.kernel.events import Decision
from tape.core.kernel.identity import effect_key
from tape.core.kernel.lifecycle import WorkerTrigger
from tape.core.kernel.policy import SECOND_US, RecoveryPolicy
from tape.core.kernel.resolution import Dispatch, Semantics
from tests.journal.book import ANY_STEP, TTL_US

CLAIM_US = 2 * SECOND_US
RECOVERY = RecoveryPolicy()
READ_TWICE = ToolPolicy(semantics=Semantics.READ_ONLY, retries=1)
KEPT_AWHILE = ToolPolicy(semantics=Semantics.IDEMPOTENT, key_lifetime_us=60 * SECOND_US)
UNDO_ASKED = ToolPolicy(compensable=True, undo_semantics=Semantics.NON_IDEMPOTENT, undo_look_up=True)
UNDO_ASKED = replace(UNDO_ASKED, authoritative=True)
UNDO_BLIND = ToolPolicy(compensable=True, undo_semantics=Semantics.NON_IDEMPOTENT)
DUPLICATED = ToolPolicy(look_up=True, compensable=True, dispatch=Dispatch.OUTBOX)


@dataclass(frozen=True)
class Act:
    """One verb with its arguments. Acts of one `chain` build on each other; None is no chain."""

    verb: Callable[..., Any]
    args: tuple[Any, ...]
    named: dict[str, Any] = field(default_factory=dict)
    chain: str | None = None

    def __call__(self, tx: Tx) -> Any:
        return self.verb(tx, *self.args, **self.named)


Story = Generator[list[Act], list[Any], None]
Part = Generator[list[Act], list[Any], Any]


def act(verb: Callable[..., Any], *args: Any, **named: Any) -> Act:
    """Its chain is the run that it is about."""
    run_id = args[0].run_id if args and isinstance(args[0], claims.Claim) else args[0] if args else None
    return Act(verb, args, named, run_id if isinstance(run_id, str) and run_id.startswith("r-") else None)


def one(verb: Callable[..., Any], *args: Any, **named: Any) -> Part:
    """A batch of one, which is accepted."""
    (result,) = yield [act(verb, *args, **named)]
    assert not isinstance(result, Exception), result
    return result


def hire(number: int) -> Part:
    """A worker that is ready."""
    found = yield from one(workers.start_worker, f"{number:032x}", 100 + number, 7, "boot-manual", "here")
    assert found == number
    yield from one(workers.move_worker, number, WorkerTrigger.HELLO)


def grant(run_id: str, worker: int) -> Part:
    granted = yield from one(runs.grant, run_id, worker, ttl_us=TTL_US, concurrency=9, recovery=RECOVERY)
    return granted.epoch


def driven(worker: int, input: str) -> Part:
    run_id = yield from one(runs.start_run, "agent", input)
    return run_id, (yield from grant(run_id, worker))


def begin(run_id: str, ordinal: int, epoch: int, policy: ToolPolicy) -> Act:
    return act(effects.begin_effect, run_id, epoch, Call(None, ordinal, "tool", {"n": ordinal}, policy), "f")


def key_of(run_id: str, ordinal: int) -> str:
    return effect_key(run_id, None, ordinal, "tool")


def claim(run_id: str, key: str, what: str) -> Part:
    named = {"what": what, "claim_us": CLAIM_US, "worker_no": None}
    return (yield from one(claims.claim_effect, run_id, key, ANY_STEP, "reactor", **named))


def claim_duty(run_id: str, key: str, expected: str) -> Part:
    found, what = yield from one(obligations.claim_duty, run_id, key, "undoer", claim_us=CLAIM_US, worker_no=None)
    assert what == expected
    return found


def decision(index: int) -> Decision:
    return Decision(index=index, name="ask", fingerprint="f", request={"i": index}, reply="word " * 20)
