"""What only a person can settle: stuck runs, effects and obligations, open conflicts, open gates; each once.

A run that is STUCK over an effect or an obligation is not listed beside it: settling that takes it on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from tape.core.journal.blobs import SQL as BLOB_SQL
from tape.core.journal.blobs import LostValue, Values
from tape.core.journal.commands import answer_commands, budget_commands, close_command, look_commands, resolve_commands
from tape.core.journal.lists import OF_DUTIES, OF_EFFECTS, OPEN, OPEN_DUTY, OPEN_EFFECT, Fetch
from tape.core.journal.shapes import Need, NeedKind
from tape.core.kernel.events import Json
from tape.core.kernel.hidden import visible
from tape.core.kernel.lifecycle import RunStatus
from tape.core.render import amount

DIVERGED = "the code does not fit the tape: recorded "
CHANGED = "; since decision "
STORY_LIMIT = 1_000
"""How many of a run's newest story entries are looked at for the reason and the commands."""

_BEGUN = "JOIN entry AS begun ON begun.id = effect.begun_id"
SQL: Mapping[str, str] = {
    "stuck_runs": "SELECT run.no, run.id, run.agent, run.error, run.updated_us FROM run INDEXED BY run_open "
    f"WHERE {OPEN} AND run.status = 'STUCK' ORDER BY run.no DESC LIMIT :limit",
    "stuck_effects": "SELECT run.no, run.id, run.agent, run.error, run.updated_us, effect.key, effect.tool, begun.body "
    f"FROM {OF_EFFECTS} {_BEGUN} WHERE {OPEN_EFFECT} AND effect.step = 'person' "
    "ORDER BY effect.begun_id DESC LIMIT :limit",
    "stuck_duties": "SELECT run.no, run.id, run.agent, obligation.why, run.updated_us, obligation.key, effect.tool, "
    f"begun.body FROM {OF_DUTIES} "
    f"JOIN effect ON effect.run_no = run.no AND effect.key = obligation.effect_key {_BEGUN} "
    f"WHERE {OPEN_DUTY} AND obligation.status = 'STUCK' ORDER BY run.no DESC, obligation.position DESC LIMIT :limit",
    "open_conflicts": "SELECT run.no, run.id, run.agent, conflict.why, conflict.opened_us, conflict.key, effect.tool, "
    "begun.body, conflict.evidence FROM conflict JOIN run ON run.no = conflict.run_no "
    f"LEFT JOIN effect ON effect.run_no = run.no AND effect.key = conflict.key LEFT {_BEGUN} "
    "WHERE conflict.closed_us IS NULL ORDER BY conflict.no DESC LIMIT :limit",
    "open_gates": "SELECT run.no, run.id, run.agent, gate.opened_us, gate.name, gate.ordinal, gate.prompt, "
    f"gate.options, gate.approves, gate.deadline_us, gate.on_timeout FROM run INDEXED BY run_open "
    "CROSS JOIN gate ON gate.run_no = run.no "
    f"WHERE {OPEN} AND gate.status = 'OPEN' ORDER BY gate.opened_us DESC, run.no DESC LIMIT :limit",
    "awaited_caps": "SELECT run.id, run.agent, cap_wait.place, cap_wait.asked, cap_wait.since_us, payer.id, "
    "budget.unit, budget.cap, budget.spent, budget.reserved FROM cap_wait JOIN run ON run.no = cap_wait.run_no "
    "JOIN run AS payer ON payer.no = cap_wait.purse_no "
    "JOIN budget ON budget.run_no = cap_wait.purse_no AND budget.unit = cap_wait.unit "
    "WHERE cap_wait.status = 'OPEN' AND run.status IN ('WAITING', 'RUNNING') "
    "AND budget.spent + budget.reserved + cap_wait.asked > budget.cap "
    "ORDER BY cap_wait.since_us DESC, run.no DESC LIMIT :limit",
    "story": "SELECT kind, at_us, body FROM (SELECT id, kind, at_us, body FROM entry "
    "WHERE run_no = :run_no AND seq IS NULL ORDER BY id DESC LIMIT :limit) "
    "WHERE kind IN ('run_moved', 'effect_doubted', 'observed', 'obligation_moved') ORDER BY id DESC",
    "attempts_of": "SELECT what, number, by, how, evidence FROM attempt "
    "WHERE run_no = :run_no AND key = :key ORDER BY started_us, what, number",
}


@dataclass(slots=True)
class _Story:
    """What a run's newest story entries tell: why it is STUCK, and the newest word on each key."""

    commands: tuple[str, ...] = ()
    since_us: int = 0
    rows: dict[str, str] = field(default_factory=lambda: {})
    times: dict[str, int] = field(default_factory=lambda: {})


def needs(fetch: Fetch, limit: int) -> list[Need]:
    values = {"limit": limit}
    stories: dict[int, _Story] = {}

    def story(run_no: int) -> _Story:
        if run_no not in stories:
            stories[run_no] = _story(fetch(SQL["story"], {"run_no": run_no, "limit": STORY_LIMIT}))
        return stories[run_no]

    found: list[Need] = []
    for kind, name in ((NeedKind.EFFECT, "stuck_effects"), (NeedKind.OBLIGATION, "stuck_duties")):
        for row in fetch(SQL[name], values):
            found.append(_of_key(fetch, kind, row, story(row[0])))
    listed = {(need.run_id, need.key) for need in found}
    for row in fetch(SQL["stuck_runs"], values):
        if not any(run_id == row[1] and key in row[3] for run_id, key in listed):
            found.append(_of_run(row, story(row[0])))
    found += [_of_conflict(fetch, row) for row in fetch(SQL["open_conflicts"], values)]
    found += [_of_gate(row) for row in fetch(SQL["open_gates"], values)]
    found += [_of_cap(row) for row in fetch(SQL["awaited_caps"], values)]
    found.sort(key=lambda need: need.since_us, reverse=True)
    return found[:limit]


def _of_key(fetch: Fetch, kind: NeedKind, row: tuple[Any, ...], story: _Story) -> Need:
    run_no, run_id, agent, why, updated_us, key, tool, begun = row
    if kind is NeedKind.EFFECT:
        why = f"only a person can know whether {key} happened"
    attempts = fetch(SQL["attempts_of"], {"run_no": run_no, "key": key})
    return Need(
        kind=kind,
        run_id=run_id,
        agent=agent,
        key=key,
        tool=tool,
        args=_args(fetch, begun),
        evidence=[
            {"what": what, "number": number, "by": by, "how": how, "evidence": _json(evidence)}
            for what, number, by, how, evidence in attempts
        ],
        why=why,
        row=story.rows.get(key, ""),
        commands=resolve_commands(key),
        since_us=story.times.get(key) or updated_us,
    )


def _of_run(row: tuple[Any, ...], story: _Story) -> Need:
    _, run_id, agent, why, updated_us = row
    recorded, asked = sides(why)
    return Need(
        kind=NeedKind.RUN,
        run_id=run_id,
        agent=agent,
        key="",
        tool="",
        args=None,
        evidence=None,
        why=why,
        row="",
        commands=story.commands or look_commands(run_id),
        since_us=story.since_us or updated_us,
        recorded=recorded,
        asked=asked,
    )


def _of_conflict(fetch: Fetch, row: tuple[Any, ...]) -> Need:
    _, run_id, agent, why, opened_us, key, tool, begun, evidence = row
    return Need(
        kind=NeedKind.CONFLICT,
        run_id=run_id,
        agent=agent,
        key=key,
        tool=tool or "",
        args=_args(fetch, begun),
        evidence=_json(evidence),
        why=why,
        row="",
        commands=(*look_commands(run_id), close_command(key)),
        since_us=opened_us,
    )


def _of_gate(row: tuple[Any, ...]) -> Need:
    _, run_id, agent, opened_us, name, ordinal, prompt, options, approves, deadline_us, on_timeout = row
    bound = cast("dict[str, Json]", _json(approves) or {})
    listed = tuple(cast("list[str]", _json(options)))
    return Need(
        kind=NeedKind.GATE,
        run_id=run_id,
        agent=agent,
        key=f"gate {name} {ordinal}",
        tool=bound.get("tool", ""),
        args=visible(bound.get("args"), bound.get("hidden")),
        evidence=None,
        why=prompt or f"gate {name} {ordinal} waits for an answer",
        row="",
        commands=answer_commands(run_id, name, ordinal, listed),
        since_us=opened_us,
        gate=name,
        ordinal=ordinal,
        prompt=prompt,
        options=listed,
        args_hash=bound.get("args_hash", ""),
        deadline_us=deadline_us,
        on_timeout=on_timeout,
    )


def _of_cap(row: tuple[Any, ...]) -> Need:
    run_id, agent, place, asked, since_us, budget, unit, cap, spent, reserved = row
    left = max(0, cap - spent - reserved)
    whose = "" if budget == run_id else f", in the budget of {budget}"
    return Need(
        kind=NeedKind.BUDGET,
        run_id=run_id,
        agent=agent,
        key=place,
        tool=place.split("/", 3)[3] if "/" in place else "",
        args=None,
        evidence=None,
        why=f"{place.removeprefix(f'{run_id}/')} may take {amount(unit, asked)}, and {amount(unit, left)} are left of "
        f"{amount(unit, cap)}{whose}",
        row="",
        commands=budget_commands(run_id, budget, unit, spent + reserved + asked),
        since_us=since_us,
        budget=budget,
        unit=unit,
        most=asked,
        cap=cap,
        spent=spent,
        reserved=reserved,
    )


def sides(why: str) -> tuple[str, str]:
    """Both sides of a run that does not fit its tape: what is recorded, what the code does. Empty for other reasons.
    What the code asks is given bare; where it ended instead, it says `returned` or `raised ...`."""
    if not why.startswith(DIVERGED):
        return "", ""
    recorded, asks, asked = why.removeprefix(DIVERGED).partition(" | the code asks ")
    if not asks:
        recorded, _, asked = why.removeprefix(DIVERGED).partition(" | the code ")
    return recorded, asked.partition(CHANGED)[0]


def _story(rows: Iterable[tuple[Any, ...]]) -> _Story:
    """`rows` from the newest; the first word on anything counts."""
    story = _Story()
    for kind, at_us, text in rows:
        body = _json(text)
        if not isinstance(body, dict):
            continue
        told = cast("dict[str, Json]", body)
        if kind == "run_moved":
            if not story.since_us and told.get("status") == RunStatus.STUCK:
                story.commands, story.since_us = tuple(told.get("commands") or ()), at_us
        else:
            key = str(told.get("key"))
            if told.get("row"):
                story.rows.setdefault(key, str(told["row"]))
            story.times.setdefault(key, at_us)
    return story


def _args(fetch: Fetch, begun: str | None) -> Json:
    body = _json(begun)
    if not isinstance(body, dict):
        return None

    def body_of(name: str) -> str | None:
        found = fetch(BLOB_SQL["blob"], {"hash": name})
        return found[0][0] if found else None

    try:
        known = Values(body_of).fill(cast("dict[str, Json]", body), lost=True)
    except LostValue as error:
        return str(error)
    return visible(known.get("args"), known.get("hidden"))


def _json(text: str | None) -> Json:
    """The value of a JSON column; empty means none, damaged text is shown as it is."""
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return text
