"""Step mode in the server: what is withheld, what waits behind it, and every way in which a stop can end."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from tape.core.journal import runs, workers
from tape.core.kernel.errors import JournalUnavailable, NotFound, Refused, UsageError
from tape.core.kernel.points import POINTS, Arm, Death, Stage, Stop, find_point
from tape.core.server import acts
from tape.core.wire import Frame
from tests.server.peer import LEASE, RECOVERY, SECONDS, Drive, House, Peer


def order(house: House, verb: str, run: str | None = None, **args: Any) -> dict[str, Any]:
    placed: Future[dict[str, Any]] = house.server.do(lambda: acts.act(house.server, run, verb, args, "me", ""))
    return placed.result(SECONDS)


def step(house: House, run: str | None = None, **args: Any) -> list[dict[str, Any]]:
    return order(house, "step", run, **args)["stepped"]


def until_stop(house: House, point: str, run: str | None = None) -> Stop:
    """Waits until a run is stopped at this point."""

    def found() -> Stop | None:
        stops = [stop for stop in house.server.stops() if stop.point == point and run in (None, stop.run_id)]
        return stops[0] if stops else None

    return house.heard.until(found, f"stopped at {point}")


def silent(drive: Drive | Peer) -> bool:
    """Whether nothing comes for the worker in a twentieth of a second: no answer, no drive."""
    peer = drive.peer if isinstance(drive, Drive) else drive
    peer.socket.settimeout(0.05)
    try:
        peer.got += peer.decoder.feed(peer.socket.recv(1 << 18))
    except TimeoutError:
        pass
    finally:
        peer.socket.settimeout(SECONDS)
    return not [frame for frame in peer.got if frame["t"] in ("ok", "refused", "drive", "answer")]


def stepped_drive(house: House) -> Drive:
    """A run in step mode, past its lease.granted."""
    worker = house.worker()
    assert step(house) == [{"run": None, "from": None, "to": None, "go": False}]
    run = house.start_run()
    epoch = house.grant(run, worker)
    stopped = Stop(run, worker.number, 1000 + house.nonces, "lease.granted", None, None)
    assert until_stop(house, "lease.granted") == stopped
    assert silent(worker)
    assert step(house) == [{"run": run, "from": "lease.granted", "to": None, "go": False}]
    assert worker.until("drive")["armed"] is True
    return Drive(house, worker, run, epoch)


def held(house: House, point: str) -> tuple[Drive, Frame]:
    """A run that is stopped at this boundary point, and the frame that has no answer."""
    drive = stepped_drive(house)
    if point.startswith("decision.a"):
        frame = drive.frame("ask", index=0, name="ask", waits=True)
    elif point.startswith("decision."):
        frame = drive.decision(waits=True)
    elif point == "effect.begun":
        frame = drive.begin()
    elif point.startswith("effect."):
        begun = drive.begin()
        drive.peer.send(begun)
        until_stop(house, "effect.begun")
        step(house)
        assert drive.answer(begun["n"])["t"] == "ok"
        frame = drive.end()
    elif point == "timer.set":
        frame = drive.frame("timer", ordinal=0, seconds=60.0, fingerprint="f")
    elif point == "gate.opened":
        frame = drive.frame("gate", gate=GATE)
    elif point == "budget.awaited":
        attach = drive.frame("attach", replayed=[], caps={"tokens": 1}, on_exceeded="gate")
        drive.peer.send(attach)
        assert drive.answer(attach["n"])["t"] == "ok"
        limits = {"tokens": 2, "usd_micro": None}
        frame = drive.frame("ask", index=0, name="ask", waits=True, limits=limits, capped=True)
    elif point == "child.started":
        frame = drive.frame("child", ordinal=0, agent="agent", input=None, fingerprint="f")
    else:
        frame = drive.frame("finish", ended={"outcome": "TERMINAL", "result": 1})
    drive.peer.send(frame)
    while True:
        stop = house.heard.until(lambda: house.server.stops(), "a stop")[0]
        if stop.point == point:
            return drive, frame
        step(house)


GATE = {"name": "pay", "ordinal": 0, "prompt": "", "options": ["a", "b"], "fingerprint": "f"}
BOUNDARY_POINTS = [point for point in POINTS if point.stage is not Stage.HOOK and point.name != "lease.granted"]
BY_NAME = [pytest.param(point, id=point.name) for point in BOUNDARY_POINTS]


@pytest.mark.parametrize("point", BY_NAME)
def test_stopped_at_a_boundary_and_let_go(house: House, point: Any) -> None:
    drive, frame = held(house, point.name)
    kinds = {"ask": "model_asked", "decision": "decision", "begin": "effect_begun", "end": "effect_ended"}
    kinds |= {"timer": "timer_set", "gate": "gate_opened", "child": "child_started", "finish": "run_ended"}
    kinds |= {"awaits": "budget_awaited"}
    kind = kinds[point.frame]
    assert (kind in house.heard.kinds(drive.run)) is (point.stage is Stage.COMMITTED)
    assert silent(drive)
    assert [event.death for event in house.heard.of("point_reached")][-1] == "HOLD"
    assert step(house, go=True)[0]["from"] == point.name
    assert drive.answer(frame["n"])["t"] == "ok"
    assert house.server.stops() == [] and not house.ender.told
    assert house.heard.kinds(drive.run).count(kind) == 1
    assert drive.peer.until("arm", armed=False)


@pytest.mark.parametrize("point", BY_NAME)
def test_killed_while_stopped_it_is_as_if_it_had_died_there(house: House, point: Any) -> None:
    drive, _ = held(house, point.name)
    before = [kind for kind in house.heard.kinds(drive.run) if kind not in ("order_placed", "point_reached")]
    drive.peer.send(drive.sample())  # what comes after what is withheld is not taken either
    assert order(house, "kill", drive.run)["killed"] == [1000 + house.nonces]
    assert house.server.stops() == []
    assert house.ender.told == [("kill", drive.peer.number, "killed by order")]
    house.server.worker_died(drive.peer.number, "SIGKILL: killed by order", proven=True)
    after = [kind for kind in house.heard.kinds(drive.run) if kind not in ("order_placed", "point_reached")]
    taken = after[len(before) :]
    assert after[: len(before)] == before
    assert not {"decision", "effect_ended", "run_ended", "sample", "model_asked"} & set(taken), taken
    assert house.server.do(house.server.points.waits) is False, "the kill has ended step mode"


def test_a_worker_that_dies_by_itself_while_a_run_is_stopped(house: House) -> None:
    drive, _ = held(house, "effect.acted")
    house.server.worker_died(drive.peer.number, "signal 9", proven=True)
    assert house.server.stops() == []
    assert "effect_ended" not in house.heard.kinds(drive.run)
    assert house.server.points.waits() is False, "its death has ended step mode"


def test_a_dying_worker_s_last_frames_stop_nowhere(house: House) -> None:
    drive = stepped_drive(house)
    drive.peer.send(drive.begin())
    drive.peer.close()
    house.server.worker_died(drive.peer.number, "signal 9", proven=True)
    assert house.server.stops() == []


def test_to_goes_on_past_every_other_place(house: House) -> None:
    drive, frame = held(house, "decision.replied")
    said = step(house, drive.run, to="effect.ended", tool="pay", nth=2)
    assert said == [{"run": drive.run, "from": "decision.replied", "to": "effect.ended", "go": False}]
    assert drive.answer(frame["n"])["t"] == "ok"
    assert drive.send(drive.begin(0))["t"] == "ok"
    assert drive.send(drive.end(0))["t"] == "ok"
    assert drive.send(drive.begin(1))["t"] == "ok"
    last = drive.end(1)
    drive.peer.send(last)
    stop = until_stop(house, "effect.ended")
    assert (stop.tool, stop.decision_index) == ("pay", None)
    assert house.server.arms() == []
    assert step(house)[0] == {"run": drive.run, "from": "effect.ended", "to": None, "go": False}
    assert drive.answer(last["n"])["t"] == "ok"
    drive.peer.send(drive.begin(2))
    assert until_stop(house, "effect.begun"), "after it the run is in step mode"
    step(house, go=True)


def test_go_ends_step_mode_and_every_wish_to_stop(house: House) -> None:
    drive = stepped_drive(house)
    assert step(house, to="run.ended") == [{"run": drive.run, "from": None, "to": "run.ended", "go": False}]
    house.server.arm(Arm(find_point("run.ended"), Death.KILL, run_id="r-other"))
    assert step(house, go=True) == [{"run": drive.run, "from": None, "to": None, "go": True}]
    assert [arm.death for arm in house.server.arms()] == [Death.KILL], "a death is no stop"
    assert step(house, go=True) == []
    assert step(house)[0]["run"] == drive.run
    step(house, go=True)
    house.server.disarm()
    assert drive.send(drive.begin())["t"] == "ok"


def test_the_next_run_and_only_that_one(house: House) -> None:
    worker = house.worker()
    step(house)
    assert house.server.points.waits()
    first = house.start_run()
    house.grant(first, worker)
    until_stop(house, "lease.granted", first)
    other = house.drive()
    assert other.send(other.decision())["t"] == "ok"
    assert step(house, go=True) == [{"run": first, "from": "lease.granted", "to": None, "go": True}]
    assert step(house, other.run, go=True) == []


def test_a_wish_for_the_next_run_can_be_taken_back(house: House) -> None:
    for args in ({}, {"to": "effect.begun"}):
        step(house, **args)
        assert house.server.points.waits()
        assert step(house, go=True) == [{"run": None, "from": None, "to": None, "go": True}]
        assert not house.server.points.waits()


def test_each_run_of_a_worker_stops_alone(house: House) -> None:
    worker = house.worker()
    first = house.drive(worker)
    second_run = house.start_run()
    second = Drive(house, worker, second_run, house.grant(second_run, worker, concurrency=2))
    step(house, first.run)
    frame = first.begin()
    worker.send(frame)
    until_stop(house, "effect.begun", first.run)
    assert second.send(second.begin())["t"] == "ok"
    assert second.send(second.end())["t"] == "ok"
    step(house, first.run, go=True)
    assert first.answer(frame["n"])["t"] == "ok"


def test_what_comes_from_a_stopped_run_waits_behind_it_in_order(house: House) -> None:
    drive = stepped_drive(house)
    frames = [drive.begin(0), drive.sample(waits=False), drive.begin(1), drive.sample(1)]
    drive.peer.send(*frames)
    until_stop(house, "effect.begun")
    drive.peer.send({"t": "beat", "silent_us": 0})
    assert silent(drive)
    assert house.heard.kinds(drive.run).count("effect_begun") == 1 and "sample" not in house.heard.kinds()
    step(house)
    house.heard.until(lambda: house.heard.kinds(drive.run).count("effect_begun") == 2, "the second")
    until_stop(house, "effect.begun")
    assert house.heard.kinds(drive.run).count("sample") == 1
    step(house)
    assert [drive.answer(frame["n"])["t"] for frame in frames] == ["ok"] * 4
    kinds = [kind for kind in house.heard.kinds(drive.run) if kind in ("effect_begun", "sample")]
    assert kinds == ["effect_begun", "sample", "effect_begun", "sample"]


@pytest.mark.parametrize("point", ["effect.begun", "effect.acted", "run.ended"])
def test_a_lost_connection_lets_nobody_go_and_answers_once(house: House, point: str) -> None:
    drive, frame = held(house, point)
    drive.peer.close()
    drive.peer = drive.peer.back(house, drives={drive.run: drive.epoch})
    drive.peer.send(frame)
    assert silent(drive)
    assert until_stop(house, point)
    step(house, go=True)
    assert drive.answer(frame["n"])["t"] == "ok"
    assert silent(drive)


def test_a_drive_that_is_withheld_stays_so_over_a_lost_connection(house: House) -> None:
    worker = house.worker()
    step(house)
    run = house.start_run()
    house.grant(run, worker)
    until_stop(house, "lease.granted")
    fresh = worker.back(house)
    assert silent(fresh)
    step(house)
    assert fresh.until("drive")["run"] == run


@pytest.mark.parametrize("point", ["decision.asking", "effect.begun", "effect.acted"])
def test_a_lease_that_ends_under_a_stopped_run_lets_it_read_fenced(house: House, point: str) -> None:
    drive, frame = held(house, point)
    number = drive.peer.number
    house.server.call(lambda tx: tx.connection.execute("UPDATE run SET lease_until_boot_us = 1") and None)
    house.server.call(lambda tx: workers.expire_leases(tx, number, RECOVERY))
    assert drive.answer(frame["n"])["why"] == "fenced"
    assert house.server.stops() == []
    house.heard.until(lambda: house.heard.of("write_refused") or house.heard.of("effect_ended"), "the evidence")


def test_a_run_that_is_granted_anew_in_the_same_breath(house: House) -> None:
    """The earlier stop is over before the later one begins: its worker reads that it is fenced."""
    drive, frame = held(house, "effect.begun")
    other = house.worker()
    server, number, run = house.server, drive.peer.number, drive.run
    server.call(lambda tx: tx.connection.execute("UPDATE run SET lease_until_boot_us = 1") and None)

    def both() -> tuple[Future[Any], Future[Any]]:
        grant = {"ttl_us": LEASE.ttl_us, "concurrency": 1, "recovery": RECOVERY}
        return (
            server.submit(lambda tx: workers.expire_leases(tx, number, RECOVERY)),
            server.submit(lambda tx: runs.grant(tx, run, other.number, **grant)),
        )

    expired, granted = server.do(both)
    assert expired.result(SECONDS) == 1 and granted.result(SECONDS).epoch > drive.epoch
    assert drive.answer(frame["n"])["why"] == "fenced"
    assert until_stop(house, "lease.granted").worker == other.number
    step(house, go=True)
    assert other.until("drive")["run"] == run


def test_a_drive_whose_lease_ended_unseen_is_not_sent(house: House) -> None:
    worker = house.worker()
    step(house)
    run = house.start_run()
    house.grant(run, worker)
    until_stop(house, "lease.granted")
    house.server.call(lambda tx: tx.connection.execute("UPDATE run SET lease_until_boot_us = 1") and None)
    house.server.call(lambda tx: workers.expire_leases(tx, worker.number, RECOVERY))
    house.heard.until(lambda: not house.server.driven(), "the worker is free")
    assert silent(worker)


@pytest.mark.parametrize("how", ["order", "outside"])
def test_a_drain_lets_go_and_stops_nowhere(house: House, how: str) -> None:
    drive, frame = held(house, "effect.acted")
    if how == "order":
        order(house, "kill", drive.run, signal="TERM")
        assert house.ender.told == [("terminate", drive.peer.number, "terminated by order")]
    else:
        drive.peer.send({"t": "leaving"})
    assert drive.answer(frame["n"])["t"] == "ok"
    assert drive.ask("park", waits=[], why="drained")["t"] == "ok"
    assert house.server.stops() == []
    drive.peer.send({"t": "idle", "run": drive.run, "epoch": drive.epoch})
    other = house.worker()
    house.grant(drive.run, other)
    assert until_stop(house, "lease.granted"), "the run is still in step mode"
    step(house, go=True)
    other.until("drive")


def test_a_cancelled_run_goes_on(house: House) -> None:
    drive, frame = held(house, "decision.asking")
    house.server.submit(lambda tx: runs.cancel(tx, drive.run), lambda _: house.server.push_cancel(drive.run)).result(
        SECONDS
    )
    assert drive.peer.until("cancel")["run"] == drive.run
    assert drive.answer(frame["n"])["run"] == drive.run
    assert not house.server.points.waits()


def test_frozen_and_lost_replies_leave_a_stop_alone(house: House) -> None:
    drive, frame = held(house, "effect.begun")
    order(house, "kill", drive.run, signal="STOP")
    assert house.ender.told == [("freeze", drive.peer.number, "")]
    assert until_stop(house, "effect.begun")
    step(house, go=True)
    assert drive.answer(frame["n"])["t"] == "ok"


def test_own_points_stop_and_their_loop_is_not_called_silent(house: House) -> None:
    drive = stepped_drive(house)
    asking, second = house.peer(), house.peer()
    point = {"t": "point", "name": "at:here", "run": drive.run, "nonce": drive.peer.nonce}
    asking.send(point)
    assert until_stop(house, "at:here").run_id == drive.run
    second.send(point)
    drive.peer.send({"t": "beat", "silent_us": LEASE.stall_us * 10})
    drive.peer.send(drive.begin())
    assert silent(asking) and silent(second)
    assert not house.ender.told
    step(house)
    assert asking.until("answer") == {"t": "answer"}
    assert until_stop(house, "at:here")
    step(house, go=True)
    assert second.until("answer") == {"t": "answer"}
    drive.peer.send({"t": "beat", "silent_us": LEASE.stall_us * 10})
    assert drive.answer(1)["t"] == "ok"
    assert not house.ender.told, "it was silent because it was stopped"


@pytest.mark.parametrize("name", ["at:", "", 7, None])
def test_odd_names_of_own_points(house: House, name: Any) -> None:
    drive = stepped_drive(house)
    asking = house.peer()
    asking.send({"t": "point", "name": name, "run": drive.run, "nonce": drive.peer.nonce})
    house.heard.until(lambda: house.server.stops(), "a stop")
    step(house, go=True)
    assert asking.until("answer") == {"t": "answer"}


def test_who_is_to_die_does_not_stop_first(house: House) -> None:
    drive = stepped_drive(house)
    step(house, drive.run, to="effect.begun")
    house.server.arm(Arm(find_point("effect.begun"), Death.KILL))
    drive.peer.send(drive.begin())
    house.heard.until(lambda: house.ender.told, "the death")
    assert house.server.stops() == []


def test_a_run_that_ends_is_forgotten(house: House) -> None:
    drive = stepped_drive(house)
    step(house, drive.run, to="at:never")
    assert drive.ask("finish", ended={"outcome": "TERMINAL", "result": 1})["t"] == "ok"
    house.heard.until(lambda: not house.server.points.waits(), "nothing waits")
    drive.peer.send({"t": "idle", "run": drive.run, "epoch": drive.epoch})
    house.heard.until(lambda: not house.server.driven(), "idle")
    with pytest.raises(Refused, match="has ended"):
        step(house, drive.run)


def test_a_journal_that_cannot_be_written_sends_back_what_is_behind_too(house: House) -> None:
    drive = stepped_drive(house)
    first = drive.decision(waits=True)
    second = drive.sample()
    drive.peer.send(first, second)
    until_stop(house, "decision.replied")
    failing = [True]
    house.writer.failing = lambda count: JournalUnavailable("disk full") if failing[0] else None  # type: ignore[method-assign]
    house.server.do(lambda: house.server.points.go(drive.run))
    assert drive.peer.until("busy", n=first["n"]) and drive.peer.until("busy", n=second["n"])
    failing[0] = False
    assert drive.send(first)["t"] == "ok"
    assert drive.send(second)["t"] == "ok"


def test_wrong_orders(house: House) -> None:
    for args, words in [
        ({"to": "effect.began"}, "did you mean effect.begun"),
        ({"to": "observe.answered"}, "no run can stop at"),
        ({"to": "run.ended", "go": True}, "leave one of --go and --to out"),
        ({"to": "run.ended", "nth": 0.5}, "nth counts"),
    ]:
        with pytest.raises(UsageError, match=words):
            step(house, **args)
    with pytest.raises(UsageError, match="no death is called 'HOLD'; there are: KILL, TERM, STOP, LOST"):
        order(house, "kill", at="effect.begun", signal="HOLD")
    with pytest.raises(NotFound):
        step(house, "r-000000000000")
    assert not house.server.points.waits()


# --- arms ------------------------------------------------------------------------------------------------------


def test_disarm_by_point_and_all(house: House) -> None:
    worker = house.worker()
    order(house, "kill", at="effect.begun", tool="pay")
    order(house, "kill", at="effect.begun", signal="TERM")
    order(house, "kill", at="run.ended")
    gone = order(house, "disarm", at="effect.begun")["disarmed"]
    assert [(arm["signal"], arm["tool"]) for arm in gone] == [("KILL", "pay"), ("TERM", None)]
    assert [arm.point.name for arm in house.server.arms()] == ["run.ended"]
    assert len(order(house, "disarm")["disarmed"]) == 1
    assert order(house, "disarm")["disarmed"] == []
    assert worker.until("arm", armed=False)
    assert [event.verb for event in house.heard.of("order_placed")][-3:] == ["disarm"] * 3
    with pytest.raises(UsageError, match=r"did you mean run\.ended"):
        order(house, "disarm", at="run.endet")


def test_each_run_strikes_once_in_every_run_and_counts_within_it(house: House) -> None:
    order(house, "kill", at="effect.begun", each_run=True, signal="TERM", nth=2)
    for number in (1, 2):
        drive = house.drive()
        for ordinal in range(4):
            assert drive.send(drive.begin(ordinal))["t"] == "ok"
            assert len(house.ender.told) == number - (ordinal == 0)
        for ordinal in range(4):
            drive.send(drive.end(ordinal))
    assert [arm.each_run for arm in house.server.arms()] == [True]
    assert len(house.heard.of("point_reached")) == 2


# --- what the project declares ---------------------------------------------------------------------------------


def test_the_newest_manifest_is_kept(house: House) -> None:
    told: list[int] = []
    house.server.on_manifest.append(lambda: told.append(1))
    worker = house.worker()
    assert house.server.manifest is None
    worker.send({"t": "manifest", "agents": [{"name": "a", "input": {}}], "tools": []})
    worker.send({"t": "manifest", "agents": [{"name": "b", "input": {}}], "tools": [{"name": "t"}]})
    drive = house.drive(worker)
    assert house.server.manifest == {"agents": [{"name": "b", "input": {}}], "tools": [{"name": "t"}]}
    assert len(told) == 2
    for odd in ({}, {"agents": 1, "tools": []}, {"agents": [1], "tools": []}, {"agents": [{"name": 1}], "tools": []}):
        worker.send({"t": "manifest", **odd})
    assert drive.send(drive.decision())["t"] == "ok", "it is passed over"
    assert house.server.manifest["agents"][0]["name"] == "b"
    assert len(house.trouble) == 4 and len(told) == 2
