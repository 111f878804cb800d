"""Outbox: enters the bodies of outbox effects under a claim; the start of each dispatch is durable first."""

from __future__ import annotations

from concurrent.futures import Future

from tape.core.journal import claims
from tape.core.journal.claims import Claim
from tape.core.journal.effects import Ending
from tape.core.journal.purses import Usage
from tape.core.journal.work import DueHook
from tape.core.kernel.errors import Refused, one_line
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.resolution import Step
from tape.core.wire import Frame
from tape.reactors.reactor import CLAIM_MARGIN_US, Desk, body_limit_us, is_over

_AGAIN = frozenset({Step.AGAIN})


class Outbox:
    name = "outbox"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sent: dict[str, tuple[Claim, Future[Frame]]] = {}

    def tick(self) -> int:
        return self._take_results() + self._dispatch()

    def _take_results(self) -> int:
        done = [key for key, (_, answer) in self._sent.items() if answer.done()]
        for key in done:
            self._settle(*self._sent[key])
            del self._sent[key]  # not before: an answer outlives a journal that cannot be written now
        return len(done)

    def _settle(self, claim: Claim, answer: Future[Frame]) -> None:
        desk, lost = self._desk, answer.exception()
        if lost is not None:
            how = one_line(lost)
            over = is_over(lost)
            desk.try_call(
                lambda tx: claims.lose_dispatch(tx, claim, how, None, desk.recovery, body_over=over, died=True)
            )
            return
        frame = answer.result()
        how, error = frame["how"], frame.get("error")
        usage = Usage(**frame["usage"]) if frame.get("usage") else None
        if how in ("returned", "failed"):
            status = EffectStatus.CONFIRMED if how == "returned" else EffectStatus.FAILED
            ending = Ending(status, frame.get("result"), error, frame.get("result_error"))
            try:
                desk.call(lambda tx: claims.end_dispatch(tx, claim, ending, usage))
            except Refused:  # the claim is over: the only word on what became of the act is not lost
                desk.try_call(lambda tx: claims.note_late_dispatch(tx, claim, ending))
        elif how == "rejected":
            desk.try_call(lambda tx: claims.reject_dispatch(tx, claim, error, desk.recovery, usage))
        else:
            desk.try_call(
                lambda tx: claims.lose_dispatch(
                    tx, claim, how, error, desk.recovery, body_over=True, died=False, usage=usage
                )
            )

    def _dispatch(self) -> int:
        desk, moved = self._desk, 0
        for due in desk.work.dispatches(desk.clock.boot_us()):
            if due.key not in self._sent:
                moved += self._dispatch_one(due)
        return moved

    def _dispatch_one(self, due: DueHook) -> int:
        desk = self._desk
        worker = desk.pool.hook_worker(alone=due.hook_crashes >= 2)
        if worker is None:
            return 0
        limit_us = body_limit_us(due.timeout_us)
        try:
            claim: Claim = desk.call(
                lambda tx: claims.claim_effect(
                    tx,
                    due.run_id,
                    due.key,
                    _AGAIN,
                    f"outbox {desk.who}",
                    what="body",
                    claim_us=limit_us + CLAIM_MARGIN_US,
                    worker_no=worker,
                )
            )
        except Refused:
            return 0
        effect = {**due.effect, "attempt": claim.number, "epoch": claim.epoch}
        self._sent[due.key] = (claim, desk.pool.hook(worker, "body", due.key, effect, limit_us))
        return 1
