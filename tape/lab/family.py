"""A run with all its descendants, each at its place: runs of two trials have other ids, but the same places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tape.core.journal.dump import RunDump
from tape.core.journal.views import Reader

Kinship = tuple[int, ...]
"""The ordinals of the children on the way down from the first run, which is `()` itself."""

Family = Mapping[Kinship, RunDump]


def read_family(reader: Reader, run_id: str) -> Family:
    """The parents before their children. Raises NotFound."""
    return dict(_read(reader, run_id, ()))


def _read(reader: Reader, run_id: str, place: Kinship) -> Iterator[tuple[Kinship, RunDump]]:
    dump = reader.dump(run_id)
    yield place, dump
    for child in dump.children:
        yield from _read(reader, child.run, (*place, child.ordinal))


def ids_of(family: Family) -> frozenset[str]:
    return frozenset(dump.run.id for dump in family.values())
