"""The types of the pytest plugin's fixtures, for annotations. The plugin itself is found by pytest; see
docs/reference/pytest.md.

    from tape.testing import CrashAt, TapeRun

    def test_pays_once(tape_run: TapeRun, crash_at: CrashAt) -> None: ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tape.lab.pytest_fixtures import CrashAt, StandIn, TapeClock, TapeRun, TapeUpstream
    from tape.lab.pytest_result import RunResult, UpstreamActs

_MODULE_OF = {
    "CrashAt": "tape.lab.pytest_fixtures",
    "RunResult": "tape.lab.pytest_result",
    "StandIn": "tape.lab.pytest_fixtures",
    "TapeClock": "tape.lab.pytest_fixtures",
    "TapeRun": "tape.lab.pytest_fixtures",
    "TapeUpstream": "tape.lab.pytest_fixtures",
    "UpstreamActs": "tape.lab.pytest_result",
}

__all__ = ["CrashAt", "RunResult", "StandIn", "TapeClock", "TapeRun", "TapeUpstream", "UpstreamActs"]


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'tape.testing' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module), name)
    globals()[name] = value
    return value
