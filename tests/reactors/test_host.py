"""What the host tells of the threads that it runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tape.core.kernel.errors import EnvironmentTrouble
from tape.reactors.host import Host


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
