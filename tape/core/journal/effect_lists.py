"""Lists of effects over all runs, and what the journal says about single idempotency keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tape.core.journal.lists import OF_EFFECTS, OPEN_EFFECT, Fetch
from tape.core.journal.shapes import DutyFacts, EffectRef, KeyFacts

WALKS = (2_000, 20_000)
"""How many of the newest entries are looked at for effects; more only if the first walk does not find enough."""

_PICKED = "effect.run_no, run.id AS run_id, effect.key, effect.begun_id, effect.ended_id"
_TOUCHED = "max(effect.begun_id, coalesce(effect.ended_id, 0))"
# The times come from the entries, which are looked up for those rows only that are shown.
_REF = """
SELECT picked.run_id, picked.key, effect.tool, effect.status, effect.attempts, effect.resolution, effect.writer,
       effect.step, coalesce(begun.at_us, effect.first_us), ended.at_us
FROM ({picked}) AS picked CROSS JOIN effect ON effect.run_no = picked.run_no AND effect.key = picked.key
LEFT JOIN entry AS begun ON begun.id = picked.begun_id LEFT JOIN entry AS ended ON ended.id = picked.ended_id
ORDER BY picked.touched DESC, picked.key
"""
_ACTED = "effect.inherited = 0 AND run.quarantine = 0"
"""What a fork took over with its tape, and what it does in quarantine, is no act of its own."""
_DUTIES = """
LEFT JOIN obligation ON obligation.run_no = effect.run_no
  AND obligation.key > effect.key || '/undo/' AND obligation.key < effect.key || '/undo0'
"""
_DUTY_COLUMNS = "obligation.key, obligation.status, obligation.act <> '', obligation.attempts"

SQL: Mapping[str, str] = {
    "open_effects": _REF.format(
        picked=f"SELECT {_PICKED}, effect.begun_id AS touched FROM {OF_EFFECTS} WHERE {OPEN_EFFECT} "
        "ORDER BY touched DESC LIMIT :limit"
    ),
    "recent_effects": _REF.format(
        picked=f"SELECT {_PICKED}, {_TOUCHED} AS touched FROM (SELECT DISTINCT run_no FROM entry NOT INDEXED "
        "WHERE id > :floor AND kind IN ('effect_begun', 'effect_ended')) AS told "
        "CROSS JOIN run ON run.no = told.run_no CROSS JOIN effect ON effect.run_no = run.no "
        f"WHERE {_TOUCHED} > :floor ORDER BY {_TOUCHED} DESC LIMIT :limit"
    ),
    "newest_entry": "SELECT coalesce(max(id), 0) FROM entry",
    "key_facts": f"SELECT wanted.value, effect.tool, effect.status, effect.resolution, {_DUTY_COLUMNS} "
    "FROM json_each(:keys) AS wanted "
    "CROSS JOIN run ON run.id = substr(wanted.value, 1, instr(wanted.value, '/') - 1) "
    f"LEFT JOIN effect ON effect.run_no = run.no AND effect.key = wanted.value AND {_ACTED} {_DUTIES}",
    "tool_facts": f"SELECT effect.key, effect.tool, effect.status, effect.resolution, {_DUTY_COLUMNS} "
    f"FROM effect CROSS JOIN run ON run.no = effect.run_no {_DUTIES} "
    f"WHERE effect.run_no > :after_no AND effect.run_no <= :until_no AND {_ACTED} "
    "AND effect.tool IN (SELECT value FROM json_each(:tools))",
}


def open_effects(fetch: Fetch, limit: int) -> list[EffectRef]:
    return [EffectRef(*row) for row in fetch(SQL["open_effects"], {"limit": limit})]


def recent_effects(fetch: Fetch, limit: int) -> list[EffectRef]:
    newest: int = fetch(SQL["newest_entry"], {})[0][0]
    found: list[EffectRef] = []
    for walk in WALKS:
        floor = max(0, newest - walk)
        found = [EffectRef(*row) for row in fetch(SQL["recent_effects"], {"floor": floor, "limit": limit})]
        if len(found) >= limit or not floor:
            break
    return found


def key_facts(fetch: Fetch, keys: Iterable[str]) -> list[KeyFacts]:
    return _facts(fetch(SQL["key_facts"], {"keys": json.dumps([*keys])}))


def tool_facts(fetch: Fetch, tools: Iterable[str], after_no: int, until_no: int) -> list[KeyFacts]:
    values = {"tools": json.dumps([*tools]), "after_no": after_no, "until_no": until_no}
    return _facts(fetch(SQL["tool_facts"], values))


def _facts(rows: Iterable[tuple[Any, ...]]) -> list[KeyFacts]:
    """One row per duty, or one with empty columns for a key without any."""
    facts: dict[str, KeyFacts] = {}
    duties: dict[str, list[tuple[int, DutyFacts]]] = {}
    for key, tool, status, resolution, duty_key, duty_status, surplus, attempts in rows:
        facts[key] = KeyFacts(key, tool or "", status or "", resolution or "")
        if duty_key is not None:
            number = int(duty_key.rpartition("/")[2])
            duties.setdefault(key, []).append((number, DutyFacts(duty_status, bool(surplus), attempts)))
    for key, owed in duties.items():
        known = facts[key]
        owed.sort(key=lambda duty: duty[0])
        facts[key] = KeyFacts(known.key, known.tool, known.status, known.resolution, tuple(duty for _, duty in owed))
    return [*facts.values()]
