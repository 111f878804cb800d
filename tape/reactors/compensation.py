"""Compensation: undoes what a failed or cancelled run owes, newest first, one at a time (invariant I11)."""

from __future__ import annotations

from concurrent.futures import Future

from tape.core.journal import obligations
from tape.core.journal.claims import Claim
from tape.core.journal.work import DueHook
from tape.core.kernel.errors import Refused, one_line
from tape.core.wire import Frame
from tape.reactors.reactor import BODY_LIMIT_US, CLAIM_MARGIN_US, LOOK_UP_LIMIT_US, Desk, answer_of, is_over


class Compensation:
    name = "compensation"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sent: dict[str, tuple[Claim, str, Future[Frame]]] = {}

    def tick(self) -> int:
        return self._take_results() + self._undo() + self._end_runs()

    def _take_results(self) -> int:
        done = [key for key, (_, _, answer) in self._sent.items() if answer.done()]
        for key in done:
            claim, what, answer = self._sent[key]
            if what == "undo":
                self._settle_undo(claim, answer)
            else:
                self._settle_look_up(claim, answer)
            del self._sent[key]  # not before: an answer outlives a journal that cannot be written now
        return len(done)

    def _settle_undo(self, claim: Claim, answer: Future[Frame]) -> None:
        desk, lost = self._desk, answer.exception()
        how = one_line(lost) if lost is not None else answer.result()["how"]
        if lost is None and how == "returned":
            try:
                desk.call(lambda tx: obligations.fulfil_duty(tx, claim))
            except Refused:
                desk.try_call(lambda tx: obligations.note_late_undo(tx, claim))
            return
        error = None if lost is not None else answer.result().get("error")
        over = is_over(lost)
        desk.try_call(lambda tx: obligations.fail_duty(tx, claim, how, error, desk.recovery, body_over=over))

    def _settle_look_up(self, claim: Claim, answer: Future[Frame]) -> None:
        desk, lost = self._desk, answer.exception()
        if lost is not None:
            how = one_line(lost)
            desk.try_call(lambda tx: obligations.lose_duty_look_up(tx, claim, how, desk.recovery))
            return
        frame = answer.result()
        said, _, why = answer_of(frame)
        desk.try_call(lambda tx: obligations.record_duty_observation(tx, claim, said, why))

    def _undo(self) -> int:
        desk, moved = self._desk, 0
        for due in desk.work.duties(desk.clock.boot_us()):
            if due.key not in self._sent:
                moved += self._undo_one(due)
        return moved

    def _undo_one(self, due: DueHook) -> int:
        desk = self._desk
        worker = desk.pool.hook_worker(alone=due.hook_crashes >= 2)
        if worker is None:
            return 0
        try:
            claim, what = desk.call(
                lambda tx: obligations.claim_duty(
                    tx,
                    due.run_id,
                    due.key,
                    f"compensation {desk.who}",
                    claim_us=BODY_LIMIT_US + CLAIM_MARGIN_US,
                    worker_no=worker,
                )
            )
        except Refused:
            return 0
        effect = {**due.effect, "attempt": claim.number, "epoch": claim.epoch}
        limit_us = BODY_LIMIT_US if what == "undo" else LOOK_UP_LIMIT_US
        hook = "undo" if what == "undo" else "undo-look-up"
        self._sent[due.key] = (claim, what, desk.pool.hook(worker, hook, due.key, effect, limit_us))
        return 1

    def _end_runs(self) -> int:
        desk, moved = self._desk, 0
        for run_id in desk.work.undone():
            try:
                desk.call(lambda tx, run_id=run_id: obligations.review(tx, run_id))
                moved += 1
            except Refused:
                continue  # it ended meanwhile
        return moved
