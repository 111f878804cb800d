"""What the host tells of the threads and the reactors that it runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tape.core.kernel.errors import EnvironmentTrouble, JournalUnavailable
from tape.reactors.host import Host, ReactorState
from tape.reactors.voice import Voice


@pytest.mark.parametrize("ended", ["server", "supervisor", "reactors"])
def test_a_thread_that_has_ended_keeps_the_service_from_going_on(ended: str) -> None:
    threads = {name: SimpleNamespace(fatal=None) for name in ("server", "supervisor", "pool")}
    host = Host.__new__(Host)
    host.pool = SimpleNamespace(load_error=None)  # type: ignore[assignment]
    host.server, host.supervisor, host.fatal = threads["server"], threads["supervisor"], None  # type: ignore[assignment]
    host.check()
    vars(threads.get(ended, host))["fatal"] = ValueError("no such thing")
    with pytest.raises(EnvironmentTrouble, match="the server has ended: no such thing"):
        host.check()


def test_each_outage_of_a_reactor_is_told_once_and_shown_until_it_is_over() -> None:
    said: list[str] = []
    full: list[Exception] = []
    host = Host.__new__(Host)
    host.states, host.voice = {"timers": ReactorState("timers")}, Voice(trouble=said.append)

    class Timers:
        name = "timers"

        def tick(self) -> int:
            if full:
                raise full[0]
            return 1

    for _ in range(2):
        full.append(JournalUnavailable("the disk is full"))
        for _ in range(3):
            host._tick(Timers())
        assert host.states["timers"].last_error == "the disk is full"
        full.clear()
        host._tick(Timers())
        assert host.states["timers"].last_error == ""
    assert said == ["timers: the disk is full"] * 2
    assert (host.states["timers"].errors, host.states["timers"].moved) == (6, 2)
