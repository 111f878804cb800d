"""A pytest plugin for runs in a copy of the tree: makes sure that the copy is what runs, and tells how tests failed.

`--witness FILE` gets one JSON line per failure. A failure convicts if a test or the checker said that something is
wrong; an error on the way there (a name that is missing, a call that no longer fits, a time limit) does not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

import tape


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--witness", type=Path, default=None, help="where failures are told, one JSON line each")


def pytest_configure(config: pytest.Config) -> None:
    """Raises UsageError if this process, or one that it starts, would import another tree's package."""
    code = "import tape; print(tape.__file__)"
    child = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=True)
    for file in (str(tape.__file__), child.stdout.strip()):
        if not Path(file).is_relative_to(config.rootpath):
            raise pytest.UsageError(f"{file} is imported, which is not in {config.rootpath}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    file: Path | None = item.config.getoption("--witness")
    if file is not None and report.failed and call.excinfo is not None:
        error = call.excinfo.value
        said = f"{type(error).__name__}: {error}".strip().partition("\n")[0]
        convicts = _convicts(error, item.config.rootpath / "tape")
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"test": item.nodeid, "convicts": convicts, "said": said}) + "\n")
    return report


def _convicts(error: BaseException, package: Path) -> bool:
    """An assertion, but not one of the package's own; `pytest.fail` too (`DID NOT RAISE`), but no time limit."""
    if isinstance(error, BaseExceptionGroup):
        return all(_convicts(inner, package) for inner in error.exceptions)
    if isinstance(error, pytest.fail.Exception):
        return not str(error.msg).startswith("Timeout")
    if not isinstance(error, AssertionError):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is None or not Path(trace.tb_frame.f_code.co_filename).is_relative_to(package)
