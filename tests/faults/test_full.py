"""The disk is full, at every size that the journal grows through: writes fail cleanly, what was acknowledged stays
readable, and with space again everything goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tape.core.clock import ManualClock
from tape.core.journal.audit import examine
from tape.core.journal.audit_facts import Severity
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import JournalUnavailable
from tests.faults.faulty import on_disk, plain_connect, scenes, state, tell_rest
from tests.faults.story import whole

PAGE_BYTES = 1024
"""Small pages, so that there are many sizes to be full at."""


class Space:
    """How many pages a journal may have; asks of every connection that is opened."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.refusals = 0

    def connect(self, *args: Any, **named: Any) -> sqlite3.Connection:
        connection = plain_connect(*args, **named)
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute(f"PRAGMA max_page_count={self.pages}")
        return connection

    def refused(self) -> None:
        """Full, and full again when it is tried again; then somebody frees some space."""
        self.refusals += 1
        if self.refusals == 2:
            self.pages = 1 << 20


@contextmanager
def limited(pages: int) -> Iterator[Space]:
    space = Space(pages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", space.connect)
        yield space


def opened(path: Path, clock: ManualClock, space: Space) -> Writer:
    for _ in range(2):
        try:
            return Writer(path, clock)
        except JournalUnavailable as error:
            assert "the disk is full; free some space" in str(error)
            space.refused()
    return Writer(path, clock)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_disk_is_full_at_every_size(folder: Path) -> None:
    """127 sizes: 39 refuse the opening, 88 a verb of the story; the next one refuses nothing."""
    end = scenes(folder / "told.db")[-1].census
    opening = middle = put_off = 0
    pages = 1
    while True:
        path, clock = folder / f"{pages}.db", ManualClock()
        with limited(pages) as space:
            writer = opened(path, clock, space)
            opening += bool(space.refusals)
            tale = whole(clock)
            waited = tell_rest(writer, tale, next(tale), space.refused)
            writer.close()
        assert on_disk(path, partial(state, ordered=False)) == end, f"{pages} pages"
        assert not [found for found in examine(path).findings if found.severity is Severity.ERROR]
        path.unlink()
        if not space.refusals:
            break
        middle += bool(waited)
        put_off += waited
        pages += 1
    print(f"\nfull at {pages - 1} sizes: {opening} refused the opening, {middle} a verb ({put_off} put off), 0 lost")
    assert opening > 20 and middle > 20
