"""Frames of agents: applied once, in order, answered again after a lost connection, fenced past the lease."""

from __future__ import annotations

from typing import Any

import pytest

from tape.core import wire
from tape.core.journal import gates, records, runs, workers
from tape.core.journal.environment import lock_path
from tape.core.journal.work import Work
from tape.core.kernel.errors import JournalUnavailable
from tape.core.kernel.lifecycle import LeaseTrigger
from tests.server.peer import RECOVERY, SECONDS, Drive, House, Peer

assert lock_path and LeaseTrigger


def lose_lease(house: House, drive: Drive) -> None:
    number = drive.peer.number
    house.server.call(lambda tx: workers.worker_died(tx, number, "signal 9", RECOVERY, proven=True))


def tape_of(house: House, run: str) -> list[str]:
    return [entry.event.kind for entry in house.heard.entries if entry.run_id == run and entry.seq is not None]


# --- the protocol ----------------------------------------------------------------------------------------------


def test_a_run_from_its_grant_to_its_end(house: House) -> None:
    worker = house.worker()
    run = house.start_run({"pay": 7})
    epoch = house.grant(run, worker)
    tape = worker.until("tape")
    pushed = worker.until("drive")
    assert [record[:2] for record in tape["records"]] == [[1, "run_started"]]
    assert (pushed["run"], pushed["epoch"], pushed["drive"], pushed["input"]) == (run, epoch, 1, {"pay": 7})
    assert (pushed["agent"], pushed["attempts"], pushed["cancelled"], pushed["armed"]) == ("agent", {}, False, False)
    drive = Drive(house, worker, run, epoch)
    assert drive.ask("attach", replayed=[])["records"] == 0
    assert drive.ask("ask", index=0, name="ask")["t"] == "ok"
    answer = drive.send(drive.decision())
    assert (answer["seq"], answer["records"]) == (3, 2), "the decision and its charge"
    answer = drive.send(drive.begin())
    assert (answer["seq"], answer["records"]) == (4, 1)
    ended = drive.send(drive.end())
    assert (ended["seq"], ended["ended"]["status"], ended["ended"]["result"]) == (5, "CONFIRMED", 1)
    assert drive.send(drive.sample())["seq"] == 6
    answer = drive.ask("timer", ordinal=0, seconds=60.0, fingerprint="f")
    assert (answer["seq"], answer["records"]) == (7, 1)
    assert drive.ask("finish", ended={"outcome": "TERMINAL", "result": "done"})["seq"] == 8
    assert house.row("SELECT status FROM run")[0] == "TERMINAL"
    assert drive.peer.number in house.server.peers and house.server.driving() == 1
    worker.send({"t": "idle", "run": run, "epoch": epoch})
    house.heard.until(lambda: house.server.driving() == 0)


def test_a_parked_run_and_a_diverged_one(house: House) -> None:
    drive = house.drive()
    assert drive.ask("park", waits=[], why="drained")["t"] == "ok"
    assert house.row("SELECT status FROM run")[0] == "RUNNABLE"
    drive.peer.send({"t": "idle", "run": drive.run, "epoch": drive.epoch})
    house.heard.until(lambda: house.server.driving() == 0)
    epoch = house.grant(drive.run, drive.peer)
    drive.peer.until("drive", epoch=epoch)
    again = Drive(house, drive.peer, drive.run, epoch)
    assert again.ask("diverge", why="recorded a | the code asks b")["t"] == "ok"
    assert house.row("SELECT status, error FROM run")[:] == ("STUCK", "recorded a | the code asks b")


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("decision", {"decision": {"index": 7, "name": "a", "fingerprint": "f", "request": 1},
                  "usage": {"tokens_in": 0, "tokens_out": 0, "usd_micro": 0}}, "refused", "decision 7 where 0 is next"),
    ("decision", {"decision": {"index": 0, "name": "a", "fingerprint": "f", "request": 1},
                  "usage": {"tokens_in": -1, "tokens_out": 0, "usd_micro": 0}}, "refused", "cannot have cost"),
    ("decision", {"decision": {"index": 0}}, "refused", "does not understand"),
    ("end", {"key": "r/-/0/pay", "number": 1, "ending": {"how": "returned"}, "usage": None}, "refused", "no effect"),
    ("attempt", {"key": "r/-/0/pay", "number": 2}, "refused", "no effect"),
    ("begin", {"call": {}}, "refused", "does not understand"),
    ("timer", {"ordinal": 0, "seconds": 1e12, "fingerprint": "f"}, "refused", "a hundred years"),
    ("finish", {"ended": {"outcome": "DONE"}}, "refused", "no end of a run"),
    ("park", {}, "refused", "defect"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body", "why", "says"), REFUSED, ids=lambda case: case if isinstance(case, str) else ""
)
def test_refused_frames_change_nothing_and_the_drive_goes_on(
    house: House, kind: str, body: dict[str, Any], why: str, says: str
) -> None:
    drive = house.drive()
    answer = drive.ask(kind, **body)
    assert (answer["t"], answer["why"]) == ("refused", why) and says in answer["message"]
    assert drive.send(drive.decision())["t"] == "ok"
    assert tape_of(house, drive.run) == ["run_started", "decision", "charge"]


def test_the_reasons_of_refusals(house: House) -> None:
    drive = house.drive()
    assert drive.send(drive.begin())["t"] == "ok"
    other = drive.begin()
    other["call"]["args"] = {"amount": 2}
    assert drive.send(other)["why"] == "conflict"
    house.server.call(lambda tx: runs.cancel(tx, drive.run))
    assert drive.ask("ask", index=0, name="a")["why"] == "cancelled"


# --- numbers ---------------------------------------------------------------------------------------------------


def test_a_known_number_gets_its_answer_again_and_changes_nothing(house: House) -> None:
    drive = house.drive()
    frame = drive.decision()
    first = drive.send(frame)
    assert drive.send(frame) == first
    refused = drive.frame("finish", ended={"outcome": "DONE"})
    assert drive.send(refused) == drive.send(refused)
    assert tape_of(house, drive.run) == ["run_started", "decision", "charge"]


def test_after_a_lost_connection_everything_unanswered_is_sent_again(house: House) -> None:
    drive = house.drive()
    frames = [drive.decision(), drive.begin(), drive.end(), drive.sample()]
    drive.peer.send(*frames[:3])
    drive.peer.close()
    drive.peer = drive.peer.back(house, drives={drive.run: drive.epoch})
    drive.peer.send(*frames)
    assert [drive.answer(frame["n"])["t"] for frame in frames] == ["ok"] * 4
    assert tape_of(house, drive.run) == [
        "run_started", "decision", "charge", "effect_begun", "effect_ended", "sample",
    ]  # fmt: skip


def test_answers_are_kept_until_the_agent_has_them(house: House) -> None:
    drive = house.drive()
    first, second = drive.decision(), drive.sample()
    drive.send(first)
    drive.send(second)
    replies = house.server.peers[drive.peer.number].replies[drive.run, drive.epoch]
    assert sorted(replies.kept) == [1, 2]
    drive.send({**drive.sample(1), "had": 2})
    assert sorted(replies.kept) == [3] and replies.had == 2
    drive.peer.send(first)  # it would have to be mad: it says itself that it had this answer
    drive.send(drive.sample(2))
    assert tape_of(house, drive.run) == ["run_started", "decision", "charge", "sample", "sample", "sample"]


def test_a_number_after_one_that_is_missing_has_to_wait(house: House) -> None:
    drive = house.drive()
    first, second = drive.decision(), drive.sample()
    assert drive.send(second)["t"] == "busy"
    assert drive.send(first)["t"] == "ok"
    assert drive.send(second)["t"] == "ok"
    assert tape_of(house, drive.run) == ["run_started", "decision", "charge", "sample"]


def test_while_the_journal_cannot_be_written_the_same_frames_come_again_in_order(house: House) -> None:
    drive = house.drive()
    first, second = drive.decision(), drive.sample()
    house.writer.failing = lambda count: JournalUnavailable("the disk is full")
    assert drive.send(first)["t"] == "busy"
    house.writer.failing = lambda count: None
    assert drive.send(second)["t"] == "busy", "never before the one that failed"
    assert drive.send(first)["t"] == "ok"
    assert drive.send(second)["t"] == "ok"
    assert house.trouble == ["the disk is full"]


# --- fences ----------------------------------------------------------------------------------------------------


def test_past_the_lease_every_write_is_refused_and_kept_as_evidence(house: House) -> None:
    drive = house.drive()
    drive.send(drive.begin())
    lose_lease(house, drive)
    for frame in (drive.decision(), drive.sample(), drive.frame("park", waits=[], why="")):
        answer = drive.send(frame)
        assert (answer["t"], answer.get("why")) == ("refused", "fenced")
    assert drive.send(drive.end()).get("why") == "fenced"
    house.heard.until(lambda: len(house.heard.of("write_refused")) == 4)
    refused = house.heard.of("write_refused")
    assert [event.write for event in refused] == ["decision", "sample", "park", "effect_ended"]
    assert {(event.worker, event.epoch) for event in refused} == {(drive.peer.number, drive.epoch)}
    assert refused[3].evidence["result"] == 1
    assert tape_of(house, drive.run) == ["run_started", "effect_begun"]


@pytest.mark.parametrize("off", [-1, 1])
def test_another_epoch_is_fenced(house: House, off: int) -> None:
    drive = house.drive()
    drive.epoch += off
    assert drive.send(drive.decision()).get("why") == "fenced"
    drive.epoch -= off
    assert drive.send(drive.frame("sample", sample=drive.sample()["sample"], n=1) | {"n": 1})["t"] == "ok"


def test_a_worker_that_writes_for_anothers_run_is_fenced_by_the_epoch_alone(house: House) -> None:
    drive = house.drive()
    lose_lease(house, drive)
    other = house.worker()
    epoch = house.grant(drive.run, other)
    assert epoch > drive.epoch
    assert drive.send(drive.decision()).get("why") == "fenced"
    assert tape_of(house, drive.run) == ["run_started"]


def test_a_write_that_arrives_with_the_end_of_its_lease_is_fenced(house: House) -> None:
    """Both are in one commit, and the end comes first: nothing of the write is applied."""
    drive = house.drive()
    number, frame, ended, before = drive.peer.number, drive.sample(), list[Any](), len(house.writer.commits)

    def at_once() -> None:
        drive.peer.send(frame)
        ended.append(house.server.submit(lambda tx: workers.worker_died(tx, number, "signal 9", RECOVERY, proven=True)))

    house.server.do(at_once)
    answer = drive.answer(frame["n"])
    assert (answer["t"], answer.get("why")) == ("refused", "fenced")
    assert ended[0].result(SECONDS) == 1
    assert house.writer.commits[before] == 2, "the death and the write"
    assert tape_of(house, drive.run) == ["run_started"]


def test_an_outbox_effect_is_due_with_its_intent(house: House) -> None:
    """The server may die right after the commit of the intent: the next one still dispatches it."""
    drive = house.drive()
    before = len(house.writer.commits)
    down = JournalUnavailable("the server is dead")
    house.writer.failing = lambda count: down if len(house.writer.commits) > before else None
    assert drive.send(drive.begin(dispatch="outbox"))["t"] == "ok"
    work = Work(house.journal)
    assert [due.key for due in work.dispatches(house.clock.boot_us())] == [f"{drive.run}/-/0/pay"]
    work.close()


def test_a_lease_that_was_given_back_writes_no_more(house: House) -> None:
    """Its epoch is still the run's: nobody else has been granted one."""
    drive = house.drive()
    assert drive.ask("timer", ordinal=0, seconds=3600.0, fingerprint="f")["t"] == "ok"
    assert drive.ask("park", waits=["timer 0"], why="waits")["t"] == "ok"
    answer = drive.send(drive.sample())
    assert (answer["t"], answer.get("why")) == ("refused", "fenced")
    assert tape_of(house, drive.run) == ["run_started", "timer_set"]


# --- commits ---------------------------------------------------------------------------------------------------


def test_whatever_has_arrived_is_one_commit(house: House) -> None:
    drive = house.drive()
    before = len(house.writer.commits)
    frames = [drive.sample(number) for number in range(50)]
    drive.peer.send(*frames)
    for frame in frames:
        assert drive.answer(frame["n"])["t"] == "ok"
    made = house.writer.commits[before:]
    assert sum(made) == 50
    assert len(made) <= 4, made


def test_a_refused_boundary_undoes_no_other_of_its_commit(house: House) -> None:
    drive = house.drive()
    frames = [drive.sample(0), drive.decision(9), drive.sample(1)]
    drive.peer.send(*frames)
    assert [drive.answer(frame["n"])["t"] for frame in frames] == ["ok", "refused", "ok"]


def test_what_nobody_waits_for_goes_with_the_next_commit(house: House) -> None:
    drive = house.drive()
    before = len(house.writer.commits)
    lazy, waited = drive.decision(waits=False), drive.begin()
    drive.peer.send(lazy)
    drive.peer.send(waited)
    assert drive.answer(waited["n"])["t"] == drive.answer(lazy["n"])["t"] == "ok"
    assert tape_of(house, drive.run) == ["run_started", "decision", "charge", "effect_begun"]
    alone = drive.sample(waits=False)
    assert drive.send(alone)["t"] == "ok", "or with one of its own a moment later"
    assert len(house.writer.commits) - before <= 3


def test_records_of_others_come_before_the_answers_of_their_commit(house: House) -> None:
    """Otherwise an agent would go on before it knows of a record that stands before its own."""
    drive = house.drive()
    drive.ask("timer", ordinal=0, seconds=0.0, fingerprint="f")
    number = house.row("SELECT no FROM run")[0]
    frame = drive.sample()
    house.server.do(lambda: drive.peer.send(frame))  # it waits in the socket while this thread queues the other
    house.server.submit(lambda tx: records.fire_timer(tx, number, 0)).result(SECONDS)
    drive.answer(frame["n"])
    pushed = next(frame for frame in drive.peer.got if frame["t"] == "record")
    assert (pushed["kind"], pushed["body"]["ordinal"], pushed["epoch"]) == ("timer_fired", 0, drive.epoch)


# --- pushes ----------------------------------------------------------------------------------------------------


def test_a_long_tape_is_pushed_in_pieces_that_fit_a_frame(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    drive = house.drive()
    for index in range(30):
        frame = drive.sample(index)
        frame["sample"]["value"] = "x" * 20_000
        assert drive.send(frame)["t"] == "ok"
    drive.ask("park", waits=[], why="drained")
    drive.peer.send({"t": "idle", "run": drive.run, "epoch": drive.epoch})
    house.heard.until(lambda: house.server.driving() == 0)
    monkeypatch.setattr(wire, "FRAME_LIMIT_BYTES", 65_536)
    epoch = house.grant(drive.run, drive.peer)
    drive.peer.until("drive", epoch=epoch)
    pieces = [frame for frame in drive.peer.got if frame["t"] == "tape" and frame["epoch"] == epoch]
    assert len(pieces) > 5
    assert [record[0] for piece in pieces for record in piece["records"]] == list(range(1, 32))


def test_a_cancel_is_pushed_to_the_driver(house: House) -> None:
    drive = house.drive()
    house.server.do(lambda: house.server.push_cancel(drive.run))
    assert drive.peer.until("cancel", run=drive.run)["epoch"] == drive.epoch
    house.server.do(lambda: house.server.push_cancel("r-000000000000"))  # nobody drives it


# --- lost connections ------------------------------------------------------------------------------------------


def test_a_drive_that_was_lost_on_the_way_is_sent_again(house: House) -> None:
    worker = house.worker()
    run = house.start_run()
    epoch = house.grant(run, worker)
    worker.close()
    fresh = worker.back(house)
    assert fresh.until("drive")["epoch"] == epoch
    assert Drive(house, fresh, run, epoch).ask("attach", replayed=[])["t"] == "ok"


def test_a_drive_that_is_known_is_not_sent_again(house: House) -> None:
    drive = house.drive()
    fresh = drive.peer.back(house, drives={drive.run: drive.epoch})
    house.server.disarm()
    fresh.until("arm")
    assert not [frame for frame in fresh.got if frame["t"] == "drive"]


def test_a_drive_that_is_over_is_taken_off_the_worker(house: House) -> None:
    drive = house.drive()
    drive.ask("finish", ended={"outcome": "TERMINAL"})
    drive.peer.back(house)
    house.heard.until(lambda: house.server.driving() == 0)
    assert not house.ender.told


def test_a_worker_that_has_forgotten_a_run_is_ended(house: House) -> None:
    drive = house.drive()
    drive.ask("attach", replayed=[])
    drive.peer.back(house)
    house.heard.until(lambda: house.ender.told or house.server.do(lambda: False), "it is ended")
    assert house.ender.told[0][:2] == ("kill", drive.peer.number)


def test_records_that_were_lost_on_the_way_are_sent_again(house: House) -> None:
    drive = house.drive()
    drive.ask("timer", ordinal=0, seconds=0.0, fingerprint="f")
    drive.peer.close()
    number = house.row("SELECT no FROM run")[0]
    house.server.call(lambda tx: records.fire_timer(tx, number, 0))
    fresh = drive.peer.back(house, drives={drive.run: drive.epoch})
    assert fresh.until("record")["kind"] == "timer_fired"


def test_two_workers_do_not_disturb_each_other(house: House) -> None:
    first, second = house.drive(), house.drive()
    frames = [(drive, drive.sample(index)) for index in range(10) for drive in (first, second)]
    for drive, frame in frames:
        drive.peer.send(frame)
    for drive, frame in frames:
        assert drive.answer(frame["n"])["t"] == "ok"
    assert isinstance(first.peer, Peer)


GATE = {
    "name": "pay",
    "ordinal": 0,
    "prompt": "Pay?",
    "options": ["approve", "deny"],
    "fingerprint": "f",
    "seconds": None,
    "on_timeout": None,
    "approves": None,
}


def test_an_answer_reaches_whoever_drives_the_run(house: House) -> None:
    drive = house.drive()
    opened = drive.ask("gate", gate=GATE)
    assert (opened["t"], opened["seq"], opened["records"]) == ("ok", 2, 1) and "ended" not in opened
    said = gates.Answer("pay", "deny", actor="ann")
    house.server.submit(lambda tx: gates.answer_gate(tx, drive.run, said)).result(SECONDS)
    pushed = drive.peer.until("record")
    assert (pushed["kind"], pushed["seq"], pushed["body"]["answer"]) == ("gate_answered", 3, "deny")


def test_an_early_answer_comes_with_the_gate(house: House) -> None:
    drive = house.drive()
    said = gates.Answer("pay", "approve", actor="ann")
    house.server.submit(lambda tx: gates.answer_gate(tx, drive.run, said)).result(SECONDS)
    opened = drive.ask("gate", gate=GATE)
    assert (opened["seq"], opened["records"], opened["ended"]["answer"]) == (3, 2, "approve")


def test_a_lie_about_an_approval_is_refused_and_a_refusal_is_told(house: House) -> None:
    drive = house.drive()
    begun = drive.begin()
    begun["call"]["policy"]["needs_approval"] = True
    drive.peer.send(begun)
    answer = drive.answer(begun["n"])
    assert (answer["t"], answer["why"]) == ("refused", "refused") and "names none" in answer["message"]
    assert drive.ask("unapproved", tool="wire", args_hash="h", why="no approval")["t"] == "ok"
    assert tape_of(house, drive.run) == ["run_started"]
    assert house.heard.kinds(drive.run).count("approval_refused") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 7}, {"name": ""}, {"options": []}, {"options": ["a", "a"]}, {"options": [7]}, {"seconds": -1.0},
        {"seconds": "x"}, {"approves": {}}, {"approves": 7}, {"on_timeout": "x"}, {"ordinal": 3}, {"what": 1},
        {"options": None},
    ],
    ids=str,
)  # fmt: skip
def test_no_frame_opens_an_impossible_gate(house: House, wrong: dict[str, Any]) -> None:
    drive = house.drive()
    assert drive.ask("gate", gate={**GATE, **wrong})["t"] == "refused"
    assert tape_of(house, drive.run) == ["run_started"]


# --- child runs ------------------------------------------------------------------------------------------------


def start_child(house: House, drive: Drive, ordinal: int = 0) -> str:
    answer = drive.ask("child", ordinal=ordinal, agent="agent", input=ordinal, fingerprint="f")
    assert (answer["t"], answer["records"]) == ("ok", 1), "the child's own first record is not the parent's"
    return answer["ended"]["child"]


def test_a_childs_start_and_end_reach_its_parents_driver(house: House) -> None:
    drive = house.drive()
    child = start_child(house, drive)
    other = house.worker()
    epoch = house.grant(child, other)
    other.until("drive", run=child)
    own = Drive(house, other, child, epoch)
    ended = own.ask("finish", ended={"outcome": "TERMINAL", "result": 7})
    assert (ended["seq"], ended["records"]) == (2, 1), "what it wrote on its parent's tape is not its own"
    pushed = drive.peer.until("record", run=drive.run)
    assert (pushed["kind"], pushed["seq"], pushed["epoch"]) == ("child_ended", 3, drive.epoch)
    assert (pushed["body"]["child"], pushed["body"]["result"]) == (child, 7)
    assert drive.ask("finish", ended={"outcome": "TERMINAL", "result": 1})["seq"] == 4


def test_children_that_come_together_are_one_commit(house: House) -> None:
    drive = house.drive()
    before = len(house.writer.commits)
    frames = [
        drive.frame("child", ordinal=ordinal, agent="agent", input=None, fingerprint="f") for ordinal in range(100)
    ]
    drive.peer.send(*frames)
    children = [drive.answer(frame["n"])["ended"]["child"] for frame in frames]
    assert len(set(children)) == 100
    assert len(house.writer.commits) - before <= 6


def test_a_parents_end_cancels_the_drivers_of_its_children(house: House) -> None:
    drive = house.drive()
    child = start_child(house, drive)
    other = house.worker()
    epoch = house.grant(child, other)
    other.until("drive", run=child)
    assert drive.ask("finish", ended={"outcome": "FAILED", "error": {"type": "E", "message": "m"}})["t"] == "ok"
    assert other.until("cancel", run=child)["epoch"] == epoch
    assert house.row("SELECT status FROM run WHERE id = ?", drive.run)[0] == "COMPENSATING"
    own = Drive(house, other, child, epoch)
    assert own.send(own.begin())["why"] == "cancelled"
    assert own.ask("finish", ended={"outcome": "CANCELLED"})["t"] == "ok"
    assert house.row("SELECT status FROM run WHERE id = ?", drive.run)[0] == "FAILED"


def test_the_same_start_twice_after_a_lost_connection(house: House) -> None:
    drive = house.drive()
    child = start_child(house, drive)
    frame = {"t": "child", "run": drive.run, "epoch": drive.epoch, "n": 1}
    back = drive.peer.back(house, drives={drive.run: drive.epoch})
    back.send({**frame, "ordinal": 0, "agent": "agent", "input": 0, "fingerprint": "f"})
    assert back.until("ok")["ended"]["child"] == child
    assert house.row("SELECT count(*) FROM run")[0] == 2
