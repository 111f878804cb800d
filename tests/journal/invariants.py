"""What must hold of the tables at every committed state, whatever verbs were applied: contract.md sections 3 and 6.

Reads the tables with plain SQL and shares no code with the journal but the hash function's definition.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import defaultdict
from typing import Any

OUTSIDE = {"ask", "ask_later", "compensate", "person"}
RUN_ENDS = {"TERMINAL", "FAILED", "CANCELLED"}
EFFECT_ENDS = {"CONFIRMED", "FAILED"}
OWED = {"DUE", "CLAIMED", "STUCK"}


def check(connection: sqlite3.Connection) -> None:
    """Raises AssertionError at the first invariant that does not hold."""
    for run in _rows(connection, "SELECT * FROM run"):
        _Checked(connection, run).check()


def finals(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    """Everything that has ended, with how: may only grow (I9)."""
    return {
        *(("run", row["id"], row["status"]) for row in _rows(connection, "SELECT * FROM run") if _over(row)),
        *(
            ("effect", row["key"], row["status"], row["resolution"], str(row["ended_id"]))
            for row in _rows(connection, "SELECT * FROM effect")
            if row["status"] in EFFECT_ENDS
        ),
        *(
            ("duty", row["key"], row["status"])
            for row in _rows(connection, "SELECT * FROM obligation")
            if row["status"] in ("DONE", "DROPPED")
        ),
        *(
            ("lease", str(row["run_no"]), str(row["epoch"]), row["status"])
            for row in _rows(connection, "SELECT * FROM lease")
            if row["status"] != "LIVE"
        ),
    }


def _over(run: Any) -> bool:
    return run["status"] in RUN_ENDS


def _says_end(moved: Any) -> bool:
    return json.loads(moved["body"])["status"] in RUN_ENDS


def _rows(connection: sqlite3.Connection, sql: str, *values: Any) -> list[Any]:
    return connection.execute(sql, values).fetchall()


class _Checked:
    def __init__(self, connection: sqlite3.Connection, run: Any) -> None:
        self.run = run
        self.connection = connection

        def mine(table: str) -> list[Any]:
            return _rows(connection, f"SELECT * FROM {table} WHERE run_no = ?", run["no"])

        self.entries = sorted(mine("entry"), key=lambda row: row["id"])
        self.effects, self.duties, self.leases = mine("effect"), mine("obligation"), mine("lease")
        self.attempts, self.timers, self.budgets = mine("attempt"), mine("timer"), mine("budget")
        self.gates = mine("gate")
        self.reservations = mine("reservation")
        self.cap_waits = mine("cap_wait")
        self.children = _rows(connection, "SELECT * FROM run WHERE parent_no = ? ORDER BY parent_ordinal", run["no"])
        self.left = {row["key"] for row in self.effects if not row["awaited"]}
        """Effects that are left to themselves: no run waits for them, and they may outlive it."""

    def check(self) -> None:
        self.density()
        self.chain()
        self.leases_fit()
        self.settled_before_each_grant()
        self.outbox_in_order()
        self.effects_fit()
        self.duties_fit()
        self.gates_fit()
        self.ends_are_whole()
        self.status_says_why()
        self.purses_fit()
        self.children_fit()
        self.forks_fit()

    def density(self) -> None:
        """I3, and one charge after each decision (section 2)."""
        tape = [entry for entry in self.entries if entry["seq"] is not None]
        assert [entry["seq"] for entry in tape] == list(range(1, self.run["seq"] + 1))
        decisions = [json.loads(entry["body"])["index"] for entry in tape if entry["kind"] == "decision"]
        assert decisions == list(range(self.run["decisions"]))
        for entry, after in zip(tape, [*tape[1:], None], strict=True):
            if entry["kind"] == "decision":
                assert after is not None and after["kind"] == "charge"

    def chain(self) -> None:
        head = b""
        for entry in self.entries:
            seq = "" if entry["seq"] is None else entry["seq"]
            text = f"{seq}|{entry['kind']}|{entry['epoch']}|{entry['at_us']}|{entry['body']}"
            head = hashlib.sha256(head + text.encode()).digest()
            assert entry["hash"] == head
        assert self.run["head"] == head

    def leases_fit(self) -> None:
        """I7: one live lease, on a RUNNING run, under its epoch; epochs only grow."""
        live = [lease for lease in self.leases if lease["status"] == "LIVE"]
        assert len(live) == (self.run["status"] == "RUNNING")
        for lease in live:
            assert lease["epoch"] == self.run["epoch"] and lease["worker_no"] == self.run["worker_no"]
        assert (self.run["worker_no"] is not None) == bool(live)
        granted = [json.loads(entry["body"])["epoch"] for entry in self.entries if entry["kind"] == "lease_granted"]
        assert granted == sorted(set(granted)) and len(granted) == self.run["drive"]

    def settled_before_each_grant(self) -> None:
        """I8, from the story alone."""
        steps: dict[str, str] = {}
        for entry in self.entries:
            body = json.loads(entry["body"])
            if body.get("key") in self.left:
                continue
            if entry["kind"] == "effect_begun":
                steps[body["key"]] = "outside" if body["dispatch"] == "outbox" else ""
            elif entry["kind"] in ("effect_doubted", "observed") and steps.get(body["key"]) != "outside":
                if body["key"] in steps:
                    steps[body["key"]] = body["step"]
            elif entry["kind"] == "effect_ended":
                del steps[body["key"]]
            elif entry["kind"] == "lease_granted":
                assert not [key for key, step in steps.items() if step == "outside" or step in OUTSIDE]

    def outbox_in_order(self) -> None:
        """Outbox effects are dispatched in the order in which they were begun, one at a time."""
        steps: dict[str, str] = {}
        running = ""
        for entry in self.entries:
            kind, body = entry["kind"], json.loads(entry["body"])
            key = body.get("key")
            if kind == "effect_begun" and body["dispatch"] == "outbox":
                steps[key] = "again"
            elif kind in ("effect_doubted", "observed") and key in steps:
                steps[key], running = body["step"], "" if running == key else running
            elif kind == "effect_ended" and key in steps:
                running = "" if running == key else running
                del steps[key]
            elif kind == "obligation_moved" and body["status"] == "STUCK" and key.rsplit("/undo/", 1)[0] in steps:
                steps[key.rsplit("/undo/", 1)[0]] = "person"
            elif kind == "attempt_started" and body["what"] == "body" and key in steps:
                earlier = list(steps)[: list(steps).index(key)]
                assert not running, f"{key} beside {running}"
                assert all(steps[other] in ("person", "compensate") for other in earlier), f"{key} before {steps}"
                running = key

    def effects_fit(self) -> None:
        begun = [json.loads(entry["body"])["key"] for entry in self.entries if entry["kind"] == "effect_begun"]
        ended = {
            body["key"]: body["status"]
            for body in (json.loads(entry["body"]) for entry in self.entries if entry["kind"] == "effect_ended")
        }
        assert len(ended) == sum(entry["kind"] == "effect_ended" for entry in self.entries), "an effect ends once"
        assert sorted(begun) == sorted(row["key"] for row in self.effects)
        assert len(begun) == self.run["effects"]
        bodies: dict[str, list[Any]] = defaultdict(list)
        for attempt in self.attempts:
            if attempt["what"] == "body":
                bodies[attempt["key"]].append(attempt)
        for effect in self.effects:
            mine = bodies[effect["key"]]
            assert ended.get(effect["key"]) == (effect["status"] if effect["status"] in EFFECT_ENDS else None)
            assert sorted(attempt["number"] for attempt in mine) == list(range(1, effect["attempts"] + 1))
            running = [attempt for attempt in mine if attempt["ended_us"] is None]
            assert len(running) <= 1, "two bodies at once"
            if effect["status"] in EFFECT_ENDS:
                assert not running and not effect["step"] and not effect["claim_by"]
            if effect["status"] not in EFFECT_ENDS and effect["dispatch"] == "inline" and not effect["step"]:
                assert running and self.run["status"] == "RUNNING", "a body that nobody will ever judge"
            if effect["status"] == "PENDING":
                assert effect["step"] in ("", "again")

    def duties_fit(self) -> None:
        """I11: newest first and one at a time, from the story."""
        positions = {row["key"]: (row["position"], int(row["key"].rsplit("/", 1)[1])) for row in self.duties}
        assert sum(row["status"] == "CLAIMED" for row in self.duties) <= 1
        status: dict[str, str] = {}
        for entry in self.entries:
            if entry["kind"] == "obligation_moved":
                body = json.loads(entry["body"])
                if body["status"] == "CLAIMED":
                    older_than = [key for key, owed in status.items() if owed in OWED and key != body["key"]]
                    assert all(positions[key] < positions[body["key"]] for key in older_than)
                    assert not [key for key, owed in status.items() if owed == "CLAIMED"]
                status[body["key"]] = body["status"]
        for row in self.duties:
            assert status.get(row["key"], "ARMED") == row["status"]

    def gates_fit(self) -> None:
        """One answer for each instance, the one that the row holds; an approval is used up by one call, its own."""
        told: dict[str, dict[tuple[str, int], Any]] = defaultdict(dict)
        for entry in self.entries:
            if entry["kind"] in ("gate_opened", "gate_answered", "early_answer"):
                body = json.loads(entry["body"])
                instance = body["name"], body["ordinal"]
                assert instance not in told[entry["kind"]], "an instance is opened once and answered once"
                told[entry["kind"]][instance] = body
        rows = {(row["name"], row["ordinal"]): row for row in self.gates}
        assert {*rows} == {*told["gate_opened"], *told["early_answer"]}
        for instance, row in rows.items():
            answered = told["gate_answered"].get(instance)
            assert (row["status"] == "ANSWERED") == (answered is not None)
            assert (instance in told["gate_opened"]) or row["status"] in ("EARLY", "DROPPED")
            if answered is not None:
                assert (answered["answer"], answered["actor"]) == (row["answer"], row["actor"])
                assert answered["answer"] is None or answered["answer"] in json.loads(row["options"])
        begun = [json.loads(entry["body"]) for entry in self.entries if entry["kind"] == "effect_begun"]
        used = {body["approval"]: body for body in begun if body.get("approval")}
        assert len(used) == sum(bool(body.get("approval")) for body in begun), "an approval is used once"
        assert {f"{row['name']} {row['ordinal']}": row["used_by"] for row in self.gates if row["used_by"]} == {
            approval: body["key"] for approval, body in used.items()
        }
        for approval, body in used.items():
            name, _, ordinal = approval.rpartition(" ")
            row = rows[name, int(ordinal)]
            bound = json.loads(row["approves"])
            assert row["answer"] == json.loads(row["options"])[0]
            assert (bound["tool"], bound["args_hash"]) == (body["tool"], body["args_hash"])

    def ends_are_whole(self) -> None:
        """After `run_ended` the run is never driven; at its end nothing is left open."""
        kinds = [entry["kind"] for entry in self.entries]
        said = kinds.count("run_ended")
        assert said == (self.run["end_status"] is not None)
        if said:
            tape = [entry["kind"] for entry in self.entries if entry["seq"] is not None]
            assert tape[-1] == "run_ended"
            assert "lease_granted" not in kinds[kinds.index("run_ended") :]
            assert self.run["status"] in {"COMPENSATING", "STUCK", self.run["end_status"]}
            assert all(effect["status"] in EFFECT_ENDS or not effect["awaited"] for effect in self.effects)
            assert all(timer["status"] != "SET" for timer in self.timers)
            assert all(gate["status"] in ("ANSWERED", "DROPPED") for gate in self.gates)
            still = {effect["key"] for effect in self.effects if effect["status"] not in EFFECT_ENDS}
            assert all(duty["status"] != "ARMED" or duty["effect_key"] in still for duty in self.duties)
        if _over(self.run):
            assert self.run["status"] == self.run["end_status"]
            own = [duty for duty in self.duties if duty["effect_key"] not in self.left]
            assert all(duty["status"] in ("DONE", "DROPPED") for duty in own)
            inline = [attempt for attempt in self.attempts if attempt["key"].split("/undo/")[0] not in self.left]
            assert all(attempt["ended_us"] is not None for attempt in inline)
            if self.run["status"] != "TERMINAL":
                open_ = [duty for duty in self.duties if duty["auto"] and duty["status"] in {"ARMED", *OWED}]
                assert not [duty for duty in open_ if not self.sent_again(duty)]

    def sent_again(self, duty: Any) -> bool:
        """A person let an act that was left to itself stand, which ended its run, and had it sent once more: it may
        have to be undone after all."""
        mine = [other for other in self.duties if other["effect_key"] == duty["effect_key"]]
        return duty["effect_key"] in self.left and any(other["status"] == "DROPPED" for other in mine)

    def status_says_why(self) -> None:
        """I12: what is not driven says what it waits for."""
        run = self.run
        awaited = [row for row in self.effects if row["status"] not in EFFECT_ENDS and row["awaited"]]
        steps, outside = [row["step"] for row in awaited], [row for row in awaited if row["dispatch"] == "outbox"]
        if run["status"] == "STUCK":
            assert run["error"] and run["waiting_on"] == "a person"
        if run["status"] == "WAITING":
            waits = [timer for timer in self.timers if timer["status"] == "SET"]
            waits += [gate for gate in self.gates if gate["status"] == "OPEN"]
            waits += self.cap_waits
            assert run["waiting_on"]
            assert waits or outside or OUTSIDE & set(steps) or run["children_open"], "nothing will ever wake it"
            assert "person" not in steps
        if run["status"] == "RUNNABLE":
            assert not outside and not OUTSIDE & set(steps)
        if run["status"] == "COMPENSATING":
            well = run["end_status"] == "TERMINAL"
            held = [duty for duty in self.duties if not well or duty["ordered"] or duty["effect_key"] not in self.left]
            assert any(duty["status"] in ("DUE", "CLAIMED", "ARMED") for duty in held) or run["children_open"]
            assert not any(duty["status"] == "STUCK" for duty in held)

    def purses_fit(self) -> None:
        """I10: nothing is held back beyond a cap, each purse adds up to what it and its descendants paid and lost, and
        what is held back is for an ask or an act under way."""
        family = self.family()
        told = [
            (run, entry["kind"], json.loads(entry["body"]))
            for run in family
            for entry in _rows(self.connection, "SELECT * FROM entry WHERE run_no = ?", run["no"])
            if entry["kind"] in ("charge", "budget_lost", "budget_overrun")
            and (entry["seq"] is None or entry["seq"] > run["source_seq"])
        ]
        inherited = {effect["key"] for effect in self.effects if effect["inherited"]}
        effects = [
            row
            for run in family
            for row in _rows(self.connection, "SELECT * FROM effect WHERE run_no = ?", run["no"])
            if not row["inherited"]
        ]
        charges = [body for _, kind, body in told if kind == "charge" and body["pays_for"] not in inherited]
        lost = [body for _, kind, body in told if kind == "budget_lost"]
        over = [body for _, kind, body in told if kind == "budget_overrun" and body["run"] == self.run["id"]]
        assert {"tokens", "usd_micro"} <= {row["unit"] for row in self.budgets}
        for row in self.budgets:
            unit = row["unit"]
            held = sum(one["amount"] for one in self.reservations if one["unit"] == unit)
            assert row["reserved"] == held, f"{unit}: {row['reserved']} reserved, the reservations say {held}"
            assert min(row["reserved"], row["spent"], row["lost"]) >= 0
            if unit == "tokens":
                spent = sum(body["tokens_in"] + body["tokens_out"] for body in charges)
                gone = sum(body["tokens"] for body in lost)
            elif unit == "usd_micro":
                spent, gone = sum(body[unit] for body in charges), sum(body[unit] for body in lost)
            else:
                mine = [effect for effect in effects if f"calls:{effect['tool']}" == unit]
                spent, gone = sum(effect["status"] == "CONFIRMED" for effect in mine), 0
                assert held <= sum(effect["status"] not in EFFECT_ENDS for effect in mine)
            assert (row["spent"], row["lost"]) == (spent + gone, gone), unit
            if row["cap"] is not None:
                passed = sum(body["by"] for body in over if body["unit"] == unit)
                assert row["spent"] + row["reserved"] <= row["cap"] + passed, f"{unit}: beyond the cap"
        self.waits_for_caps_fit()
        by_id = {run["id"]: run for run in family}
        for one in self.reservations:
            place = one["place"]
            assert one["amount"] > 0
            if "decision " in place:
                owner = by_id[place.split("/")[0]] if "/" in place else self.run
                assert int(place.rpartition(" ")[2]) == owner["decisions"] and owner["end_status"] is None
            else:
                assert next(effect["status"] for effect in effects if effect["key"] == place) not in EFFECT_ENDS

    def waits_for_caps_fit(self) -> None:
        """I12: what waits for a cap, in a run that is not driven, has one in its way, or is looked at soon."""
        assert not (self.cap_waits and self.run["end_status"]), "an ended run waits for a cap"
        for wait in self.cap_waits:
            held = [one for one in self.reservations if one["place"] == wait["place"]]
            assert not held and not any(effect["key"] == wait["place"] for effect in self.effects), "it has begun"
            if self.run["status"] == "WAITING" and self.run["waiting_on"].startswith("budget for "):
                sql = "SELECT * FROM budget WHERE run_no = ? AND unit = ?"
                (row,) = _rows(self.connection, sql, wait["purse_no"], wait["unit"])
                short = row["cap"] is not None and row["spent"] + row["reserved"] + wait["asked"] > row["cap"]
                assert wait["status"] == "OPEN" and (short or wait["recheck"]), "nothing is in its way"

    def family(self) -> list[Any]:
        """The run and its descendants."""
        found = [self.run]
        for run in found:
            found += _rows(self.connection, "SELECT * FROM run WHERE parent_no = ?", run["no"])
        return found

    def children_fit(self) -> None:
        """Each child was started by a record of this run and ends in one, unless this run ended first; none is open
        where this run is at its end, and none of its acts is undone before they are."""
        run, rows = self.run, self.children
        begun = [entry for entry in self.entries if entry["kind"] == "child_started"]
        taken = sum(entry["seq"] <= run["source_seq"] for entry in begun)
        started = [json.loads(entry["body"]) for entry in begun][taken:]
        ended = [json.loads(entry["body"]) for entry in self.entries if entry["kind"] == "child_ended"]
        ended = [body for body in ended if body["ordinal"] >= taken]
        found = list(enumerate((row["id"] for row in rows), taken))
        assert [(body["ordinal"], body["child"]) for body in started] == found
        assert [row["parent_ordinal"] for row in rows] == list(range(taken, run["children"]))
        over = {row["id"]: row["status"] for row in rows if _over(row)}
        assert run["children_open"] == len(rows) - len(over)
        told = {body["child"]: body["status"] for body in ended}
        assert len(told) == len(ended), "a child ends once"
        assert told.items() <= over.items()
        if run["end_status"] is None:
            assert told == over
        if _over(run):
            assert not run["children_open"]
        for row in rows:
            assert row["depth"] == run["depth"] + 1
            if run["end_status"] is not None and not _over(row):
                assert row["cancel"] or row["end_status"] is not None
        if run["end_status"] is not None and rows:
            self.undone_after_children(rows)

    def undone_after_children(self, children: list[Any]) -> None:
        """From the story: once the run has ended, the work on its duties begins when every child is at its end. (What a
        person ordered undone before may be under way.)"""
        ended = next(entry["id"] for entry in self.entries if entry["kind"] == "run_ended")
        moved = [entry for entry in self.entries if entry["kind"] == "obligation_moved" and entry["id"] > ended]
        claimed = [entry["id"] for entry in moved if json.loads(entry["body"])["status"] == "CLAIMED"]
        for child in children if claimed else ():
            told = _rows(self.connection, "SELECT id, kind, body FROM entry WHERE run_no = ?", child["no"])
            ends = [row["id"] for row in told if row["kind"] == "run_moved" and _says_end(row)]
            assert ends and ends[0] < claimed[0], f"{claimed[0]} before the end of {child['id']}"

    def forks_fit(self) -> None:
        """A run in quarantine has acted on nothing: no attempt, no duty, every call ended where it began, its children
        in quarantine too; and none of the others has a call of that kind, or an approval that was another run's."""
        run = self.run
        begun = [json.loads(entry["body"]) for entry in self.entries if entry["kind"] == "effect_begun"]
        own = {effect["key"] for effect in self.effects if not effect["inherited"]}
        if run["quarantine"]:
            assert not self.attempts and not self.duties
            assert all(effect["status"] in EFFECT_ENDS for effect in self.effects)
            assert all(child["quarantine"] for child in self.children)
        assert {body["key"] for body in begun if body.get("quarantined")} & own == (own if run["quarantine"] else set())
        if not run["quarantine"]:
            assert not [body["key"] for body in begun if body.get("quarantined")], "taken for real, and only tried"
            for entry in self.entries:
                if entry["kind"] == "child_started":
                    child = json.loads(entry["body"])["child"]
                    rows = _rows(self.connection, "SELECT quarantine FROM run WHERE id = ?", child)
                    assert not any(row["quarantine"] for row in rows), "a child that only tried"
        answered = [json.loads(entry["body"]) for entry in self.entries if entry["kind"] == "gate_answered"]
        void = {f"{body['name']} {body['ordinal']}" for body in answered if body.get("void")}
        assert not void & {body.get("approval") for body in begun if body["key"] in own}
