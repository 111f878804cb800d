"""Judges contract.md section 6 from what is left on disk, and shares no code with the runtime.

Four witnesses: J, the journal (read-only SQL of its own); U, the upstreams' ledgers; M, the questions that the model
was asked; H, the bodies that were entered and left. I15, which only other suites can see, is not here.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RUN_ENDS = {"TERMINAL", "FAILED", "CANCELLED"}
EFFECT_ENDS = {"CONFIRMED", "FAILED"}
DUTY_ENDS = {"DONE", "DROPPED"}
OWED = {"DUE", "CLAIMED", "STUCK"}
AFTER_THE_END = {
    "write_refused", "conflict_opened", "conflict_closed", "point_reached", "order_placed", "fork_promoted",
}  # fmt: skip
OF_WHAT_IS_LEFT = {
    "effect_ended", "effect_doubted", "observed", "attempt_started", "attempt_ended", "claimed", "claim_ended",
    "obligation_moved", "charge", "budget_overrun",
}  # fmt: skip
"""What the story of an effect goes on with after the end of a run that does not wait for it."""
BY_AGENT = {
    "decision", "charge", "effect_begun", "sample", "timer_set", "gate_opened", "attached", "model_asked",
    "budget_awaited", "budget_refused",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One violation: of which invariant, in which run, and what was seen."""

    rule: str
    run: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule} {self.run}: {self.what}"


@dataclass(frozen=True)
class Promise:
    """What the test knows and the witnesses do not: tools whose declarations are not true, or that act more or less
    than once per body; whether everything should have come to rest; the recovery's policy."""

    untrue: frozenset[str] = frozenset()
    at_rest: bool = True
    first_backoff_us: int = 0
    longest_backoff_us: int = 0
    stuck_after: int = 5


@dataclass(frozen=True)
class Evidence:
    journal: Path
    ledgers: tuple[Path, ...] = ()
    questions: Path | None = None
    bodies: Path | None = None


@dataclass
class Story:
    """One run as the journal tells it."""

    row: dict[str, Any]
    entries: list[dict[str, Any]]
    effects: dict[str, dict[str, Any]]
    duties: dict[str, dict[str, Any]]
    attempts: list[dict[str, Any]]
    leases: list[dict[str, Any]]
    timers: list[dict[str, Any]]
    gates: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]
    budget: list[dict[str, Any]] = field(default_factory=list)
    reservations: list[dict[str, Any]] = field(default_factory=list)
    cap_waits: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.row["id"]

    @property
    def left(self) -> set[str]:
        """The effects that the run left to themselves: it does not wait for their end."""
        return {entry["body"]["key"] for entry in self.of("effect_begun") if not entry["body"].get("awaited", True)}

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["kind"] in kinds]


@dataclass
class Witnesses:
    stories: list[Story]
    service: list[dict[str, Any]]
    acts: dict[str, list[dict[str, Any]]]
    questions: list[dict[str, Any]]
    bodies: list[dict[str, Any]]
    deaths: dict[int, list[int]] = field(default_factory=dict)


def judge(evidence: Evidence, promise: Promise | None = None) -> list[Finding]:
    """Everything that is wrong; an empty list is the verdict that a test hopes for."""
    promise = promise or Promise()
    seen = read(evidence)
    findings: list[Finding] = []
    for rule in RULES:
        for story in seen.stories:
            findings += [Finding(_label(rule), story.id, what) for what in rule(story, seen, promise)]
    for rule in WHOLE:
        findings += [Finding(_label(rule), "-", what) for what in rule(seen, promise)]
    return findings


def _label(rule: Any) -> str:
    return rule.__name__.split("_")[0].upper()


# --- reading ------------------------------------------------------------------------------------------------------


def read(evidence: Evidence) -> Witnesses:
    with closing(sqlite3.connect(f"file:{evidence.journal}?mode=ro", uri=True)) as journal:
        journal.row_factory = sqlite3.Row
        journal.execute("BEGIN")

        def rows(sql: str, *values: Any) -> list[dict[str, Any]]:
            return [dict(row) for row in journal.execute(sql, values)]

        stories = [_story(rows, run) for run in rows("SELECT * FROM run ORDER BY no")]
        service = [_entry(row) for row in rows("SELECT * FROM entry WHERE run_no IS NULL ORDER BY id")]
    acts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for ledger in evidence.ledgers:
        for key, found in _ledger(ledger).items():
            acts[key] += found
    deaths: dict[int, list[int]] = defaultdict(list)
    for entry in service:
        if entry["kind"] == "worker_died":
            deaths[entry["body"]["pid"]].append(entry["at_us"])
    return Witnesses(stories, service, acts, lines(evidence.questions), lines(evidence.bodies), deaths)


def _story(rows: Any, run: dict[str, Any]) -> Story:
    number = run["no"]

    def mine(table: str) -> list[dict[str, Any]]:
        return rows(f"SELECT * FROM {table} WHERE run_no = ?", number)

    return Story(
        row=run,
        entries=[_entry(row) for row in rows("SELECT * FROM entry WHERE run_no = ? ORDER BY id", number)],
        effects={row["key"]: row for row in mine("effect")},
        duties={row["key"]: row for row in mine("obligation")},
        attempts=mine("attempt"),
        leases=sorted(mine("lease"), key=lambda row: row["epoch"]),
        timers=mine("timer"),
        gates=mine("gate"),
        conflicts=mine("conflict"),
        budget=mine("budget"),
        reservations=mine("reservation"),
        cap_waits=mine("cap_wait"),
    )


def _entry(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "text": row["body"], "body": json.loads(row["body"])}


def lines(path: Path | None) -> list[dict[str, Any]]:
    """What processes have noted before they went on. A line that a kill has torn was never finished: nothing followed
    it in that process."""
    found: list[dict[str, Any]] = []
    for line in path.read_text().splitlines() if path is not None and path.exists() else []:
        with suppress(ValueError):
            found += [json.loads(line)] if line else []
    return found


def _ledger(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Acts by key, oldest first, with `undone` as the undo lines say; a torn last line was never answered."""
    acts: dict[str, dict[str, Any]] = {}
    text = path.read_text() if path.exists() else ""
    for number, line in enumerate(text.split("\n")):
        if not line:
            continue
        try:
            event = json.loads(line)
        except ValueError:
            assert number == text.count("\n"), f"{path}: line {number + 1} is torn"
            continue
        if event["event"] == "act":
            acts[event["id"]] = {**event, "undone": False}
        else:
            acts[event["id"]] |= {"undone": True, "undone_at": event["at"], "undo_order": number}
    by_key: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for act in acts.values():
        by_key[act["key"] or ""].append(act)
    return by_key


# --- the rules ----------------------------------------------------------------------------------------------------


def i1_once(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """At most one act not undone per key, exactly one for CONFIRMED, none for FAILED; or an open conflict says so."""
    retried = _retried_by_person(story)
    conflicts = {conflict["key"] for conflict in story.conflicts if conflict["closed_us"] is None}
    for key, effect in story.effects.items():
        if key in retried or effect["tool"] in promise.untrue:
            continue
        if effect["inherited"] or story.row["quarantine"]:
            acts = seen.acts.get(key, [])
            if acts or any(line["key"] == key for line in seen.bodies):
                yield f"{key}: {len(acts)} acts of an effect that was taken over, or is in quarantine"
            continue
        standing = [act for act in seen.acts.get(key, []) if not act["undone"]]
        duties = [duty for duty in story.duties.values() if duty["effect_key"] == key]
        if len(standing) > 1 and key not in conflicts and not any(duty["status"] in OWED for duty in duties):
            yield f"{key}: the upstream holds {len(standing)} acts, and nobody says so"
        decided = effect["resolution"] == "decided"
        undone = any(duty["status"] == "DONE" and not duty["act"] for duty in duties)
        doubtful = any(duty["status"] in OWED and not duty["act"] for duty in duties)
        if effect["status"] == "CONFIRMED" and effect["semantics"] != "read_only" and not decided:
            if undone and standing:
                yield f"{key}: its undo is DONE, and the upstream holds {len(standing)}"
            elif not undone and not doubtful and not standing:
                yield f"{key}: CONFIRMED, and the upstream holds nothing"
        if effect["status"] == "FAILED" and standing and not decided and key not in conflicts:
            yield f"{key}: FAILED, and the upstream holds {len(standing)}"


def _retried_by_person(story: Story) -> set[str]:
    return {
        entry["body"]["args"]["key"]
        for entry in story.of("order_placed")
        if entry["body"]["verb"] == "resolve" and entry["body"]["args"].get("how") == "retry"
    }


def i3_dense(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """`seq` is 1..n in the order of ids, decisions are 0..m, each with its one charge, and the hash chain holds."""
    tape = [entry for entry in story.entries if entry["seq"] is not None]
    found = [entry["seq"] for entry in tape]
    if found != list(range(1, story.row["seq"] + 1)):
        yield f"seq is {found}, the run says {story.row['seq']}"
    decisions = [entry["body"]["index"] for entry in tape if entry["kind"] == "decision"]
    if decisions != list(range(story.row["decisions"])):
        yield f"decisions are {decisions}, the run says {story.row['decisions']}"
    for entry, after in zip(tape, [*tape[1:], None], strict=bool(tape)):
        if entry["kind"] == "decision":
            pays = f"decision {entry['body']['index']}"
            if after is None or after["kind"] != "charge" or after["body"]["pays_for"] != pays:
                yield f"{pays} is not followed by its charge"
    paid = [entry["body"]["pays_for"] for entry in tape if entry["kind"] == "charge"]
    charged = [pays for pays in paid if pays.startswith("decision ")]  # an effect may pay for each of its attempts
    if len(charged) != len(set(charged)):
        yield f"charged twice: {charged}"
    if [entry for entry in tape if entry["kind"] == "run_started"] != tape[:1]:
        yield "the first record is not the one run_started"
    ends = [entry for entry in tape if entry["kind"] == "run_ended"]
    if ends and ends != tape[-1:]:
        yield "run_ended is not the one last record"
    head = b""
    for entry in story.entries:
        seq = "" if entry["seq"] is None else entry["seq"]
        text = f"{seq}|{entry['kind']}|{entry['epoch']}|{entry['at_us']}|{entry['text']}"
        head = hashlib.sha256(head + text.encode()).digest()
        if entry["hash"] != head:
            yield f"the hash chain breaks at entry {entry['id']}"
            return
    if head != story.row["head"]:
        yield "the chain's head is not the run's"


def _dispatched(story: Story, key: str) -> bool:
    return any(
        entry["body"]["key"] == key and entry["body"]["dispatch"] == "outbox" for entry in story.of("effect_begun")
    )


def i10_adds_up(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """What is spent is what was paid and lost, by the run and its descendants: each bill once."""
    family = [story]
    for one in family:
        family += [other for other in seen.stories if other.row["parent_no"] == one.row["no"]]
    own = [entry for one in family for entry in one.of("charge", "budget_lost") if not _copied(one, entry)]
    bodies = [entry["body"] for entry in own]
    for row in story.budget:
        if row["unit"] == "usd_micro":
            summed = sum(body["usd_micro"] for body in bodies)
        elif row["unit"] == "tokens":
            summed = sum(
                body.get("tokens", 0) + body.get("tokens_in", 0) + body.get("tokens_out", 0) for body in bodies
            )
        else:
            continue
        if summed != row["spent"]:
            yield f"{row['unit']}: {row['spent']} spent, its entries and its descendants' say {summed}"


def i10_waits(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """What waits for a person to raise a cap has not begun, and a cap is in its way; what was denied is refused."""
    begun = {entry["body"]["key"] for entry in story.of("effect_begun")}
    purses = {other.row["no"]: {row["unit"]: row for row in other.budget} for other in seen.stories}
    if story.cap_waits and story.row["end_status"] is not None:
        yield "it has ended, and waits for a cap"
    for wait in story.cap_waits:
        place, row = wait["place"], purses[wait["purse_no"]][wait["unit"]]
        if place in begun or any(one["place"] == place for one in story.reservations):
            yield f"{place} waits for a cap, and has begun"
        short = row["cap"] is not None and row["spent"] + row["reserved"] + wait["asked"] > row["cap"]
        if promise.at_rest and story.row["status"] == "WAITING" and (not short or wait["status"] != "OPEN"):
            yield f"{place} waits for a cap, and none is in its way"
    refused = {(entry["body"]["place"], entry["body"]["actor"]) for entry in story.of("budget_refused")}
    for entry in story.of("budget_denied"):
        said = entry["body"]["place"], entry["body"]["actor"]
        if story.row["status"] == "TERMINAL" and said not in refused:
            yield f"{said[1]} denied {said[0]}, and nobody was told"


def i10_budgets(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """No cap is passed but by a bill that says so; what is reserved is for somebody; each question to the model is
    paid for, by its charge or as lost."""
    over = [entry["body"] for other in seen.stories for entry in other.of("budget_overrun")]
    for row in story.budget:
        used, cap = row["spent"] + row["reserved"], row["cap"]
        passed = sum(by["by"] for by in over if by["run"] == story.id and by["unit"] == row["unit"])
        if cap is not None and used > cap + passed:
            yield f"{row['unit']}: {row['spent']} spent and {row['reserved']} reserved of {cap}"
        held = sum(one["amount"] for one in story.reservations if one["unit"] == row["unit"])
        if held != row["reserved"]:
            yield f"{row['unit']}: {row['reserved']} reserved, the reservations say {held}"
    if story.row["end_status"] is not None and [one for one in story.reservations if "/" not in one["place"]]:
        yield "it has ended, and something is reserved"
    if any(row["cap"] is not None for row in story.budget):
        asked = sum(line["run"] == story.id for line in seen.questions)
        answered = len(story.of("decision")) + len(story.of("budget_lost")) + len(story.reservations)
        if asked > answered:
            yield f"the model was asked {asked} times, {answered} of these are paid, lost, or reserved"


def i4_intent_first(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """No act and no body without an intent and an attempt that were on disk; each attempt is entered once."""
    begun = {entry["body"]["key"]: entry for entry in story.of("effect_begun")}
    for key, acts in seen.acts.items():
        if key.startswith(f"{story.id}/") and key not in begun:
            yield f"{len(acts)} acts under {key}, which was never begun"
    bodies = {(row["key"], row["number"]) for row in story.attempts if row["what"] == "body"}
    entered: set[tuple[str, int]] = set()
    for line in seen.bodies:
        key, number = line["key"], line["attempt"]
        if line["what"] != "enter" or not key.startswith(f"{story.id}/"):
            continue
        if key not in begun or begun[key]["at_us"] > line["at_us"]:
            yield f"{key} was entered before it was begun"
        if (key, number) not in bodies or not line["durable"]:
            yield f"{key}: attempt {number} was entered before it was on disk"
        if (key, number) in entered:
            yield f"{key}: attempt {number} was entered twice"
        entered.add((key, number))
    for key, effect in story.effects.items():
        if key not in begun:
            yield f"{key} has a row and no effect_begun"
        numbers = sorted(number for other, number in bodies if other == key)
        if numbers != list(range(1, effect["attempts"] + 1)):
            yield f"{key}: attempts {numbers}, its row says {effect['attempts']}"


def i4_one_body_at_a_time(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """No attempt starts until the earlier body is over: it was left, or its process is dead (section 4)."""
    last: dict[str, dict[str, Any]] = {}
    for line in seen.bodies:
        key = line["key"]
        if not key.startswith(f"{story.id}/"):
            continue
        if line["what"] == "leave":
            if last.get(key, {}).get("attempt") == line["attempt"]:
                del last[key]
        elif line["what"] == "enter":
            before = last.get(key)
            if before is not None and not any(
                before["at_us"] <= died <= line["at_us"] for died in seen.deaths.get(before["pid"], [])
            ):
                yield f"{key}: attempt {line['attempt']} while {before['attempt']} is open in pid {before['pid']}"
            last[key] = line


def i5_never_asked_again(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """No question after its decision is recorded; before that at most one per drive, and model_asked shows it."""
    recorded = {entry["body"]["index"]: entry for entry in story.of("decision")}
    asked: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in seen.questions:
        if line["run"] == story.id:
            asked[line["index"]].append(line)
    servers = sum(1 for entry in seen.service if entry["kind"] == "server_started")
    for index, questions in asked.items():
        record = recorded.get(index)
        late = [line for line in questions if record is not None and line["at_us"] > record["at_us"]]
        if late:
            yield f"decision {index} was asked again after it was recorded"
        before = record["id"] if record is not None else 1 << 62
        drives = [
            entry
            for entry in story.of("lease_granted")
            if entry["body"]["decision_index"] <= index and entry["id"] < before
        ]
        if len(questions) > len(drives):
            yield f"decision {index} was asked {len(questions)} times in {len(drives)} drives"
        shown = [entry for entry in story.of("model_asked") if entry["body"]["index"] == index]
        if len(questions) > len(shown) + servers - 1:
            yield f"decision {index} was asked {len(questions)} times, {len(shown)} are shown"
        if any(entry["id"] > before for entry in shown):
            yield f"decision {index}: model_asked after its record"
    for index, record in recorded.items():
        if index not in asked and seen.questions and not _copied(story, record):
            yield f"decision {index} is recorded, and the model was never asked"


def _copied(story: Story, entry: dict[str, Any]) -> bool:
    """Taken over with the tape that the run was forked from, before its first lease."""
    return story.row["source_id"] is not None and entry["epoch"] == 0


def i6_fenced(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """Every write of an agent carries the epoch of the lease that is live there."""
    live: int | None = None
    ended: dict[str, Any] | None = None
    refused: set[int] = set()
    settled_by = ""
    for entry in story.entries:
        kind, body = entry["kind"], entry["body"]
        if kind == "effect_ended":
            settled_by = body["writer"]
        if kind == "lease_granted":
            live, ended = body["epoch"], None
        elif kind == "lease_ended":
            live, ended = None, entry
        elif kind == "write_refused":
            refused.add(body["epoch"])
        if _copied(story, entry):
            continue
        own = kind in BY_AGENT
        if kind == "charge" and not body["pays_for"].startswith("decision "):
            own = settled_by == "agent" and entry["seq"] is not None  # who ended the effect writes what it cost
        own |= kind in ("effect_ended", "run_ended") and body["writer"] == "agent"
        own |= kind == "attempt_started" and body["by"] == "agent"
        if not own:
            continue
        last_word = (
            (kind == "run_ended" or (kind == "effect_ended" and body["resolution"] == "dropped"))
            and ended is not None
            and (ended["body"]["status"], ended["epoch"], ended["at_us"])
            == ("RELEASED", entry["epoch"], entry["at_us"])
        )
        if entry["epoch"] != live and not last_word:
            yield f"entry {entry['id']} ({kind}) under epoch {entry['epoch']}, live is {live}"
        if entry["epoch"] in refused:
            yield f"entry {entry['id']} ({kind}) after a write of epoch {entry['epoch']} was refused"


def i7_one_driver(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """At most one live lease at a time, epochs only grow, one grant per end."""
    live: int | None = None
    top = 0
    for entry in story.of("lease_granted", "lease_ended"):
        epoch = entry["body"]["epoch"]
        if entry["kind"] == "lease_granted":
            if live is not None:
                yield f"lease {epoch} was granted while {live} is live"
            if epoch <= top:
                yield f"lease {epoch} was granted after {top}"
            live, top = epoch, max(top, epoch)
        else:
            if epoch != live:
                yield f"lease {epoch} ended while {live} is live"
            live = None
    living = [lease["epoch"] for lease in story.leases if lease["status"] == "LIVE"]
    if living != ([] if live is None else [live]):
        yield f"live leases are {living}, the entries say {live}"
    if bool(living) != (story.row["status"] == "RUNNING"):
        yield f"the run is {story.row['status']} with live leases {living}"


def i8_settled_first(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """At each grant no open effect waits for a reactor or a person."""
    steps: dict[str, str] = {}
    outbox: set[str] = set()
    for entry in story.entries:
        kind, body = entry["kind"], entry["body"]
        if body.get("key") in story.left:
            continue
        if kind == "effect_begun":
            steps[body["key"]] = "a live body"
            if body["dispatch"] == "outbox":
                outbox.add(body["key"])
        elif kind in ("effect_doubted", "observed") and body["key"] in steps:
            steps[body["key"]] = body["step"]
        elif kind == "attempt_started" and body["what"] == "body" and body["key"] in steps:
            steps[body["key"]] = "a live body"
        elif kind == "effect_ended":
            steps.pop(body["key"], None)
        elif kind == "lease_granted":
            for key, step in steps.items():
                if key in outbox or step != "again":
                    yield f"granted epoch {body['epoch']} while {key} is open: {'outbox' if key in outbox else step}"


def i9_final(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """Nothing leaves an end state: run, effect, obligation."""
    end = ""
    effects: dict[str, str] = {}
    duties: dict[str, str] = {}
    for entry in story.entries:
        kind, body = entry["kind"], entry["body"]
        whose = str(body.get("key") or body.get("pays_for") or body.get("place"))
        of_left = kind in OF_WHAT_IS_LEFT and whose.partition("/undo/")[0] in story.left
        if end and kind not in AFTER_THE_END and not of_left:
            yield f"entry {entry['id']} ({kind}) after the run ended {end}"
        if kind == "run_moved" and body["status"] in RUN_ENDS:
            end = body["status"]
        elif kind == "effect_ended":
            if body["key"] in effects:
                yield f"{body['key']} ended {effects[body['key']]} and again {body['status']}"
            effects[body["key"]] = body["status"]
        elif kind in ("effect_doubted", "attempt_started") and effects.get(body["key"]):
            yield f"{body['key']} ended {effects[body['key']]}, then {kind}"
        elif kind == "obligation_moved":
            if duties.get(body["key"]) in DUTY_ENDS:
                yield f"{body['key']} was {duties[body['key']]}, then {body['status']}"
            duties[body["key"]] = body["status"]
    if story.row["status"] in RUN_ENDS and story.row["status"] != end:
        yield f"the run is {story.row['status']}, its entries say {end or 'no end'}"
    for key, effect in story.effects.items():
        says = effects.get(key)
        if (effect["status"] if effect["status"] in EFFECT_ENDS else None) != says:
            yield f"{key} is {effect['status']}, its entries say {says}"
    outcome = [entry["body"]["outcome"] for entry in story.of("run_ended")]
    if end and outcome != [end]:
        yield f"the run ended {end}, its record says {outcome}"
    for entry in story.of("effect_ended", "charge"):
        whose = entry["body"]["key" if entry["kind"] == "effect_ended" else "pays_for"]
        if entry["kind"] == "charge" and entry["seq"] is None and _dispatched(story, whose):
            continue  # for an attempt of the outbox that settled nothing
        if (entry["seq"] is None) != (whose in story.left):
            yield f"the {entry['kind']} of {whose} has seq {entry['seq']}"
    waited_for = [effect for key, effect in story.effects.items() if key not in story.left]
    if outcome and any(effect["status"] not in EFFECT_ENDS for effect in waited_for):
        yield "run_ended although an effect is open"


def i11_newest_first(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """Obligations of a failed or cancelled run are worked on newest first and one at a time, and none is left."""
    ended = story.of("run_ended")
    owed: dict[str, str] = {}
    working: str | None = None
    over = False
    for entry in story.entries:
        body = entry["body"]
        if entry["kind"] == "run_ended":
            over = True
        if entry["kind"] != "obligation_moved":
            continue
        key, status = body["key"], body["status"]
        owed[key] = status
        if status == "CLAIMED":
            if working is not None:
                yield f"{key} is claimed while {working} is"
            working = key
            newer = [
                other
                for other, state in owed.items()
                if state in OWED and other != key and _age(story, other) > _age(story, key)
            ]
            if over and newer:
                yield f"{key} is worked on before the newer {newer}"
        elif key == working:
            working = None
    if not ended or story.row["status"] not in RUN_ENDS:
        return
    for key, duty in story.duties.items():
        if duty["status"] not in DUTY_ENDS and (duty["effect_key"] not in story.left or duty["auto"]):
            yield f"the run is {story.row['status']} and {key} is {duty['status']}"
        effect = story.effects[duty["effect_key"]]
        failed = story.row["status"] in ("FAILED", "CANCELLED")
        owed = failed and duty["auto"] and effect["status"] == "CONFIRMED"
        by_person = any(entry["body"]["verb"] == "resolve" for entry in story.of("order_placed"))
        if owed and duty["status"] == "DROPPED" and not by_person:
            yield f"{key} was dropped although the run is {story.row['status']} and the act stands"


def _age(story: Story, key: str) -> tuple[int, int]:
    return story.duties[key]["position"], int(key.rpartition("/")[2])


def i12_nothing_forgotten(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """At rest: at an end, stuck with commands that help, or waiting for something. Timers fire once, never early."""
    for entry in story.of("timer_fired"):
        ordinal = entry["body"]["ordinal"]
        due = [other["body"]["fire_at_us"] for other in story.of("timer_set") if other["body"]["ordinal"] == ordinal]
        if not due or entry["at_us"] < due[0]:
            yield f"timer {ordinal} fired early"
    fired = [entry["body"]["ordinal"] for entry in story.of("timer_fired")]
    if len(fired) != len(set(fired)):
        yield f"timers fired twice: {fired}"
    status = story.row["status"]
    if status == "STUCK":
        moves = [entry["body"] for entry in story.of("run_moved") if entry["body"]["status"] == "STUCK"]
        if not moves or not moves[-1]["commands"] or not story.row["error"]:
            yield "STUCK without a reason or without commands that help"
    if not promise.at_rest:
        return
    for key in story.left:
        effect = story.effects[key]
        if effect["status"] not in EFFECT_ENDS and effect["step"] not in ("person", "compensate"):
            yield f"everything is quiet and {key}, which is left to itself, is {effect['status']}: {effect['step']}"
    waits = status == "WAITING" and any(row["status"] in ("SET", "OPEN") for row in (*story.timers, *story.gates))
    waits = waits or (status == "WAITING" and bool(story.cap_waits))
    waits = waits or (status in ("WAITING", "COMPENSATING") and any(_open(child) for child in _children(story, seen)))
    if status not in RUN_ENDS and status != "STUCK" and not waits:
        yield f"everything is quiet and the run is {status}, waiting on {story.row['waiting_on']!r}"
    if status in RUN_ENDS and any(timer["status"] == "SET" for timer in story.timers):
        yield "the run has ended and a timer is set"
    if status in RUN_ENDS and any(gate["status"] in ("OPEN", "EARLY") for gate in story.gates):
        yield "the run has ended and a gate is open"


def i9_one_answer(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """A gate is answered once, after it was opened, by the first who did; a time-out is never early."""
    opened = {(entry["body"]["name"], entry["body"]["ordinal"]): entry for entry in story.of("gate_opened")}
    answered: set[tuple[str, int]] = set()
    for entry in story.of("gate_answered"):
        body = entry["body"]
        instance = body["name"], body["ordinal"]
        if instance in answered:
            yield f"gate {instance} was answered twice"
        answered.add(instance)
        gate = opened.get(instance)
        if gate is None or gate["id"] > entry["id"]:
            yield f"gate {instance} was answered before it was opened"
        elif body["timed_out"] and entry["at_us"] < (gate["body"]["deadline_us"] or 1 << 62):
            yield f"gate {instance} timed out early"


def i4_approved(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """Once a gate is bound to a tool, its calls begin only with an unused approval of exactly their arguments."""
    bound: dict[str, dict[str, Any]] = {}
    approved: dict[str, dict[str, Any]] = {}
    for entry in story.entries:
        body = entry["body"]
        if entry["kind"] == "gate_opened" and body["approves"]:
            bound[f"{body['name']} {body['ordinal']}"] = body
        elif entry["kind"] == "gate_answered":
            gate = bound.get(f"{body['name']} {body['ordinal']}")
            if gate is not None and body["answer"] == gate["options"][0] and not body["void"]:
                approved[f"{body['name']} {body['ordinal']}"] = gate["approves"]
        elif entry["kind"] == "effect_begun":
            if body["tool"] in {gate["approves"]["tool"] for gate in bound.values()} and not body["approval"]:
                yield f"{body['key']} began without an approval"
            call = approved.pop(body["approval"], None) if body["approval"] else None
            if body["approval"] and (call is None or (call["tool"], call["args"]) != (body["tool"], body["args"])):
                yield f"{body['key']} is not what {body['approval']} approved"


def _children(story: Story, seen: Witnesses) -> list[Story]:
    found = [other for other in seen.stories if other.row["parent_no"] == story.row["no"]]
    return sorted(found, key=lambda other: other.row["parent_ordinal"])


def _open(story: Story) -> bool:
    return story.row["status"] not in RUN_ENDS


def i12_children(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """Each child that was started is one run, and no other; its end stands on this tape once, unless this run ended
    first; at this run's end none is open."""
    children = _children(story, seen)
    started = [(entry["body"]["ordinal"], entry["body"]["child"]) for entry in story.of("child_started")]
    if started != [(number, child.id) for number, child in enumerate(children)]:
        yield f"its tape has started {started}, its children are {[child.id for child in children]}"
    told = [entry["body"]["child"] for entry in story.of("child_ended")]
    if len(told) != len(set(told)):
        yield f"children ended twice: {told}"
    ends = [entry["id"] for entry in story.of("run_ended")]
    for child in children:
        over = [move["id"] for move in child.of("run_moved") if move["body"]["status"] in RUN_ENDS]
        if len(over) > 1:
            yield f"{child.id} came to its end {len(over)} times"
        in_time = bool(over) and (not ends or over[0] < ends[0])
        if (child.id in told) is not in_time:
            yield f"{child.id} is {child.row['status']}, its end on this tape: {child.id in told}"
        if not _open(story) and _open(child):
            yield f"the run is {story.row['status']} and its child {child.id} is {child.row['status']}"


def i11_children_first(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """A run that did not end well undoes nothing while a child of it is open."""
    ends = [entry["id"] for entry in story.of("run_ended")]
    claims = [entry["id"] for entry in story.of("obligation_moved") if entry["body"]["status"] == "CLAIMED"]
    for child in _children(story, seen):
        over = [move["id"] for move in child.of("run_moved") if move["body"]["status"] in RUN_ENDS]
        for claim in claims:
            if ends and claim > ends[0] and (not over or claim < over[0]):
                yield f"entry {claim} undoes an act while the child {child.id} is open"


def i13_poison(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """Deaths without progress are counted with the grant; after the second the run goes alone, after a back-off."""
    crashes = 0
    died_at = 0
    granted: dict[str, Any] | None = None
    for entry in story.entries:
        kind, body = entry["kind"], entry["body"]
        if entry["seq"] is not None:
            crashes = 0
        if kind == "lease_granted":
            if body["crashes"] != crashes:
                yield f"epoch {body['epoch']} was granted with {body['crashes']} deaths counted, there were {crashes}"
            if body["alone"] != (crashes >= 2):
                yield f"epoch {body['epoch']} was granted alone={body['alone']} after {crashes} deaths"
            pause = min(promise.first_backoff_us << max(0, crashes - 2), promise.longest_backoff_us)
            if crashes >= 2 and entry["at_us"] - died_at < pause - 2_000:
                yield f"epoch {body['epoch']} was granted {entry['at_us'] - died_at} us after death {crashes}"
            crashes += 1
            granted = body
        elif kind == "lease_ended":
            if body["status"] == "RELEASED":
                crashes = max(0, crashes - 1)
            else:
                died_at = entry["at_us"]
        elif kind == "order_placed" and body["verb"] == "redrive":
            crashes = 0
        elif kind == "run_moved" and body["status"] == "STUCK" and "deaths in a row" in body["why"]:
            alone = granted is not None and granted["alone"]
            if not alone or crashes < max(promise.stuck_after, 3):
                yield f"STUCK as poison after {crashes} deaths, the last lease was {granted}"


def i12_in_order(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """Outbox effects of a run are dispatched in the order in which they were begun, one at a time."""
    begun = [entry["body"]["key"] for entry in story.of("effect_begun") if entry["body"]["dispatch"] == "outbox"]
    passed: set[str] = set()
    running = ""
    for entry in story.entries:
        kind, body = entry["kind"], entry["body"]
        key = body.get("key")
        if key not in begun:
            continue
        if kind == "attempt_started" and body["what"] == "body":
            if running:
                yield f"{key} is dispatched beside {running}"
            ahead = [other for other in begun[: begun.index(key)] if other not in passed]
            if ahead:
                yield f"{key} is dispatched before {ahead}"
            running = key
        elif kind in ("effect_ended", "effect_doubted", "observed"):
            running = "" if running == key else running
            ends = kind == "effect_ended" or body["step"] in ("person", "compensate")
            passed = passed | {key} if ends else passed - {key}


def i14_keys(story: Story, seen: Witnesses, promise: Promise) -> Iterable[str]:
    """A key is begun once, and everything upstream under it has the same body."""
    keys = [entry["body"]["key"] for entry in story.of("effect_begun")]
    if len(keys) != len(set(keys)):
        yield f"begun twice: {sorted(key for key in set(keys) if keys.count(key) > 1)}"
    for entry in story.of("effect_begun"):
        body = entry["body"]
        index = "-" if body["decision_index"] is None else body["decision_index"]
        if body["key"] != f"{story.id}/{index}/{body['ordinal']}/{body['tool']}":
            yield f"{body['key']} is not made of its place"
        bodies = {json.dumps(act["body"], sort_keys=True) for act in seen.acts.get(body["key"], [])}
        if len(bodies) > 1:
            yield f"{body['key']} stands for different requests: {bodies}"


def i7_alone(seen: Witnesses, promise: Promise) -> Iterable[str]:
    """A worker with an alone lease holds no other; nobody holds more than one server at a time."""
    events = sorted(
        (entry for story in seen.stories for entry in story.of("lease_granted", "lease_ended")),
        key=lambda entry: entry["id"],
    )
    held: dict[int, dict[tuple[int, int], bool]] = defaultdict(dict)
    for entry in events:
        body = entry["body"]
        mine = held[body["worker"]]
        if entry["kind"] == "lease_granted":
            if mine and (body["alone"] or any(mine.values())):
                yield f"worker {body['worker']} holds an alone lease and another one at entry {entry['id']}"
            mine[entry["run_no"], body["epoch"]] = body["alone"]
        else:
            mine.pop((entry["run_no"], body["epoch"]), None)


def h_worker_deaths(seen: Witnesses, promise: Promise) -> Iterable[str]:
    """A worker starts once and dies at most once; no lease is granted to a dead one."""
    started: set[int] = set()
    dead: dict[int, int] = {}
    for entry in seen.service:
        if entry["kind"] == "worker_started":
            if entry["body"]["worker"] in started:
                yield f"worker {entry['body']['worker']} started twice"
            started.add(entry["body"]["worker"])
        elif entry["kind"] == "worker_died":
            if entry["body"]["worker"] in dead:
                yield f"worker {entry['body']['worker']} died twice"
            dead[entry["body"]["worker"]] = entry["id"]
            if not entry["body"]["proven"]:
                yield f"worker {entry['body']['worker']}: its death is not proven"
    for story in seen.stories:
        for entry in story.of("lease_granted"):
            if dead.get(entry["body"]["worker"], 1 << 62) < entry["id"]:
                yield f"{story.id}: a lease for worker {entry['body']['worker']}, which is dead"


RULES = (
    i1_once, i3_dense, i4_intent_first, i4_one_body_at_a_time, i5_never_asked_again, i6_fenced, i7_one_driver,
    i8_settled_first, i9_final, i9_one_answer, i4_approved, i10_budgets, i10_adds_up, i10_waits, i11_newest_first,
    i11_children_first, i12_nothing_forgotten, i12_in_order, i12_children, i13_poison, i14_keys,
)  # fmt: skip
WHOLE = (i7_alone, h_worker_deaths)


# --- I2: crash-transparent ----------------------------------------------------------------------------------------

FREE_SAMPLES = {"now", "uuid", "random"}
FREE_FIELDS = (
    "writer", "resolution", "row", "attempt", "fire_at_us", "late_us", "deadline_us", "fingerprint", "start_key",
)  # fmt: skip


def normalised_tape(journal: Path, run_id: str) -> list[str]:
    """A run's tape without what may differ between a killed run and one that was not: times, writer, resolution, row,
    attempt, the run's id, values drawn from the machine; a decision's records sorted by ordinal, begun before ended."""
    seen = read(Evidence(journal))
    (story,) = [story for story in seen.stories if story.id == run_id]
    drawn = [entry["body"]["value"] for entry in story.of("sample") if entry["body"]["name"] in FREE_SAMPLES]
    batches: list[tuple[tuple[int, int, int, int], str]] = []
    turn = 0
    for place, entry in enumerate(entry for entry in story.entries if entry["seq"] is not None):
        kind, body = entry["kind"], dict(entry["body"])
        for name in FREE_FIELDS:
            body.pop(name, None)
        order = (turn, place, 0, 0)
        if kind in ("effect_begun", "effect_ended"):
            index, ordinal = body["key"].split("/")[1:3]
            del body["key"]
            body.pop("args_hash", None)
            body["call"] = f"{index}/{ordinal}/{body['tool']}"
            order = (turn, 1 << 40, int(ordinal), int(kind == "effect_ended"))
        elif kind in ("child_started", "child_ended"):
            del body["child"]
            order = (turn, 1 << 41, body["ordinal"], int(kind == "child_ended"))
        elif kind in ("decision", "timer_set", "gate_opened", "gate_answered", "sample", "run_ended"):
            turn += 1
            order = (turn, 0, 0, 0)
        batches.append((order, _plain(kind, body, run_id, drawn)))
    return [text for _, text in sorted(batches, key=lambda item: item[0])]


def _plain(kind: str, body: dict[str, Any], run_id: str, drawn: list[Any]) -> str:
    text = f"{kind} {json.dumps(body, sort_keys=True)}".replace(run_id, "RUN")
    for number, value in enumerate(drawn):
        text = text.replace(json.dumps(value), f'"DRAWN {number}"')
    return text


# --- processes ----------------------------------------------------------------------------------------------------


def living_with_nonces(journal: Path) -> list[str]:
    """Processes that live and carry the nonce of a worker of this journal."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as link:
        nonces = [row[0].encode() for row in link.execute("SELECT nonce FROM worker")]
    found: list[str] = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            environment = Path("/proc", name, "environ").read_bytes()
            state = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX" and any(b"TAPE_NONCE=" + nonce in environment for nonce in nonces):
            found.append(f"pid {name} ({state}): {Path('/proc', name, 'cmdline').read_bytes()[:200]!r}")
    return found
