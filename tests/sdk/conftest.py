"""A test's tools are its own: what it marks is forgotten when it is over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tape.core.sdk import bodies, client, context
from tape.core.sdk.decorators import TOOLS, Tool


@pytest.fixture(autouse=True)
def own_tools(request: pytest.FixtureRequest) -> Iterator[None]:
    before = dict(TOOLS)
    TOOLS.clear()
    TOOLS.update({found.name: found for found in vars(request.module).values() if isinstance(found, Tool)})
    yield
    TOOLS.clear()
    TOOLS.update(before)


class Ended(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why the process would have ended itself. In its place the caller is unwound by an exception."""
    why: list[str] = []

    def note(text: str) -> None:
        why.append(text)
        raise Ended(text)

    for module in (bodies, client, context):
        monkeypatch.setattr(module, "end_own_group", note)
    return why
