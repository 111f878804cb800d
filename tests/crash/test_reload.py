"""The code is loaded anew while runs are driven, hooks run, workers stand still, or nothing happens at all."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest

from tape.reactors.host import Host
from tests.crash.stage import Stage

Opener = Callable[..., Stage]

WHY = "the code has changed"


@pytest.fixture
def nursery() -> None:
    """What loads the code anew is born anew."""


def deaths(stage: Stage) -> list[str]:
    return [event.how for event in stage.watch.of("worker_died")]


def until_replaced(stage: Stage, old: set[int]) -> None:
    """None of these pids lives, and a fresh process is ready."""

    def fresh() -> bool:
        return bool(ready(stage)) and not pids(stage) & old

    stage.watch.until(fresh, f"{old} are replaced")


def pids(stage: Stage) -> set[int]:
    return {process.pid for process in stage.host.supervisor.processes()}


def ready(stage: Stage) -> set[int]:
    """Those that may be given something to do."""
    return {peer.pid for peer in list(stage.host.server.peers.values()) if peer.takes_work()}


def test_idle_processes_are_replaced(stage: Stage) -> None:
    stage.watch.until(lambda: len(pids(stage)) == 2, "worker and spare")
    old = pids(stage)
    stage.host.reload()
    until_replaced(stage, old)
    assert set(deaths(stage)) <= {f"exit 0: {WHY}", f"SIGTERM: {WHY}", f"SIGKILL: {WHY}"}
    stage.watch.until(lambda: len(pids(stage)) == 2, "as many as before")
    run = stage.run(["ask"], ["call", "wire", 1])
    assert stage.until_rest(run) == "TERMINAL"


def test_a_run_in_a_body_ends_it_and_goes_on_elsewhere(stage: Stage) -> None:
    """It is drained: no crash is counted, nothing is asked or done twice, and nobody has to look anything up."""
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "500ms", "collection": "wire", "nth": 1}])
    run = stage.run(["ask"], ["call", "wire", 1], ["ask"])
    stage.until_event("effect_begun", run)
    old = pids(stage)
    stage.host.reload("as the test says")
    assert stage.until_rest(run) == "TERMINAL"
    granted = stage.watch.of("lease_granted", run)
    assert [(grant.drive, grant.crashes) for grant in granted] == [(1, 0), (2, 0)]
    assert granted[0].pid in old
    assert granted[1].pid not in old
    assert stage.asked(run) == {0: 1, 1: 1}
    assert len(stage.acts(run)) == 1
    assert [ended.resolution for ended in stage.watch.of("effect_ended", run)] == ["returned"]
    died = stage.watch.until(lambda: stage.watch.of("worker_died", pid=granted[0].pid), "the old one is gone")
    assert died[0].how == "exit 0: as the test says"


def test_a_body_that_takes_too_long_is_killed_and_settled(stage: Stage) -> None:
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "8s", "collection": "wire", "nth": 1}])
    run = stage.run(["ask"], ["call", "wire", 1], ["ask"])
    stage.until_event("effect_begun", run)
    stage.host.reload()
    assert stage.until_rest(run) == "TERMINAL"
    assert f"SIGKILL: {WHY}" in deaths(stage)
    assert stage.asked(run) == {0: 1, 1: 1}
    assert stage.standing(run) == 1


def test_a_hook_under_way_is_finished(stage: Stage) -> None:
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "500ms", "collection": "mail_wire"}])
    run = stage.run(["ask"], ["call", "mail_wire", 1])
    stage.until_event("attempt_started", run, what="body")
    stage.host.reload()
    assert stage.until_rest(run) == "TERMINAL"
    assert len(stage.watch.of("attempt_started", run, what="body")) == 1
    assert not stage.watch.of("attempt_started", run, what="look-up")
    assert len(stage.acts(run)) == 1


def test_one_that_a_drill_has_frozen_is_spared_until_it_is_thawed(stage: Stage) -> None:
    stage.arm("decision.recorded", "STOP")
    run = stage.run(["ask"], ["call", "wire", 1])
    frozen = stage.until_reached("decision.recorded").pid
    stage.host.reload()
    assert stage.until_rest(run) == "TERMINAL"  # its lease ran out
    assert frozen in pids(stage)
    assert stage.order("thaw") == {"thawed": [frozen]}
    died = stage.watch.until(lambda: stage.watch.of("worker_died", pid=frozen), "it goes")
    assert died[0].how == f"exit 0: {WHY}"
    assert stage.watch.of("write_refused")


def test_one_that_was_stopped_by_hand_is_ended_in_the_end(stage: Stage) -> None:
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "500ms", "collection": "wire", "nth": 1}])
    run = stage.run(["ask"], ["call", "wire", 1])
    stage.until_event("effect_begun", run)
    stage.order("kill", run, signal="STOP")
    stage.host.reload()
    assert stage.until_rest(run) == "TERMINAL"
    assert f"SIGKILL: {WHY}" in deaths(stage)


@pytest.mark.parametrize("times", [2, 12])
def test_many_reloads_at_once(open_stage: Opener, times: int) -> None:
    """From several threads, with several runs under way: each ends once, and the pool is as large as before."""
    stage = open_stage(workers=2)
    runs = [stage.run(["ask"], ["call", "wire", n], ["ask"], ["call", "put", n], ["ask"]) for n in range(6)]
    stage.until_event("effect_begun")
    threads = [threading.Thread(target=stage.host.reload) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in runs:
        assert stage.until_rest(run) == "TERMINAL"
        assert set(stage.asked(run).values()) == {1}
        assert all(grant.crashes == 0 for grant in stage.watch.of("lease_granted", run))
        assert len(stage.acts(run)) == 2
    stage.watch.until(lambda: len(pids(stage)) == 3, "two and the spare")


def test_a_reload_before_the_start_during_it_and_after_the_end(stage: Stage) -> None:
    """Those that are being started may have loaded the old code: they are replaced as well."""
    stage.close()
    host = stage.host = Host(stage.config, voice=stage.host.voice, environment=stage.environment, drain_seconds=2.0)
    host.reload()
    host.start()
    stage.is_open = True
    host.reload()
    host.wait_ready()
    run = stage.run(["ask"], ["call", "wire", 1])
    assert stage.until_rest(run) == "TERMINAL"
    stopping = threading.Thread(target=stage.close)
    stopping.start()
    host.reload()
    stopping.join()
    host.reload()
    assert not stage.watch.trouble
    assert not pids(stage)


def test_the_old_get_nothing_new_though_they_do_not_answer(stage: Stage) -> None:
    """Stopped, they cannot say that they leave; the run goes to a process of the new code at once."""
    stage.watch.until(lambda: len(ready(stage)) == 2, "worker and spare")
    old = pids(stage)
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    stage.host.reload()
    stage.watch.until(lambda: ready(stage) - old, "a new one is ready")
    run = stage.run(["ask"], ["call", "wire", 1])
    assert stage.until_rest(run) == "TERMINAL"
    (granted,) = stage.watch.of("lease_granted", run)
    assert granted.pid not in old


def test_a_process_that_is_still_loading_says_nothing_about_the_new_code(stage: Stage) -> None:
    """Replaced again and again before it is ready, it counts as no failed start."""
    stage.close()
    stage.host = Host(stage.config, voice=stage.host.voice, environment=stage.environment, drain_seconds=2.0)
    stage.host.start()
    stage.is_open = True
    for _ in range(12):
        before = pids(stage)
        stage.host.reload()
        stage.watch.until(lambda before=before: pids(stage) - before, "a new one is being started")
    stage.host.wait_ready()
    assert (stage.watch.trouble, stage.host.broken, stage.host.load_error) == ([], None, None)
