"""Reconciler: asks the upstream about effects whose outcome nobody knows, with back-off (contract.md section 4)."""

from __future__ import annotations

from concurrent.futures import Future

from tape.core.journal import claims
from tape.core.journal.claims import Claim
from tape.core.journal.work import DueHook
from tape.core.kernel.errors import Refused, one_line
from tape.core.kernel.resolution import Step
from tape.core.wire import Frame
from tape.reactors.reactor import CLAIM_MARGIN_US, LOOK_UP_LIMIT_US, Desk, answer_of

_ASKING = frozenset({Step.ASK, Step.ASK_LATER})


class Reconciler:
    name = "reconciler"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._asked: dict[str, tuple[Claim, Future[Frame]]] = {}

    def tick(self) -> int:
        return self._take_answers() + self._ask()

    def _take_answers(self) -> int:
        done = [key for key, (_, answer) in self._asked.items() if answer.done()]
        for key in done:
            self._settle(*self._asked[key])
            del self._asked[key]  # not before: an answer outlives a journal that cannot be written now
        return len(done)

    def _settle(self, claim: Claim, answer: Future[Frame]) -> None:
        desk, error = self._desk, answer.exception()
        if error is not None:
            how = one_line(error)
            desk.try_call(lambda tx: claims.lose_look_up(tx, claim, how, desk.recovery))
            return
        said, acts, why = answer_of(answer.result())
        desk.try_call(lambda tx: claims.record_observation(tx, claim, said, acts, why))

    def _ask(self) -> int:
        desk, moved = self._desk, 0
        for due in desk.work.look_ups(desk.clock.boot_us()):
            if due.key not in self._asked:
                moved += self._ask_one(due)
        return moved

    def _ask_one(self, due: DueHook) -> int:
        desk = self._desk
        worker = desk.pool.hook_worker(alone=due.hook_crashes >= 2)
        if worker is None:
            return 0
        try:
            claim: Claim = desk.call(
                lambda tx: claims.claim_effect(
                    tx,
                    due.run_id,
                    due.key,
                    _ASKING,
                    f"reconciler {desk.who}",
                    what="look-up",
                    claim_us=LOOK_UP_LIMIT_US + CLAIM_MARGIN_US,
                    worker_no=worker,
                )
            )
        except Refused:
            return 0
        effect = {**due.effect, "attempt": claim.number, "epoch": claim.epoch}
        self._asked[due.key] = (claim, desk.pool.hook(worker, "look-up", due.key, effect, LOOK_UP_LIMIT_US))
        return 1
