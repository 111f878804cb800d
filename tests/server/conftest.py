"""Each test has a server of its own; at its end the journal is checked against the invariants."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal import invariants
from tests.server.peer import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    server = House(tmp_path)
    yield server
    for peer in server.peers:
        peer.close()
    server.server.stop()
    invariants.check(server.writer.connection)
    server.writer.close()
    shutil.rmtree(server.socket_folder, ignore_errors=True)
