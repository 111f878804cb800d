"""Peers of every kind: strangers, stalled ones, mad ones, workers that come, drain and die; the points they pass."""

from __future__ import annotations

import os
import stat
import struct
from concurrent.futures import Future
from typing import Any

import pytest

from tape.core.journal import workers
from tape.core.kernel.errors import EnvironmentTrouble, Refused, UsageError
from tape.core.kernel.points import Arm, Death, find_point
from tape.core.server import acts
from tape.core.server.peers import HookLost
from tape.core.wire import encode
from tests.server.peer import SECONDS, Drive, House

EFFECT = {"run_id": "r-1", "tool": "pay", "decision_index": None, "key": "r-1/-/0/pay"}
MINUTE_US = 60_000_000


def lives(house: House) -> bool:
    """Whether the server still serves a new worker."""
    drive = house.drive()
    return drive.send(drive.decision())["t"] == "ok"


# --- hello -----------------------------------------------------------------------------------------------------


def test_a_hello_before_the_supervisor_has_told_of_the_process(house: House) -> None:
    peer = house.peer()
    peer.hello(f"{1:032x}")
    assert house.server.do(lambda: True)
    number, nonce = house.start_worker()
    assert nonce == peer.nonce
    assert peer.until("welcome") == {
        "t": "welcome", "worker": number, "heartbeat_us": 1_000_000, "armed": False, "redact_key": "",
    }  # fmt: skip
    house.heard.until(lambda: house.server.peers[number].ready)
    assert house.heard.kinds() == ["worker_started", "worker_moved"]


def test_a_worker_of_another_server_is_sent_away(house: House) -> None:
    peer = house.peer()
    peer.hello("f" * 32, again=True)
    assert "does not know this worker" in peer.until("goodbye")["why"]


def test_a_second_hello_takes_the_first_ones_place(house: House) -> None:
    worker = house.worker()
    again = worker.back(house)
    assert worker.ended()
    house.server.disarm()
    assert again.until("arm")["armed"] is False
    assert house.heard.kinds().count("worker_moved") == 1


def test_the_same_hello_twice_on_one_connection(house: House) -> None:
    worker = house.worker()
    worker.hello(worker.nonce)
    assert worker.until("welcome")["worker"] == worker.number


def test_a_project_that_cannot_be_loaded(house: House) -> None:
    number, nonce = house.start_worker()
    peer = house.peer()
    peer.hello(nonce, failed="app/agent.py:3: no module named bank")
    assert house.server.do(lambda: True)
    house.heard.until(lambda: house.failed_loads or house.server.peers)
    assert house.server.do(lambda: list(house.failed_loads)) == ["app/agent.py:3: no module named bank"]
    assert not house.server.peers[number].ready


# --- mad peers -------------------------------------------------------------------------------------------------

MAD: list[tuple[str, bytes]] = [
    ("garbage", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("huge", struct.pack(">I", 1 << 31) + b"x" * 100),
    ("not json", struct.pack(">I", 5) + b"{{{{{"),
    ("not an object", struct.pack(">I", 2) + b"[]"),
    ("no type", struct.pack(">I", 2) + b"{}"),
    ("binary", os.urandom(65_536)),
    ("no role", encode({"t": "hello"})),
    ("no nonce", encode({"t": "hello", "role": "worker"})),
    ("odd nonce", encode({"t": "hello", "role": "worker", "nonce": ["x"]})),
    ("point without nonce", encode({"t": "point"})),
]


@pytest.mark.parametrize("data", [data for _, data in MAD], ids=[name for name, _ in MAD])
def test_what_makes_no_sense_ends_its_connection_and_nothing_else(house: House, data: bytes) -> None:
    drive = house.drive()
    mad = house.peer()
    mad.raw(data)
    if data[:4] != MAD[0][1][:4] and data is not MAD[5][1]:
        assert mad.ended()
    assert drive.send(drive.decision())["t"] == "ok"
    assert house.server.fatal is None


FRAMES_OF_WORKERS: list[dict[str, Any]] = [
    {"t": "decision"},
    {"t": "decision", "run": ["x"], "epoch": 1, "n": 1},
    {"t": "decision", "run": "r", "epoch": 1, "n": "one"},
    {"t": "beat"},
    {"t": "beat", "silent_us": "long"},
    {"t": "hook_result"},
    {"t": "idle"},
    {"t": "hello", "role": "worker", "nonce": "x", "again": True},
]


@pytest.mark.parametrize("frame", FRAMES_OF_WORKERS, ids=str)
def test_frames_of_workers_that_make_no_sense(house: House, frame: dict[str, Any]) -> None:
    worker = house.worker()
    worker.send(frame)
    assert lives(house)


def test_frames_of_an_unknown_kind_are_passed_over(house: House) -> None:
    drive = house.drive()
    drive.peer.send({"t": "of a later release", "what": 1})
    assert drive.send(drive.decision())["t"] == "ok"


def test_half_a_frame_holds_nobody_up(house: House) -> None:
    slow = house.peer()
    data = encode({"t": "order", "verb": "echo", "text": "late"})
    slow.raw(data[:7])
    assert lives(house)
    slow.raw(data[7:])
    assert slow.until("answer")["result"] == {"said": "late"}


def test_a_peer_that_never_reads_holds_nobody_up(house: House) -> None:
    stalled = house.drive()
    for index in range(60):
        frame = stalled.sample(index)
        frame["sample"]["value"] = "x" * 500_000
        stalled.send(frame)
    stalled.ask("park", waits=[], why="drained")
    stalled.peer.send({"t": "idle", "run": stalled.run, "epoch": stalled.epoch})
    house.heard.until(lambda: house.server.driving() == 0)
    house.grant(stalled.run, stalled.peer)  # 30 MB that it never reads
    assert lives(house)
    connection = house.server.peers[stalled.peer.number].connection
    assert connection is not None and len(connection.out) > 10_000_000


def test_strangers_come_and_go(house: House) -> None:
    for _ in range(200):
        house.peer().close()
    assert lives(house)


# --- orders ----------------------------------------------------------------------------------------------------


def test_orders_are_answered(house: House) -> None:
    operator = house.peer()
    operator.send({"t": "hello", "role": "operator"}, {"t": "order", "verb": "echo", "text": "hello"})
    assert operator.until("answer")["result"] == {"said": "hello"}
    operator.send({"t": "order", "verb": "start", "input": 7})
    run = operator.until("answer")["result"]["run"]
    assert house.row("SELECT id FROM run")[0] == run, "the id that was handed out is durable"
    operator.send({"t": "order", "verb": "conquer"})
    assert operator.until("answer")["error"] == {"type": "UsageError", "message": "no order is called 'conquer'"}


ODD_ORDERS: list[tuple[dict[str, Any], str]] = [
    ({"verb": "kill", "args": ["at", "ask"]}, "args is ['at'"),
    ({"verb": "kill", "args": {"signal": 9}}, "signal is 9"),
    ({"verb": "kill", "args": {"at": ["decision.asked"]}}, "at is ['decision.asked']"),
    ({"verb": "step", "run_id": ["r-1"], "args": {}}, "run_id is ['r-1']"),
    ({"verb": "cancel", "run_id": "r-1", "args": {}, "actor": 7}, "actor is 7"),
    ({"verb": {"start": 1}}, "verb is "),
]


def test_an_order_of_odd_parts_is_answered_and_ends_nothing(house: House) -> None:
    operator = house.peer()
    for order, wrong in ODD_ORDERS:
        operator.send({"t": "order", **order})
        error = operator.until("answer")["error"]
        assert error["type"] == "UsageError" and f"an order that is not understood: {wrong}" in error["message"]
    assert not house.orders and house.server.fatal is None
    operator.send({"t": "order", "verb": "echo", "text": "x", "run_id": None, "args": {"signal": None, "input": [1]}})
    assert operator.until("answer")["result"] == {"said": "x"}


def test_a_death_that_is_no_text() -> None:
    with pytest.raises(UsageError, match="no death is called 9"):
        acts.death_of(9)


def test_an_operator_that_hangs_up_before_the_answer(house: House) -> None:
    operator = house.peer()
    operator.send({"t": "order", "verb": "start"})
    operator.close()
    house.heard.until(lambda: house.heard.of("run_started"))
    assert lives(house)


# --- the pool --------------------------------------------------------------------------------------------------


def test_who_drives_and_who_runs_hooks(house: House) -> None:
    server = house.server
    assert server.driver_for(alone=False) is None and server.hook_worker() is None
    first = house.worker()
    assert server.driver_for(alone=False) == server.hook_worker() == first.number
    run = house.start_run()
    house.grant(run, first)
    assert server.driver_for(alone=False) is None and server.hook_worker() is None, "it drives a run"
    second = house.worker()
    assert server.driver_for(alone=True) == server.hook_worker() == second.number
    answer = server.hook(second.number, "look-up", "k", EFFECT, MINUTE_US)
    hook = second.until("hook")
    assert server.driver_for(alone=False) is None and server.hook_worker(alone=True) is None
    assert server.hook_worker() == second.number, "several hooks share a worker"
    second.send({"t": "hook_result", "ticket": hook["ticket"], "how": "answered", "answer": "absent"})
    assert answer.result(SECONDS)["answer"] == "absent"
    assert server.driver_for(alone=False) == second.number


def test_a_worker_that_drains_gets_nothing_new(house: House) -> None:
    worker = house.worker()
    worker.send({"t": "leaving"})
    worker.until("left")
    assert house.server.driver_for(alone=False) is None and house.server.hook_worker() is None
    with pytest.raises(HookLost):
        house.server.hook(worker.number, "look-up", "k", EFFECT, MINUTE_US).result(SECONDS)


def test_a_worker_that_drains_while_its_connection_is_lost(house: House) -> None:
    worker = house.worker()
    fresh = worker.back(house, leaving=True)
    fresh.until("left")
    assert house.server.driver_for(alone=False) is None


def test_a_hook_whose_answer_was_lost_is_asked_for_again(house: House) -> None:
    worker = house.worker()
    answer = house.server.hook(worker.number, "body", "k", EFFECT, MINUTE_US)
    ticket = worker.until("hook")["ticket"]
    fresh = worker.back(house, hooks=[ticket])
    assert not [frame for frame in fresh.got if frame["t"] == "hook"], "it has it in hand"
    newer = fresh.back(house)
    again = newer.until("hook")
    assert (again["ticket"], again["what"], again["effect"]) == (ticket, "body", EFFECT)
    newer.send({"t": "hook_result", "ticket": ticket, "how": "returned"})
    assert answer.result(SECONDS)["how"] == "returned"


def test_a_hook_over_its_time_ends_its_worker(house: House) -> None:
    worker = house.worker()
    answer = house.server.hook(worker.number, "look-up", "k", EFFECT, 1000)
    house.server.worker_died  # noqa: B018
    for _ in range(1000):
        if house.ender.told:
            break
        house.server.do(lambda: None)
    assert house.ender.told == [("kill", worker.number, "a hook is over its time")]
    assert not answer.done(), "it is lost when the process is dead"
    house.server.worker_died(worker.number, "signal 9", proven=True)
    with pytest.raises(HookLost, match="signal 9") as lost:
        answer.result(SECONDS)
    assert lost.value.proven


def test_a_hook_is_lost_and_its_body_may_still_run(house: House) -> None:
    """Nobody could see that every process of its worker is dead."""
    worker = house.worker()
    answer = house.server.hook(worker.number, "body", "k", EFFECT, MINUTE_US)
    worker.until("hook")
    house.server.worker_died(worker.number, "signal 9", proven=False)
    with pytest.raises(HookLost) as lost:
        answer.result(SECONDS)
    assert not lost.value.proven


def test_what_a_dead_worker_had_handed_over_is_taken_first(house: House) -> None:
    drive = house.drive()
    answer = house.server.hook(drive.peer.number, "look-up", "k", EFFECT, MINUTE_US)
    drive.peer.send(drive.decision(waits=False))
    drive.peer.close()
    house.server.worker_died(drive.peer.number, "signal 9", proven=True)
    assert house.heard.kinds(drive.run) == [
        "run_started", "lease_granted", "decision", "charge", "lease_ended", "run_moved",
    ]  # fmt: skip
    assert drive.peer.number not in house.server.peers
    assert answer.exception(SECONDS) is not None
    house.server.worker_died(drive.peer.number, "signal 9", proven=True)  # another observer


def test_heartbeats_renew_and_tell(house: House) -> None:
    drive = house.drive()
    before = house.row("SELECT lease_until_boot_us FROM run")[0]
    drive.peer.send({"t": "beat", "silent_us": 0})
    drive.send(drive.sample())
    assert house.row("SELECT lease_until_boot_us FROM run")[0] > before
    drive.peer.send({"t": "beat", "silent_us": 5_000_001})
    house.server.do(lambda: None)
    house.heard.until(lambda: house.server.do(lambda: None) is None)
    assert house.ender.told == [("kill", drive.peer.number, "its event loop was silent for 5 s")]
    frame = drive.decision()
    drive.peer.send(frame)
    house.server.do(lambda: None)
    assert "decision" not in house.heard.kinds(), "nothing of a doomed worker is taken"


# --- crash points ----------------------------------------------------------------------------------------------


def arm(house: House, point: str, death: Death, **narrow: Any) -> None:
    house.server.arm(Arm(find_point(point), death, **narrow))


def test_every_worker_is_told_what_is_armed(house: House) -> None:
    worker = house.worker()
    arm(house, "run.ended", Death.KILL)
    assert worker.until("arm")["armed"] is True
    late = house.start_worker()[1]
    peer = house.peer()
    peer.hello(late)
    assert peer.until("welcome")["armed"] is True
    assert [found.point.name for found in house.server.arms()] == ["run.ended"]
    house.server.disarm()
    assert worker.until("arm")["armed"] is False


def test_received_and_killed_nothing_of_the_frame_is_applied(house: House) -> None:
    drive = house.drive()
    arm(house, "effect.acted", Death.KILL, tool="pay")
    drive.send(drive.begin())
    drive.peer.send(drive.end())
    house.heard.until(lambda: house.heard.of("point_reached"))
    house.server.do(lambda: None)
    assert house.ender.told == [("kill", drive.peer.number, "killed at effect.acted")]
    assert "effect_ended" not in house.heard.kinds()
    assert house.server.arms() == []


def test_committed_and_killed_the_frame_is_durable_and_the_reply_withheld(house: House) -> None:
    drive = house.drive()
    arm(house, "effect.begun", Death.KILL)
    drive.peer.send(drive.begin())
    house.heard.until(lambda: house.heard.of("point_reached"))
    house.server.do(lambda: None)
    assert house.ender.told == [("kill", drive.peer.number, "killed at effect.begun")]
    assert "effect_begun" in house.heard.kinds(drive.run)
    drive.peer.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        drive.answer(1)


@pytest.mark.parametrize("point", ["effect.begun", "decision.replied"])
def test_a_lost_reply_is_given_again(house: House, point: str) -> None:
    drive = house.drive()
    arm(house, point, Death.LOST)
    frame = drive.decision() if point == "decision.replied" else drive.begin()
    drive.peer.send(frame)
    assert drive.peer.ended()
    drive.peer = drive.peer.back(house, drives={drive.run: drive.epoch})
    assert drive.send(frame)["t"] == "ok"
    assert house.heard.kinds(drive.run).count("effect_begun" if point == "effect.begun" else "decision") == 1


def test_the_nth_pass_and_the_right_tool(house: House) -> None:
    drive = house.drive()
    arm(house, "effect.begun", Death.TERM, tool="other")
    arm(house, "effect.begun", Death.TERM, tool="pay", nth=2)
    assert drive.send(drive.begin(0))["t"] == "ok"
    assert not house.ender.told
    assert drive.send(drive.begin(1))["t"] == "ok"
    assert house.ender.told == [("terminate", drive.peer.number, "terminated at effect.begun")]
    assert [found.tool for found in house.server.arms()] == ["other"]
    drive.send(drive.end(0))
    drive.send(drive.end(1))


def test_frozen_with_a_withheld_reply_and_thawed_in_time(house: House) -> None:
    drive = house.drive()
    arm(house, "decision.recorded", Death.STOP)
    frame = drive.decision()
    drive.peer.send(frame)
    house.heard.until(lambda: [event for event in house.heard.of("worker_moved") if event.status == "FROZEN"])
    assert house.server.driver_for(alone=False) is None
    assert house.server.thaw() == [1000 + house.nonces]
    assert drive.answer(frame["n"])["t"] == "ok"
    assert [what for what, _, _ in house.ender.told] == ["freeze", "thaw"]


def test_frozen_past_its_lease_it_can_only_read_fenced(house: House) -> None:
    drive = house.drive()
    arm(house, "decision.replied", Death.STOP)
    frame = drive.decision()
    drive.peer.send(frame)
    house.heard.until(lambda: [event for event in house.heard.of("worker_moved") if event.status == "FROZEN"])
    house.server.call(lambda tx: tx.connection.execute("UPDATE run SET lease_until_boot_us = 1") and None)
    number, recovery = drive.peer.number, house.server.policy.recovery
    house.server.call(lambda tx: workers.expire_leases(tx, number, recovery))
    house.server.thaw()
    assert drive.answer(frame["n"])["why"] == "fenced"
    house.heard.until(lambda: house.heard.of("write_refused"))
    assert "decision" not in house.heard.kinds()


def test_own_points_let_the_code_go_on_or_not(house: House) -> None:
    drive = house.drive()
    asking = house.peer()
    point = {"t": "point", "name": "at:here", "run": drive.run, "nonce": drive.peer.nonce}
    asking.send(point)
    assert asking.until("answer") == {"t": "answer"}, "nothing is armed"
    arm(house, "at:here", Death.KILL, nth=2)
    asking.send(point)
    asking.until("answer")
    asking.send(point)
    house.heard.until(lambda: house.heard.of("point_reached"))
    house.server.do(lambda: None)
    assert house.ender.told == [("kill", drive.peer.number, "killed at at:here")]
    asking.send({**point, "nonce": "unknown"})
    asking.until("answer")


# --- the end of the server -------------------------------------------------------------------------------------


def test_the_socket_is_its_owners_alone(house: House) -> None:
    assert stat.S_IMODE(os.stat(house.path).st_mode) == 0o600


def test_what_was_submitted_before_the_stop_is_committed(house: House) -> None:
    futures = [house.server.submit(lambda tx: workers.place_order(tx, None, "thaw", {}, "me", "")) for _ in range(20)]
    house.server.stop()
    assert all(future.result(SECONDS) for future in futures)
    assert not os.path.exists(house.path)


def test_after_the_stop_nobody_waits_for_ever(house: House) -> None:
    house.server.stop()
    for wait in (
        lambda: house.server.submit(lambda tx: 1).result(SECONDS),
        lambda: house.server.call(lambda tx: 1),
        lambda: house.server.do(lambda: 1),
        lambda: house.server.hook(1, "body", "k", EFFECT, 1).result(SECONDS),
    ):
        with pytest.raises(EnvironmentTrouble, match="the server has ended"):
            wait()
    house.server.stop()


def test_refused_verbs_and_works(house: House) -> None:
    with pytest.raises(Refused):
        house.server.call(lambda tx: tx.update(workers.WorkerRow, {"how": "x"}, no=99))

    def wrong() -> None:
        raise UsageError("no")

    with pytest.raises(UsageError):
        house.server.do(wrong)
    assert lives(house)


def test_an_error_that_nobody_foresaw_ends_it_loudly(house: House) -> None:
    worker = house.worker()
    waiting: Future[Any] = house.server.hook(worker.number, "look-up", "k", EFFECT, MINUTE_US)
    worker.until("hook")
    house.peer().send({"t": "order", "verb": "crash"})
    with pytest.raises(EnvironmentTrouble, match="the server has ended"):
        waiting.result(SECONDS)
    assert isinstance(house.server.fatal, RuntimeError)
    assert worker.ended()
    for wait in (lambda: house.server.call(lambda tx: 1), lambda: house.server.do(lambda: 1)):
        with pytest.raises(EnvironmentTrouble, match="the server has ended: nobody foresaw this"):
            wait()
    assert house.trouble == ["the server ends: RuntimeError: nobody foresaw this"]


def test_a_listener_that_breaks_ends_it_too(house: House) -> None:
    def broken(entries: Any) -> None:
        raise ValueError("a listener's own fault")

    house.server.on_entries.append(broken)
    with pytest.raises(EnvironmentTrouble):
        house.server.call(lambda tx: workers.place_order(tx, None, "thaw", {}, "me", ""))
    assert "a listener's own fault" in str(house.server.fatal)


def test_a_work_that_breaks_fails_its_caller(house: House) -> None:
    with pytest.raises(EnvironmentTrouble):
        house.server.do(lambda: 1 / 0)
    assert isinstance(house.server.fatal, ZeroDivisionError)


def test_drive_is_a_helper() -> None:
    assert Drive.__doc__
