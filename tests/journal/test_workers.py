"""Workers, the service's own story, orders, and refusals kept as evidence."""

from __future__ import annotations

import pytest

from tape.core.journal import claims, runs, workers
from tape.core.kernel.errors import Fenced, IllegalTransition, NotFound
from tape.core.kernel.events import PointReached, ServerStarted
from tape.core.kernel.lifecycle import WorkerTrigger
from tests.journal.book import ANY_STEP, CLAIM_US, SURE, Book


def service(boot_id: str) -> ServerStarted:
    return ServerStarted(pid=1, host="here", boot_id=boot_id, release="0.1", sqlite="3")


def test_a_workers_life(book: Book) -> None:
    worker = book.do(workers.start_worker, "nonce", 42, 7, "boot", "here")
    moves = [WorkerTrigger.HELLO, WorkerTrigger.FREEZE, WorkerTrigger.THAW]
    for move in moves:
        book.do(workers.move_worker, worker, move)
    assert [body["status"] for body in book.bodies("worker_moved")] == ["READY", "FROZEN", "READY"]
    book.refused(workers.move_worker, worker, WorkerTrigger.HELLO, by=IllegalTransition)
    book.refused(workers.move_worker, 99, WorkerTrigger.HELLO, by=NotFound)
    book.refused(workers.worker_died, 99, "gone", book.recovery, proven=True, by=NotFound)
    assert book.do(workers.worker_died, worker, "signal 9", book.recovery, proven=True) == 0
    died = book.bodies("worker_died")[0]
    assert died == {"worker": worker, "pid": 42, "how": "signal 9", "proven": True}
    book.refused(workers.move_worker, worker, WorkerTrigger.HELLO, by=IllegalTransition)


def test_a_refused_write_is_kept_and_nothing_of_it_applied(book: Book) -> None:
    run_id, epoch = book.driven()
    before = book.dump()
    book.do(workers.refuse_write, run_id, 3, epoch - 1, "decision", "fenced", {"reply": "late"})
    after = book.dump()
    assert {name for name in before if before[name] != after[name]} == {"entry", "run"}
    assert book.bodies("write_refused") == [
        {
            "worker": 3,
            "epoch": 0,
            "live_epoch": 1,
            "write": "decision",
            "why": "fenced",
            "evidence": {"reply": "late"},
        }
    ]
    book.sample(run_id, epoch)


def test_a_refusal_may_come_after_the_end(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    book.do(workers.refuse_write, run_id, None, epoch, "decision", "late", None)
    assert book.status(run_id) == "TERMINAL"


@pytest.mark.parametrize("of_run", [True, False])
def test_orders_and_points_are_told(book: Book, of_run: bool) -> None:
    run_id = book.start() if of_run else None
    number = book.do(workers.place_order, run_id, "kill", {"at": "effect.begun"}, "me", "drill")
    reached = PointReached(point="effect.begun", death="KILL", worker=1, pid=2, order=number)
    book.do(workers.reach_point, run_id, reached)
    assert book.bodies("order_placed")[0]["order"] == number == 1
    assert book.bodies("point_reached")[0]["point"] == "effect.begun"
    owners = {row["run_no"] for row in book.rows("SELECT run_no FROM entry WHERE kind LIKE '%_reached'")}
    assert owners == ({1} if of_run else {None})


def test_after_a_reboot_every_monotonic_time_is_due(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(workers.start_service, service(book.clock.boot_id))
    book.sample(run_id, epoch)
    worker = book.run(run_id)["worker_no"]
    key = book.begin(run_id, epoch, SURE)
    other, _ = book.driven()
    book.die(run_id)
    claim = book.claim(run_id, key)

    book.clock.boot_id, book.clock.boot = "another", 1_000
    book.do(workers.start_service, service("another"))
    assert book.run(other)["lease_until_boot_us"] == 0
    assert book.effect(key)["claim_until_boot_us"] == book.effect(key)["quiet_boot_us"] == 0
    book.refused(claims.record_observation, claim, "absent", [], "", by=Fenced)
    book.do(claims.void_claim, run_id, key, claim.epoch, "reboot", book.recovery, proven=True)
    named = {"what": "look-up", "claim_us": CLAIM_US, "worker_no": None}
    book.do(claims.claim_effect, run_id, key, ANY_STEP, "r", **named)
    book.die(other)
    book.grant(other)
    assert worker


def test_a_restart_without_a_reboot_keeps_leases(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(workers.start_service, service(book.clock.boot_id))
    book.reopen()
    book.do(workers.start_service, service(book.clock.boot_id))
    book.sample(run_id, epoch)
