"""For how long runs are kept after their end: what tape.yaml's `retention` and `tape gc --keep` say."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tape.core.kernel.errors import UsageError

KINDS = ("terminal", "failed", "cancelled")
"""The ends of a run, as people write them."""

Retention = Mapping[str, int]
"""Microseconds after the end, by kind of end; runs that end otherwise are kept for ever."""

_AGE = r"([0-9]{1,6})(s|m|h|d)"
_UNIT_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


def parse_age(text: str) -> int | None:
    """Microseconds of `30d`, `12h`, `90m` or `0s`; None for anything else."""
    found = re.fullmatch(_AGE, text)
    return None if found is None else int(found[1]) * _UNIT_US[found[2]]


def parse_keep(text: str) -> dict[str, int]:
    """The value of `--keep`: `terminal=30d,failed=90d`. Raises UsageError."""
    kept: dict[str, int] = {}
    for part in text.split(","):
        kind, separator, age = (piece.strip() for piece in part.partition("="))
        kept_us = parse_age(age)
        if kind not in KINDS or not separator or kept_us is None:
            raise UsageError(f"--keep cannot be {part[:80]!r}: write terminal=30d,failed=90d,cancelled=90d")
        if kind in kept:
            raise UsageError(f"--keep says {kind} twice: keep one of them")
        kept[kind] = kept_us
    return kept
