"""What a new server makes of a claim whose hook may still run: its worker's host and its processes decide."""

from __future__ import annotations

import pytest

from tape.core.journal import workers
from tape.core.kernel.events import ServerStarted
from tape.reactors import adoption
from tape.reactors.adoption import adopt
from tape.reactors.reactor import Desk
from tests.journal.book import OUTBOX_SURE, Book
from tests.reactors.desk import Hosts
from tests.reactors.test_ticks import UNDO_SEEN, outbox, owing


def adopted(book: Book, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, *, host: str, ended: bool) -> None:
    desk: Desk = hosts.hosts[0]["recovery"]._desk
    monkeypatch.setattr(adoption, "end_carriers", lambda nonce, clock: ended)
    adopt(desk, ServerStarted(pid=2, host=host, boot_id=book.clock.boot_id, release="", sqlite=""))


PROOFS = [("here", True, 1), ("here", False, 0), ("elsewhere", True, 0)]
"""On which host the new server is, whether everything that carries the worker's nonce is dead, what that proves."""


@pytest.mark.parametrize(("host", "ended", "over"), PROOFS)
def test_a_dispatch_is_over_if_its_worker_is_certainly_dead(
    book: Book, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, host: str, ended: bool, over: int
) -> None:
    _, key = outbox(book, OUTBOX_SURE)
    hosts.tick("outbox")
    adopted(book, hosts, monkeypatch, host=host, ended=ended)
    assert (book.effect(key)["claim_by"], book.effect(key)["body_over"]) == ("", over)
    hosts = Hosts(book)
    hosts.tick("reconciler")
    hosts.sent.says("absent")
    hosts.tick("reconciler")
    assert book.effect(key)["step"] == ("again" if over else "ask_later")
    assert hosts.tick("outbox") == over
    hosts.close()


@pytest.mark.parametrize(("host", "ended", "over"), PROOFS)
def test_an_undo_is_over_if_its_worker_is_certainly_dead(
    book: Book, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, host: str, ended: bool, over: int
) -> None:
    _, (key,) = owing(book, policy=UNDO_SEEN)
    hosts.tick("compensation")
    adopted(book, hosts, monkeypatch, host=host, ended=ended)
    assert (book.duty(key)["status"], book.duty(key)["body_over"]) == ("DUE", over)


def test_a_death_that_an_earlier_server_could_not_prove_stays_unproven(
    book: Book, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = outbox(book, OUTBOX_SURE)
    hosts.tick("outbox")
    book.do(workers.worker_died, hosts.sent.worker, "signal 9", book.recovery, proven=False)
    adopted(book, hosts, monkeypatch, host="here", ended=True)
    assert (book.effect(key)["claim_by"], book.effect(key)["body_over"]) == ("", 0)
