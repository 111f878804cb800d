"""Identity: canonical JSON, argument hashes and idempotency keys. Derived, never random (contract.md section 1)."""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast

from tape.core.kernel.errors import UsageError
from tape.core.kernel.hidden import identified

RECORD_LIMIT_BYTES = 1 << 20
"""Largest result or argument list on the tape (api.md section 1)."""

INT_LIMIT = 1 << 63
"""Integers beyond 64 bits do not survive every JSON reader; the wire's codec refuses them."""

BEFORE_FIRST_DECISION = "-"


def canonical_json(value: Any) -> str:
    """One text per JSON value: sorted keys, no spaces, `1` is not `1.0` is not `true`.

    Raises UsageError for what JSON cannot hold: NaN, infinities, lone surrogates, keys that are not strings,
    integers beyond 64 bits, other types.
    """
    check_json(value)
    return canonical_text(value)


def canonical_text(value: Any) -> str:
    """The same text of a value that is known to be strict JSON. Raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def check_json(value: Any, path: str = "$", depth: int = 0) -> None:
    """Raises UsageError at the first part of `value` that is not strict JSON, naming its path."""
    if value is None or value is True or value is False:
        return
    kind = cast("type[object]", type(value))
    if kind is str:
        if not value.isascii():
            _check_text(value, path)
    elif kind is int:
        if not -INT_LIMIT <= value < INT_LIMIT:
            raise UsageError(f"{path}: an integer beyond 64 bits cannot be recorded; pass it as text")
    elif kind is float:
        if value != value or value in (float("inf"), float("-inf")):
            raise UsageError(f"{path}: {value} is not JSON; pass a finite number or null")
    elif depth > 200:
        raise UsageError(f"{path}: nested deeper than 200 levels")
    elif kind is list:
        for index, item in enumerate(value):
            check_json(item, f"{path}[{index}]", depth + 1)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise UsageError(f"{path}: the key {key!r} is not a string")
            if not key.isascii():
                _check_text(key, path)
            check_json(item, f"{path}.{key}", depth + 1)
    else:
        raise UsageError(f"{path}: {kind.__name__} is not JSON")


def _check_text(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"{path}: text with a lone surrogate at character {error.start} cannot be recorded") from None


def hash_text(text: str) -> str:
    """First 128 bits of SHA-256, as 32 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def hash_json(value: Any) -> str:
    """Hash of the canonical JSON of `value`."""
    return hash_text(canonical_json(value))


def hash_args(args: Any, hidden: Any = None) -> str:
    """Hash of a call's arguments with what is hidden in them."""
    return hash_json(identified(args, hidden))


def fingerprint(kind: str, name: str, request: Any) -> str:
    """What a step asked for, compared with its record on replay (contract.md section 5)."""
    return hash_json([kind, name, request])


def fingerprint_as(kind: str, name: str, request: Any, run_id: str, earlier: str) -> str:
    """The fingerprint that the same request had in the run `earlier`, whose id stood where this one's stands now."""
    return hash_text(canonical_json([kind, name, request]).replace(run_id, earlier))


def effect_key(run_id: str, decision_index: int | None, call_ordinal: int, tool: str) -> str:
    """The idempotency key: `run/decision_index/call_ordinal/tool`; before the first decision the index is `-`."""
    index = BEFORE_FIRST_DECISION if decision_index is None else str(decision_index)
    return f"{run_id}/{index}/{call_ordinal}/{tool}"


def undo_key(key: str, number: int) -> str:
    """Key of the n-th duty to undo an act of `key`, counted from 1."""
    return f"{key}/undo/{number}"


def chain_hash(previous: bytes, entry_text: str) -> bytes:
    """h(n) over h(n-1) and entry n: SHA-256, 32 bytes (invariant I3)."""
    return hashlib.sha256(previous + entry_text.encode("utf-8")).digest()


def chained_text(seq: int | None, kind: str, epoch: int, at_us: int, body: str) -> str:
    """The text of an entry that its hash covers."""
    return f"{'' if seq is None else seq}|{kind}|{epoch}|{at_us}|{body}"


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
RUN_ID_EPOCH_MS = 1_577_836_800_000  # 2020-01-01: 40 bits of milliseconds last until 2054


def run_id(at_ms: int, random_bits: int) -> str:
    """`r-` and 12 lower-case characters: 8 of time (sortable), 4 of randomness (20 bits)."""
    number = ((at_ms - RUN_ID_EPOCH_MS) % (1 << 40)) << 20 | (random_bits & 0xFFFFF)
    return "r-" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(55, -1, -5))
