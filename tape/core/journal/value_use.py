"""Who refers to which value: entries to blobs, lists to their items and beginnings. For audits and retention."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tape.core.journal.blobs import named_in, rightly_named
from tape.core.journal.lists import Fetch

PAGE = 500

SQL: Mapping[str, str] = {
    "value_names": "SELECT hash FROM blob",
    "value_page": "SELECT hash, body FROM blob WHERE hash > :after_hash ORDER BY hash LIMIT :limit",
    "value_lists": "SELECT hash, body FROM blob WHERE body >= '+' AND body < ','",
    "value_users": "SELECT id, run_no, body FROM entry WHERE id > :after AND instr(body, '\"refs\":') ORDER BY id "
    "LIMIT :limit",
}


@dataclass(frozen=True, slots=True)
class Use:
    """`known`: all values of the journal; `reached`: those that an entry refers to, directly or through lists, known or
    not; `last_id`: the newest entry that was looked at."""

    known: frozenset[str]
    reached: frozenset[str]
    last_id: int

    @property
    def unused(self) -> list[str]:
        return sorted(self.known - self.reached)

    @property
    def missing(self) -> frozenset[str]:
        return self.reached - self.known


def use_of_values(fetch: Fetch, *, after: int = 0, without: Container[int] = ()) -> Use:
    """Looks at all entries after `after` but those of the runs `without`; the caller opens the snapshot."""
    known = frozenset(name for (name,) in fetch(SQL["value_names"], {}))
    lists = {name: named_in(body) for name, body in fetch(SQL["value_lists"], {})} if known else {}
    reached: set[str] = set()
    last_id = after
    for number, run_no, body in _users(fetch, after):
        last_id = number
        if run_no not in without:
            _reach(named_in(body), lists, reached)
    return Use(known, frozenset(reached), last_id)


def _users(fetch: Fetch, after: int) -> Iterator[tuple[Any, ...]]:
    while page := fetch(SQL["value_users"], {"after": after, "limit": PAGE}):
        yield from page
        after = page[-1][0]


def _reach(names: Iterable[str], lists: Mapping[str, list[str]], reached: set[str]) -> None:
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += lists.get(name, ())


def misnamed(fetch: Fetch) -> Iterator[str]:
    """Values whose text does not give their name."""
    after = ""
    while page := fetch(SQL["value_page"], {"after_hash": after, "limit": PAGE}):
        yield from (name for name, body in page if not rightly_named(name, body))
        after = page[-1][0]
