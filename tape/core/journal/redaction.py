"""What a bundle does not tell: machine, people and processes, and if wanted all values.

The same thing gets the same placeholder within a bundle (`host-1`, `user-1`, `nonce-1`, 1001 for a pid), so that the
story stays readable. What an agent got and gave (inputs, arguments, results, requests, replies) is needed for replay
and stays, unless values are redacted too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import orjson

from tape.core.journal.blobs import LostValue, Values
from tape.core.kernel.events import TAPE_KINDS, EffectBegun, Json
from tape.core.kernel.hidden import identified
from tape.core.kernel.identity import canonical_text, hash_text

Row = dict[str, Any]

_NAMED = {"actor": "user", "host": "host", "boot_id": "boot", "nonce": "nonce"}
_FIRST_PID = 1001
_PID_IN_TEXT = re.compile(r"\b(pid|reconciler|outbox|compensation) (\d+)")
_TEXT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "run": ("error", "waiting_on"),
    "effect": ("claim_by",),
    "obligation": ("claim_by", "why"),
    "attempt": ("by", "how", "evidence"),
    "lease": ("why",),
    "gate": ("reason",),
    "cap_wait": ("reason",),
    "conflict": ("why", "evidence"),
    "order": ("args", "reason"),
    "worker": ("how",),
}
_VALUE_FIELDS = frozenset(
    {"input", "request", "reply", "error", "args", "result", "value", "approves", "detail", "evidence"}
)
_VALUE_TEXTS = frozenset(
    {"result_error", "business_key", "start_key", "prompt", "answer", "reason", "on_timeout", "why"}
)
_VALUE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "run": ("error", "start_key"),
    "effect": ("business_key",),
    "obligation": ("act", "why"),
    "attempt": ("evidence",),
    "gate": ("prompt", "approves", "answer", "reason", "on_timeout"),
    "cap_wait": ("reason",),
    "conflict": ("why", "evidence"),
    "order": ("args", "reason"),
}
_JSON_COLUMNS = frozenset({"act", "evidence", "args", "approves"})


def placeholder(value: Json) -> Json:
    """A value's type and hash, in its place."""
    kinds = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return {"redacted": kinds[type(value)], "hash": hash_text(canonical_text(value))}


def hash_behind(value: Json) -> str | None:
    """The hash of the value that a placeholder stands for; None for any other value."""
    if isinstance(value, dict):
        fields = cast("dict[str, Json]", value)
        if fields.keys() == {"redacted", "hash"} and isinstance(fields["hash"], str):
            return fields["hash"]
    return None


class Redactor:
    """Redacts the rows of a bundle in place. `machine`: hosts, people, processes; `values`: all values."""

    def __init__(self, tables: dict[str, list[Row]], filled: Values, *, machine: bool, values: bool) -> None:
        self._tables = tables
        self._filled = filled
        self._machine = machine
        self._values = values
        self._known: dict[tuple[str, str], str] = {}
        self._pids: dict[int, int] = {}
        self._named: dict[str, str] = {}
        self._texts: re.Pattern[str] | None = None

    def apply(self) -> None:
        bodies = [self._body(row) for row in self._tables["entry"]]
        if self._values:
            self._hide_values(bodies)
        if self._machine:
            self._hide_machine(bodies)
        for row, body in zip(self._tables["entry"], bodies, strict=True):
            if body is not None:
                row["body"] = orjson.dumps(body).decode()

    def _body(self, row: Row) -> dict[str, Json] | None:
        try:
            body = orjson.loads(row["body"])
            if not isinstance(body, dict):
                return None
            known = cast("dict[str, Json]", body)
            return self._filled.fill(known, lost=True) if self._values else known
        except (orjson.JSONDecodeError, LostValue):
            return None

    # --- machine --------------------------------------------------------------------------------------------------

    def _hide_machine(self, bodies: list[dict[str, Json] | None]) -> None:
        rows = [row for name, rows in self._tables.items() if name != "entry" for row in rows]
        told = [body for body in bodies if body is not None]
        for part in (*rows, *told):
            self._name(part)
        self._named = {original: shown for (_, original), shown in self._known.items()}
        originals = sorted(self._named, key=len, reverse=True)
        words = "|".join(re.escape(text) for text in originals if len(text) > 2)
        self._texts = re.compile(rf"(?<![\w.-])(?:{words})(?![\w-])") if words else None
        for name, columns in _TEXT_COLUMNS.items():
            for row in self._tables.get(name, []):
                row |= {column: self._column(column, row[column]) for column in columns if row[column]}
        for row in rows:
            row |= {column: 0 for column in row if column.endswith("_boot_us")}
        for row, body in zip(self._tables["entry"], bodies, strict=True):
            if body is not None and row["kind"] not in TAPE_KINDS:
                body |= {field: self._inside(part) for field, part in body.items() if field not in ("key", "tool")}

    def _name(self, part: dict[str, Json]) -> None:
        """Puts placeholders into the fields whose names say what they hold."""
        for field, value in part.items():
            if field == "pid" and type(value) is int:
                part[field] = self._pid(value)
            elif field == "start_ticks":
                part[field] = 0
            elif field in _NAMED and isinstance(value, str) and value:
                part[field] = self._placeholder(_NAMED[field], value)
                if field == "actor" and "@" in value:
                    self._placeholder("host", value.rpartition("@")[2])

    def _placeholder(self, kind: str, original: str) -> str:
        count = sum(known == kind for known, _ in self._known)
        return self._known.setdefault((kind, original), f"{kind}-{count + 1}")

    def _pid(self, pid: int) -> int:
        return self._pids.setdefault(pid, _FIRST_PID + len(self._pids)) if pid else 0

    def _text(self, text: str) -> str:
        if self._texts is not None:
            text = self._texts.sub(lambda found: self._named[found[0]], text)
        return _PID_IN_TEXT.sub(lambda found: f"{found[1]} {self._pid(int(found[2]))}", text)

    def _column(self, column: str, text: str) -> str:
        if column not in _JSON_COLUMNS:
            return self._text(text)
        try:
            return orjson.dumps(self._inside(orjson.loads(text))).decode()
        except orjson.JSONDecodeError:
            return self._text(text)

    def _inside(self, value: Json) -> Json:
        """The same for all texts of a story entry's field, and pids in an order's arguments."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._inside(part) for part in cast("list[Json]", value)]
        if isinstance(value, dict):
            parts = {key: self._inside(part) for key, part in cast("dict[str, Json]", value).items()}
            if type(parts.get("pid")) is int:
                parts["pid"] = self._pid(parts["pid"])
            return parts
        return value

    # --- values ---------------------------------------------------------------------------------------------------

    def _hide_values(self, bodies: list[dict[str, Json] | None]) -> None:
        for row, body in zip(self._tables["entry"], bodies, strict=True):
            if body is None:
                row["body"] = "{}"
                continue
            args, hidden = body.get("args"), body.get("hidden")
            for field, value in body.items():
                if field in _VALUE_FIELDS and value is not None:
                    body[field] = placeholder(value)
                elif field in _VALUE_TEXTS and isinstance(value, str) and value:
                    body[field] = _hidden(value)
            if row["kind"] == EffectBegun.kind and hidden:
                body |= {"args": None if args is None else _args(args, hidden), "hidden": None}
        for name, columns in _VALUE_COLUMNS.items():
            for row in self._tables.get(name, []):
                row |= {column: _column(column, row[column]) for column in columns if row[column]}
        self._tables["blob"] = []


def _args(args: Json, hidden: Json) -> Json:
    """Of a call with hidden arguments the hash says what `args_hash` does; which were hidden, and how, goes too."""
    return {**placeholder(args), "hash": placeholder(identified(args, hidden))["hash"]}


def _hidden(text: str) -> str:
    return f"redacted:{hash_text(text)}"


def _column(column: str, text: str) -> str:
    if column not in _JSON_COLUMNS:
        return _hidden(text)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _hidden(text)
    return text if value is None else orjson.dumps(placeholder(value)).decode()
