"""A bundle: one run in one file, to be looked at elsewhere. `tape export` writes it, `tape import` reads it.

It is gzip'd JSON, one object: `format`, `version`, `schema`, `release`, `run`, `values` (whole, or hashed: each
replaced by its type and hash), `redacted`, and `tables`: rows as they stand in the journal, columns by name, bytes as
hexadecimal digits. Values by hash stay so, and are in the table `blob`. The entries' hash chain is whole: where
something was redacted it is made anew over what the bundle says.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, cast

import orjson

from tape.core.journal import dialect
from tape.core.journal.blobs import named_in
from tape.core.journal.redaction import Redactor
from tape.core.journal.schema import SCHEMA_VERSION
from tape.core.journal.tables import TABLES, Meta
from tape.core.journal.value_use import PAGE
from tape.core.journal.views import Reader
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import WorkerDied, WorkerMoved, WorkerStarted
from tape.core.kernel.identity import chain_hash, chained_text

FORMAT, VERSION = "tape-bundle", 1
LIMIT_BYTES = 256 << 20
"""Largest bundle, unpacked."""

Row = dict[str, Any]
Tables = dict[str, list[Row]]

COLUMNS: Mapping[str, Mapping[str, tuple[str, bool]]] = {
    str(dialect.table_of(model).name): {
        str(column.name): (str(column.type), bool(column.nullable)) for column in dialect.table_of(model).columns
    }
    for model in TABLES
    if model is not Meta
}
"""Per table and column: the type, and whether it may be null."""
_OF_RUN = tuple(name for name, columns in COLUMNS.items() if "run_no" in columns)
_WORKER_KINDS = tuple(event.kind for event in (WorkerStarted, WorkerMoved, WorkerDied))
SQL: Mapping[str, str] = {
    "bundle_run": "SELECT * FROM run WHERE no = :run_no",
    "bundle_workers": "SELECT * FROM worker WHERE no IN (SELECT value FROM json_each(:numbers)) ORDER BY no",
    "bundle_loose": "SELECT * FROM entry WHERE run_no IS NULL AND kind IN "
    f"({', '.join(repr(kind) for kind in _WORKER_KINDS)}) ORDER BY id",
    "bundle_values": "SELECT * FROM blob WHERE hash IN (SELECT value FROM json_each(:names)) ORDER BY hash",
    **{f"bundle_{name}": f'SELECT * FROM "{name}" WHERE run_no = :run_no' for name in _OF_RUN},
}


def read_bundle(reader: Reader, run_id: str, release: str, *, redact: bool, redact_values: bool) -> dict[str, Any]:
    """Everything that the journal holds about one run, of one moment. Raises NotFound."""
    with reader.snapshot():
        tables = _tables(reader, reader.run(run_id).no)
        if redact or redact_values:
            Redactor(tables, reader.values(), machine=redact, values=redact_values).apply()
            _chain_anew(tables)
    head = {
        "format": FORMAT,
        "version": VERSION,
        "schema": SCHEMA_VERSION,
        "release": release,
        "run": run_id,
        "values": "hashed" if redact_values else "whole",
        "redacted": redact,
    }
    return {**head, "tables": {name: [_shown(row) for row in rows] for name, rows in tables.items()}}


def _tables(reader: Reader, run_no: int) -> Tables:
    values = {"run_no": run_no}
    tables: Tables = {name: reader.records(SQL[f"bundle_{name}"], values) for name in ("run", *_OF_RUN)}
    tables["entry"].sort(key=lambda row: row["id"])
    tables["run"][0]["parent_no"] = None  # numbers mean nothing elsewhere; `run_started` names the parent
    numbers = sorted({row["worker_no"] for name in ("lease", "attempt", "run") for row in tables[name]} - {None})
    tables["worker"] = reader.records(SQL["bundle_workers"], {"numbers": json.dumps(numbers)})
    loose = reader.records(SQL["bundle_loose"])
    tables["entry"] = [*(row for row in loose if _of_workers(row, numbers)), *tables["entry"]]
    tables["blob"] = _values(reader, [name for row in tables["entry"] for name in named_in(row["body"])])
    return tables


def _of_workers(row: Row, numbers: list[int]) -> bool:
    try:
        return orjson.loads(row["body"])["worker"] in numbers
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return False


def _values(reader: Reader, names: list[str]) -> list[Row]:
    """The blobs of these names, and all that they refer to. One that is missing is left out: an import says so."""
    found: dict[str, Row] = {}
    seen: set[str] = set()
    waiting = list(dict.fromkeys(names))
    while waiting:
        part, waiting = waiting[:PAGE], waiting[PAGE:]
        seen.update(part)
        for row in reader.records(SQL["bundle_values"], {"names": json.dumps(part)}):
            found[row["hash"]] = row
            waiting += [name for name in named_in(row["body"]) if name not in seen]
            seen.update(waiting)
    return [found[name] for name in sorted(found)]


def _chain_anew(tables: Tables) -> None:
    head = b""
    for row in tables["entry"]:
        text = chained_text(row["seq"], row["kind"], row["epoch"], row["at_us"], row["body"])
        if row["run_no"] is None:
            row["hash"] = chain_hash(b"", text)
        else:
            head = row["hash"] = chain_hash(head, text)
    tables["run"][0]["head"] = head


def _shown(row: Row) -> Row:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}


# --- the file -------------------------------------------------------------------------------------------------


def pack_bundle(bundle: Mapping[str, Any]) -> bytes:
    """The file's bytes: the same for the same run and release. Raises UsageError for a run that is too large."""
    data = orjson.dumps(bundle)
    if len(data) > LIMIT_BYTES:
        raise UsageError(
            f"{bundle['run']} is {len(data)} bytes; a bundle may have {LIMIT_BYTES}: copy the journal instead"
        )
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def unpack_bundle(data: bytes, shown: str) -> dict[str, Any]:
    """The bundle in a file's bytes: an object of this format and schema; nothing else of it has been looked at.

    Raises UsageError, one line that says what is wrong with the file `shown`.
    """
    bundle = _loaded(_unzipped(data, shown), shown)
    if not isinstance(bundle, dict) or cast("Row", bundle).get("format") != FORMAT:
        raise UsageError(f"{shown} is no bundle: `tape export` writes them")
    known = cast("Row", bundle)
    for name, ours in (("version", VERSION), ("schema", SCHEMA_VERSION)):
        theirs = known.get(name)
        if type(theirs) is not int or theirs < 1:
            raise UsageError(f"{shown}: its {name} is {str(theirs)[:40]!r}, which is no number of one")
        if theirs > ours:
            wrote = f"release {str(known.get('release'))[:40]}"
            raise UsageError(
                f"{shown} was written by {wrote}, with {name} {theirs}; this one reads {ours}: upgrade tape-agents"
            )
        if theirs < ours:
            raise UsageError(
                f"{shown} has {name} {theirs}, this release reads {ours}: export it anew with this release"
            )
    return known


def _unzipped(data: bytes, shown: str) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        raise UsageError(f"{shown} is no bundle: `tape export` writes them")
    unpacker = zlib.decompressobj(31)
    try:
        plain = unpacker.decompress(data, LIMIT_BYTES + 1)
    except zlib.error as error:
        raise UsageError(f"{shown} is damaged: {error}; export it again") from None
    if len(plain) > LIMIT_BYTES:
        raise UsageError(f"{shown} is over {LIMIT_BYTES >> 20} MiB unpacked: no bundle is")
    if not unpacker.eof:
        raise UsageError(f"{shown} is truncated: copy or export it again")
    if unpacker.unused_data:
        raise UsageError(f"{shown} goes on behind its end: it is no bundle, or two of them")
    return plain


def _loaded(plain: bytes, shown: str) -> Any:
    try:
        return orjson.loads(plain)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{shown} is no bundle: it is not JSON ({error.msg} at {error.pos})") from None
