"""The command line: what it prints where, its exit codes, and that no user's mistake gives more than one line."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tape import cli
from tape.core.clock import SystemClock
from tape.core.journal import gates, runs
from tape.core.journal.gates import Gate
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import ServerUnavailable
from tape.core.marks import Style
from tape.core.report import Paper
from tape.core.server import orders
from tape.core.server.orders import Order, Placed
from tests.core.view_journals import Journal, tamper

REPOSITORY = Path(cli.__file__).parent.parent
YAML = "name: treasury\nagent: app.agent:treasury\njournal: sqlite:///.tape/dev.db\n"
EFFECT = "r-0123456789ab/1/0/wire_money"


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


Tape = Callable[..., Said]


@pytest.fixture
def tape(capsys: pytest.CaptureFixture[str]) -> Tape:
    def run(*arguments: str) -> Said:
        code = cli.main(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Said(code, out, err)

    return run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TAPE_JOURNAL", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tape.yaml").write_text(YAML)
    return tmp_path


@pytest.fixture
def journal(project: Path) -> Iterator[Journal]:
    made = Journal(project / ".tape" / "dev.db")
    yield made
    made.close()


@dataclass
class Desk:
    """Stands where orders are placed and remembers them."""

    result: dict[str, Any] = field(default_factory=dict)
    served: bool = True
    placed: list[Order] = field(default_factory=list)

    def place(self, config: object, order: Order) -> Placed:
        self.placed.append(order)
        return Placed(self.result, self.served)


@pytest.fixture
def desk(project: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk()
    monkeypatch.setattr(orders, "place", made.place)
    return made


def fails(said: Said, code: int, *words: str) -> None:
    assert said.code == code, said
    assert said.out == ""
    assert said.err.count("\n") == 1 and said.err.startswith("tape: "), said.err
    for word in words:
        assert word in said.err


# --- help and usage ---------------------------------------------------------------------------------------------

COMMANDS = (
    "init", "dev", "server", "status", "doctor",
    "run", "kill", "disarm", "step", "thaw", "cancel", "redrive", "answer", "budget", "resolve", "replay", "fork",
    "diff", "export", "import", "gc",
)  # fmt: skip


def test_without_a_command_there_is_help(tape: Tape) -> None:
    said = tape()
    assert (said.code, said.err) == (0, "")
    assert all(f"\n  {command}" in said.out for command in COMMANDS)
    assert tape("--help").out == tape("-h").out == said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(tape: Tape, command: str) -> None:
    said = tape(command, "--help")
    assert (said.code, said.err) == (0, "")
    assert "Example" in said.out
    assert f"\n    tape {command}" in said.out


def test_version(tape: Tape) -> None:
    said = tape("--version")
    assert said.code == 0
    assert said.out.startswith("tape 0.")


@pytest.mark.parametrize(
    "arguments",
    [
        ["statsu"],
        ["status", "--no-such-option"],
        ["status", "a", "b"],
        ["status", "--limit", "-1"],
        ["status", "--limit", "many"],
        ["init"],
        ["cancel"],
        ["redrive"],
        ["kill", "--signal", "HUP"],
        ["kill", "--at", "effect.began"],
        ["kill", "--at", "at:"],
        ["kill", "--tool", "wire_money"],
        ["kill", "--decision", "0"],
        ["kill", "--nth", "1"],
        ["kill", "--at", "effect.acted", "--nth", "0"],
        ["kill", "--signal", "LOST"],
        ["kill", "--signal", "HOLD"],
        ["kill", "--each-run"],
        ["kill", "--at", "effect.acted", "--each-run", "--run", "r-1"],
        ["disarm", "effect.began"],
        ["step", "--to", "effect.began"],
        ["step", "--to", "effect.begun", "--go"],
        ["step", "--tool", "wire_money"],
        ["step", "--go", "--nth", "2"],
        ["dev", "--kill-at", "effect.acted"],
        ["dev", "--without-tape"],
        ["dev", "--kill-resume-demo", "--kill-at", "no.such.point"],
        ["answer", "r-1", "pay"],
        ["answer", "r-1", "pay", "approve", "--ordinal", "-1"],
        ["answer", "r-1", "pay", "approve", "--ordinal", "one"],
        ["resolve", EFFECT],
        ["resolve", EFFECT, "--fail"],
        ["resolve", EFFECT, "--fail", "--reason", " "],
        ["resolve", EFFECT, "--fail", "--retry", "--reason", "x"],
        ["resolve", EFFECT, "--confirm", "{", "--reason", "x"],
        ["resolve", "no-key", "--fail", "--reason", "x"],
        ["init", "No Name"],
        ["init", "../outside"],
        ["run", "--input"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line(tape: Tape, project: Path, arguments: list[str]) -> None:
    fails(tape(*arguments), 2)
    assert [path.name for path in project.iterdir()] == ["tape.yaml"]


def test_a_usage_error_names_the_help(tape: Tape) -> None:
    assert tape("status", "--folow").err.endswith("see `tape status --help`\n")
    assert tape("nothing").err.endswith("see `tape --help`\n")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("pay invoice 7", "a text needs quotes of its own: --input '\"pay invoice 7\"'"),
        ("", "is not JSON"),
        ("{'a': 1}", "is not JSON"),
        ("NaN", "nan is not JSON"),
        ("1e999", "inf is not JSON"),
        ("99999999999999999999", "beyond 64 bits"),
        ('"\\ud800"', "lone surrogate"),
        ("[" * 100_000, "nested too deep"),
        ("[" * 300 + "]" * 300, "nested deeper than 200"),
        ('"' + "x" * (1 << 20) + '"', "over 1 MiB"),
        ("\x1b[2J", r"\u001b[2J"),
    ],
    ids=range(11),
)
def test_input_that_is_not_json(tape: Tape, project: Path, text: str, word: str) -> None:
    fails(tape("run", "--input", text), 2, "--input", word)
    assert not (project / ".tape").exists()


@pytest.mark.parametrize("command", ["status", "doctor", "run", "kill", "thaw", "server", "dev"])
def test_outside_a_project(tape: Tape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)
    fails(tape(command), 2, "no tape.yaml", "tape init NAME")


@pytest.mark.parametrize("text", ["", "name: [", "nam: treasury", "name: a\nagent: 5", "\0"])
def test_a_project_file_that_is_wrong(tape: Tape, project: Path, text: str) -> None:
    (project / "tape.yaml").write_text(text)
    fails(tape("status"), 2, "tape.yaml")


def test_init(tape: Tape, project: Path) -> None:
    said = tape("init", "treasury")
    assert (said.code, said.err) == (0, "")
    assert "tape dev --kill-resume-demo" in said.out
    assert (project / "treasury" / "tape.yaml").is_file()
    fails(tape("init", "treasury"), 2, "exists")


# --- status -----------------------------------------------------------------------------------------------------


def test_no_journal_yet(tape: Tape, project: Path) -> None:
    said = tape("status")
    assert said.code == 0
    assert said.out.split() == ["run", "state", "agent", "decisions", "effects", "lease", "waiting", "on", "age"]
    assert said.err.count("\n") == 1 and "no runs yet" in said.err
    said = tape("status", "--json")
    assert (said.code, json.loads(said.out)) == (0, [])
    assert not (project / ".tape").exists()
    fails(tape("status", "r-000000000000"), 3, "no journal at")


def test_the_table(tape: Tape, journal: Journal) -> None:
    survived, running, (stuck, _), new = journal.survived(), journal.running(), journal.stuck(), journal.start()
    waiting, _, _ = journal.killed()
    said = tape("status")
    assert (said.code, said.err) == (0, "")
    rows = {line.split()[0]: " ".join(line.split()[1:-1]) for line in said.out.splitlines()[1:-1]}
    assert rows == {
        waiting: "◇ WAITING treasury decisions=2 effects=1 - look-up of 1/0/wire_money",
        new: "○ RUNNABLE treasury decisions=0 effects=0 - -",
        stuck: "! STUCK treasury decisions=1 effects=1 - a person",
        running: "● RUNNING treasury decisions=1 effects=0 12345#1 -",
        survived: "✓ TERMINAL treasury decisions=3 effects=1 - -",
    }
    assert said.out.splitlines()[-1] == "5 runs: 1 RUNNABLE, 1 RUNNING, 1 STUCK, 1 WAITING, 1 ended"
    assert "\x1b" not in said.out


def test_status_as_json(tape: Tape, journal: Journal) -> None:
    survived, running = journal.survived(), journal.running()
    said = tape("status", "--json")
    first, second = json.loads(said.out)
    assert (first["id"], second["id"]) == (running, survived)
    names = "id agent status decisions effects epoch worker waiting_on created_at updated_at error"
    assert set(first) >= set(names.split())
    assert first["worker"] == {"no": 3, "host": "here", "pid": 12345}
    assert second["worker"] is None
    assert (second["status"], second["decisions"], second["effects"], second["epoch"]) == ("TERMINAL", 3, 1, 3)
    assert second["created_at"] == "2027-01-15T08:00:00.001000Z"


def test_a_limit_never_hides_a_run_that_is_open(tape: Tape, journal: Journal) -> None:
    stuck, _ = journal.stuck()
    ended = [journal.whole() for _ in range(4)]
    said = tape("status", "--limit", "2")
    assert [line.split()[0] for line in said.out.splitlines()[1:-1]] == [ended[3], ended[2], stuck]
    assert "2 older ended ones are not shown (--limit 0 shows all)" in said.out
    assert len(tape("status", "--limit", "0").out.splitlines()) == 7
    assert len(tape("status", "--limit", "9").out.splitlines()) == 7
    assert len(json.loads(tape("status", "--json", "--limit", "1").out)) == 2


def test_one_run_says_what_it_needs(tape: Tape, journal: Journal) -> None:
    run_id, key = journal.stuck()
    journal.start()
    said = tape("status", run_id)
    assert said.out.count("STUCK") == 1
    assert f"! only a person can know whether {key} happened" in said.out
    assert f"  tape resolve {key} --fail --reason" in said.out
    assert json.loads(tape("status", run_id, "--json").out)[0]["id"] == run_id
    fails(tape("status", "r-000000000000"), 2, "no run r-000000000000", "`tape status` lists them")


def test_hostile_text_does_not_reach_the_terminal(tape: Tape, journal: Journal) -> None:
    run_id = journal.start(agent="evil\x1b[2J\u202e\n", input="\x1b]0;\u200b\u202e")
    tamper(journal.path, "UPDATE run SET waiting_on = 'a' || char(27) || '[31m' || char(10) || 'b'")
    for arguments in (["status"], ["status", run_id], ["status", "--json"], ["doctor", "--dump-run", run_id]):
        said = tape(*arguments)
        assert said.code == 0
        assert not set(said.out + said.err) & set("\x1b\u202e\u200b")
    assert "\\u202e" in tape("status").out
    assert tape("status", "--json").out.isascii()
    assert tape("doctor", "--dump-run", run_id, "--json").out.isascii()


def at_each_sleep(monkeypatch: pytest.MonkeyPatch, *acts: Callable[[], object]) -> None:
    """Lets each sleep of the command do one thing instead; after the last one comes Ctrl-C."""
    due = iter(acts)

    def sleep(clock: SystemClock, seconds: float) -> None:
        act = next(due, None)
        if act is None:
            raise KeyboardInterrupt
        act()

    monkeypatch.setattr(SystemClock, "sleep", sleep)


def test_follow_prints_each_new_entry(tape: Tape, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.running()
    new: list[str] = []
    at_each_sleep(monkeypatch, lambda: new.append(journal.start()), lambda: None)
    said = tape("status", "--follow")
    assert said.code == 130
    assert said.err == ""
    table, feed = said.out.splitlines()[:3], said.out.splitlines()[3:]
    assert table[1].split()[2] == "RUNNING"
    assert feed == [f'08:00:00.082Z {new[0]} → run_started  treasury  "pay invoice 7"  by me@here']


def test_follow_as_json_is_one_object_per_line(tape: Tape, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    first = journal.start()
    at_each_sleep(monkeypatch, journal.whole)
    said = tape("status", "--follow", "--json")
    objects = [json.loads(line) for line in said.out.splitlines()]
    assert [entry["kind"] for entry in objects][:2] == ["run_started", "worker_started"]
    assert objects[0]["run"] != first
    assert [entry["id"] for entry in objects] == sorted(entry["id"] for entry in objects)


def test_follow_of_one_run(tape: Tape, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = journal.start()
    epoch = journal.grant(run_id, journal.worker())
    at_each_sleep(monkeypatch, journal.whole, lambda: journal.decide(run_id, epoch, 0, "hi"))
    said = tape("status", run_id, "--follow")
    assert ["decision 0" in line or "charge" in line for line in said.out.splitlines()[2:]] == [True, True]


def test_follow_waits_for_the_journal(tape: Tape, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Journal] = []
    at_each_sleep(
        monkeypatch,
        lambda: None,
        lambda: made.append(Journal(project / ".tape" / "dev.db")),
        lambda: made[0].start(),
    )
    said = tape("status", "--follow")
    made[0].close()
    assert said.code == 130
    assert "no runs yet" in said.err
    assert "run_started" in said.out


# --- journals that cannot be read -------------------------------------------------------------------------------

READING = (["status"], ["status", "--json"], ["status", "--follow"], ["doctor", "--dump-run", "r-000000000000"])


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_newer_journal(tape: Tape, journal: Journal, arguments: list[str]) -> None:
    tamper(journal.path, "PRAGMA user_version = 99")
    fails(tape(*arguments), 3, "has schema 99", "upgrade tape-agents")


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_no_journal_at_all(tape: Tape, project: Path, arguments: list[str]) -> None:
    (project / ".tape").mkdir()
    (project / ".tape" / "dev.db").write_text("this is a text\n" * 1000)
    fails(tape(*arguments), 3, "it is no journal")


# --- doctor -----------------------------------------------------------------------------------------------------


def test_a_sound_journal(tape: Tape, journal: Journal) -> None:
    journal.survived()
    said = tape("doctor")
    assert (said.code, said.err) == (0, "")
    assert "dev.db  1 run, 28 entries\n  ✓ nothing wrong\n" in said.out
    assert said.out.splitlines()[-1] == "fine" or said.out.splitlines()[-1].startswith("0 errors, ")


def test_a_damaged_journal(tape: Tape, journal: Journal) -> None:
    run_id = journal.survived()
    tamper(journal.path, "UPDATE run SET seq = 3")
    said = tape("doctor")
    assert said.code == 3
    assert f"✗ error: {run_id} the run counts 3 records, its tape holds 10" in said.out
    body = json.loads(tape("doctor", "--json").out)
    assert body["ok"] is False
    assert {"severity": "error", "run": run_id} == {
        name: finding[name] for finding in body["findings"] if finding["run"] for name in ("severity", "run")
    }


@pytest.mark.parametrize("damage", ["PRAGMA user_version = 99", "PRAGMA application_id = 1"])
def test_doctor_says_why_a_journal_cannot_be_read(tape: Tape, journal: Journal, damage: str) -> None:
    tamper(journal.path, damage)
    said = tape("doctor")
    assert (said.code, said.err) == (3, "")
    assert "✗ error: the journal " in said.out


def test_much_damage_stays_readable(tape: Tape, journal: Journal) -> None:
    for _ in range(120):
        journal.start()
    tamper(journal.path, "UPDATE run SET seq = 9")
    said = tape("doctor")
    assert said.out.count("counts 9 records") == 100
    assert "  20 more; --json prints all" in said.out
    assert said.out.count("restore a backup") == 1
    assert said.out.splitlines()[-1].startswith("120 errors, ")
    assert len(json.loads(tape("doctor", "--json").out)["findings"]) >= 120


def test_doctor_before_the_first_run(tape: Tape, project: Path) -> None:
    said = tape("doctor")
    assert said.code == 0
    assert "no journal at" in said.out


def test_a_dump_is_readable(tape: Tape, journal: Journal) -> None:
    run_id = journal.survived()
    said = tape("doctor", "--dump-run", run_id)
    assert (said.code, said.err) == (0, "")
    sections = [line for line in said.out.splitlines() if line and not line.startswith(" ")]
    assert sections[2:] == ["entries", "decisions", "effects", "attempts", "budget", "leases", "crashes and questions"]
    for expected in (
        '     2  08:00:00.081Z  ✓ decision 0  ask_model  {"say": "a plan"}',
        '  decision 0  seq 2  ask_model  210 tokens $0.002  {"say": "a plan"}',
        f"  ✓ CONFIRMED  {run_id}/1/0/wire_money  non_idempotent  1 attempt  observed by reconciler (N-present)",
        '      result: {"wire_id": "w-1", "to": "ACME", "amount_minor": 12500}',
        "  body 1 of 1/0/wire_money  by agent in w1, pid 12345  epoch 1  08:00:00.161Z  SIGKILL after 0 µs",
        "  tokens  spent 630  reserved 0  no cap",
        "  ✗ epoch 1  drive 1  w1, pid 12345 on here  from seq 2  08:00:00.001Z  DIED after 160 ms: SIGKILL",
    ):
        assert expected in said.out.splitlines()


def test_a_dump_as_json(tape: Tape, journal: Journal) -> None:
    run_id = journal.survived()
    body = json.loads(tape("doctor", "--dump-run", run_id, "--json").out)
    assert set(body) >= {"run", "entries", "decisions", "effects", "attempts", "budget", "leases"}
    assert body["effects"][0]["status"] == "CONFIRMED"
    assert len(body["decisions"]) == 3
    fails(tape("doctor", "--dump-run", "r-000000000000"), 2, "no run r-000000000000")


# --- orders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "verb", "run_id", "args", "reason"),
    [
        (["cancel", "r-1", "--reason", "why"], "cancel", "r-1", {}, "why"),
        (["redrive", "r-1"], "redrive", "r-1", {}, ""),
        (
            ["answer", "r-1", "pay", "approve", "--ordinal", "1", "--reason", "seen"],
            "answer",
            "r-1",
            {"gate": "pay", "value": "approve", "ordinal": 1},
            "seen",
        ),
        (
            ["resolve", EFFECT, "--confirm", '{"id": 1}', "--reason", "seen"],
            "resolve",
            "r-0123456789ab",
            {"key": EFFECT, "how": "confirm", "result": {"id": 1}},
            "seen",
        ),
        (
            ["resolve", f"{EFFECT}/undo/1", "--retry", "--reason", "again"],
            "resolve",
            "r-0123456789ab",
            {"key": f"{EFFECT}/undo/1", "how": "retry", "result": None},
            "again",
        ),
        (
            ["kill", "--run", "r-1", "--at", "effect.acted", "--tool", "t", "--decision", "1", "--signal", "stop"],
            "kill",
            "r-1",
            {"at": "effect.acted", "tool": "t", "decision_index": 1, "nth": 1, "signal": "STOP", "each_run": None},
            "",
        ),
        (
            ["kill", "--at", "effect.acted", "--each-run"],
            "kill",
            None,
            {"at": "effect.acted", "tool": None, "decision_index": None, "nth": 1, "signal": "KILL", "each_run": True},
            "",
        ),
        (["disarm"], "disarm", None, {"at": None}, ""),
        (["disarm", "at:mine"], "disarm", None, {"at": "at:mine"}, ""),
        (["step"], "step", None, {}, ""),
        (["step", "--run", "r-1", "--go"], "step", "r-1", {"go": True}, ""),
        (
            ["step", "--to", "effect.begun", "--tool", "t", "--nth", "2"],
            "step",
            None,
            {"to": "effect.begun", "tool": "t", "decision_index": None, "nth": 2},
            "",
        ),
        (
            ["run", "treasury", "--input", '"pay"', "--key", "k"],
            "start",
            None,
            {"agent": "treasury", "input": "pay", "key": "k"},
            "",
        ),
    ],
    ids=[
        "cancel",
        "redrive",
        "answer",
        "confirm",
        "retry",
        "kill",
        "kill-each",
        "disarm",
        "disarm-one",
        "step",
        "go",
        "to",
        "run",
    ],
)
def test_orders(
    tape: Tape, desk: Desk, arguments: list[str], verb: str, run_id: str | None, args: dict[str, Any], reason: str
) -> None:
    arm, moved = {"at": "run.ended", "signal": "TERM"}, {"run": "r-1", "from": None, "to": None, "go": False}
    desk.result = {"run": "r-1", "status": "RUNNABLE", "armed": {}, "disarmed": [arm], "stepped": [moved]}
    desk.result |= {"gate": "pay", "ordinal": 1, "answer": "approve"}
    said = tape(*arguments)
    assert (said.code, said.err) == (0, "")
    (order,) = desk.placed
    assert (order.verb, order.run_id, dict(order.args), order.reason) == (verb, run_id, args, reason)
    assert "@" in order.actor


def test_what_orders_print(tape: Tape, desk: Desk) -> None:
    desk.result = {"status": "CANCELLED"}
    assert tape("cancel", "r-1").out == "r-1 CANCELLED\n"
    assert json.loads(tape("cancel", "r-1", "--json").out) == {
        "run": "r-1",
        "order": "cancel",
        "status": "CANCELLED",
        "served": True,
    }
    desk.result = {"killed": [7, 8]}
    assert tape("kill").out == "killed pid 7\nkilled pid 8\n"
    assert json.loads(tape("kill", "--json").out) == {"killed": [7, 8]}
    desk.result = {"killed": []}
    assert tape("kill") == Said(1, "", "no agent to kill\n")
    desk.result = {"armed": {}}
    assert tape("kill", "--at", "at:mine").out == "armed at:mine: KILL\n"
    desk.result = {"thawed": [7]}
    assert tape("thaw").out == "thawed pid 7\n"
    desk.result = {"thawed": []}
    assert tape("thaw") == Said(1, "", "no agent is stopped\n")


@pytest.mark.parametrize(
    ("moved", "line"),
    [
        (("r-1", "effect.begun", None, False), "r-1 goes on from effect.begun and stops at the next place"),
        (("r-1", "effect.begun", "run.ended", False), "r-1 goes on from effect.begun and stops at run.ended"),
        (("r-1", None, None, False), "r-1 stops at the next place"),
        ((None, None, "run.ended", False), "the next run stops at run.ended"),
        (("r-1", "effect.begun", None, True), "r-1 goes on from effect.begun"),
        (("r-1", None, None, True), "r-1 does not stop"),
        ((None, None, None, True), "the next run does not stop"),
    ],
)
def test_what_a_step_prints(
    tape: Tape, desk: Desk, moved: tuple[str | None, str | None, str | None, bool], line: str
) -> None:
    one = dict(zip(("run", "from", "to", "go"), moved, strict=True))
    desk.result = {"stepped": [one, one]}
    assert tape("step").out == f"{line}\n{line}\n"
    assert json.loads(tape("step", "--json").out) == {"stepped": [one, one]}


def test_what_is_not_there_to_step_or_disarm(tape: Tape, desk: Desk) -> None:
    desk.result = {"stepped": [], "disarmed": []}
    assert tape("step", "--go") == Said(1, "", "no run is in step mode\n")
    assert tape("step", "--run", "r-1", "--go") == Said(1, "", "r-1 is not in step mode\n")
    assert tape("disarm") == Said(1, "", "nothing is armed\n")
    assert tape("disarm", "run.ended") == Said(1, "", "run.ended is not armed\n")
    desk.result = {"disarmed": [{"at": "run.ended", "signal": "HOLD"}]}
    assert tape("disarm").out == "disarmed run.ended: HOLD\n"
    assert json.loads(tape("disarm", "--json").out) == desk.result


@pytest.mark.parametrize(
    ("arguments", "found", "why"),
    [
        (["kill"], {"killed": []}, "no agent to kill\n"),
        (["disarm"], {"disarmed": []}, "nothing is armed\n"),
        (["step", "--go"], {"stepped": []}, "no run is in step mode\n"),
        (["thaw"], {"thawed": []}, "no agent is stopped\n"),
    ],
)
def test_nothing_to_do_is_exit_1_as_json_too(
    tape: Tape, desk: Desk, arguments: list[str], found: dict[str, Any], why: str
) -> None:
    desk.result = found
    said = tape(*arguments, "--json")
    assert (said.code, json.loads(said.out), said.err) == (1, found, why)


def test_without_a_server_orders_are_recorded(tape: Tape, desk: Desk) -> None:
    desk.served, desk.result = False, {"run": "r-1"}
    said = tape("run")
    assert (said.code, said.out) == (0, "r-1\n")
    assert said.err == "recorded; start `tape dev` to drive it\n"
    said = tape("run", "--wait")
    assert (said.code, said.out) == (3, "r-1\n")
    assert "r-1 is recorded, but no server runs to drive it" in said.err
    said = tape("run", "--wait", "--json")
    assert (said.code, json.loads(said.out)) == (3, {"run": "r-1", "served": False})


def test_a_run_is_durable_when_its_id_is_printed(tape: Tape, project: Path) -> None:
    said = tape("run", "--input", '{"invoice": 7}', "--key", "invoice-7")
    run_id = said.out.strip()
    assert said.code == 0
    with open_reader(project / ".tape" / "dev.db") as reader:
        (entry, *_) = reader.entries(run_id=run_id)
        assert entry.event.kind == "run_started"
        assert (entry.event.input, entry.event.start_key) == ({"invoice": 7}, "invoice-7")
    assert tape("run", "--input", '{"invoice": 7}', "--key", "invoice-7").out.strip() == run_id
    said = tape("run", "--input", '{"invoice": 8}', "--key", "invoice-7")
    assert said.code == 1
    assert "use another --key for another run" in said.err
    fails(tape("run", "treasurry"), 2, "treasury")


def test_a_person_looks_at_a_purse_and_raises_a_cap(tape: Tape, journal: Journal) -> None:
    run_id, _ = journal.stuck()
    journal.close()
    assert tape("budget", run_id).out.splitlines() == [
        "tokens  spent 210  reserved 0  no cap",
        "usd  spent $0.002  reserved $0.00  no cap",
    ]
    said = tape("budget", run_id, "--usd", "2.50", "--calls", "wire_money=3", "--reason", "worth it")
    assert said.out.splitlines()[0].startswith("calls:wire_money  spent 0  reserved ")
    shown = json.loads(tape("budget", run_id, "--json").out)
    assert [(row["unit"], row["cap"]) for row in shown["budget"]] == [
        ("calls:wire_money", 3),
        ("tokens", None),
        ("usd_micro", 2_500_000),
    ]
    assert shown["budget"][2]["left"] == 2_498_000 and shown["run"] == run_id
    with open_reader(journal.path) as reader:
        raised = [entry.event for entry in reader.entries(run_id=run_id) if entry.event.kind == "budget_raised"]
    assert [(event.unit, event.cap, event.reason) for event in raised] == [
        ("calls:wire_money", 3, "worth it"),
        ("usd_micro", 2_500_000, "worth it"),
    ]
    fails(tape("budget", run_id, "--tokens", "209"), 1, "210 tokens", "set the cap to that or more, not to 209 tokens")
    fails(tape("budget", "r-000000000000"), 2, "no run r-000000000000")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--usd", "nan"], "--usd is nan"),
        (["--usd", "-1"], "--usd is -1.0"),
        (["--usd", "1e30"], "--usd is 1e+30"),
        (["--tokens", "-5"], "--tokens is -5"),
        (["--calls", "wire"], "--calls is 'wire'"),
        (["--calls", "wire=-1"], "--calls is 'wire=-1'"),
        (["--calls", "=1"], "--calls is '=1'"),
        (["--calls", "w=1", "--calls", "w=2"], "--calls w is given twice"),
        (["--reason", "just so"], "--reason goes with a cap"),
    ],
)
def test_what_is_no_cap_is_one_line(tape: Tape, journal: Journal, arguments: list[str], says: str) -> None:
    run_id, _ = journal.stuck()
    journal.close()
    fails(tape("budget", run_id, *arguments), 2, says)


def test_a_person_settles_what_only_a_person_can_know(tape: Tape, journal: Journal) -> None:
    run_id, key = journal.stuck()
    journal.close()
    assert tape("resolve", key, "--fail", "--reason", "the bank has no such wire").out == f"{run_id} RUNNABLE\n"
    with open_reader(journal.path) as reader:
        (order,) = reader.dump(run_id).orders
    assert (order.verb, order.reason) == ("resolve", "the bank has no such wire")
    fails(tape("redrive", run_id), 1, "there is nothing to redrive")
    assert tape("cancel", run_id).out == f"{run_id} CANCELLED\n"
    fails(tape("cancel", "r-000000000000"), 2, "no run r-000000000000")


def test_a_gate_is_answered_once(tape: Tape, journal: Journal) -> None:
    run_id, worker = journal.start(), journal.worker()
    epoch = journal.grant(run_id, worker)
    asked = Gate("pay", 0, "Pay?", ("approve", "deny"), "f")
    journal.writer.apply(lambda tx: gates.open_gate(tx, run_id, epoch, asked))
    journal.writer.apply(lambda tx: runs.park(tx, run_id, epoch, ["gate pay 0"], "waiting"))
    journal.close()
    fails(tape("answer", run_id, "pya", "approve"), 2, "did you mean pay")
    fails(tape("answer", run_id, "pay", "aprove"), 2, "did you mean approve")
    fails(tape("answer", "r-000000000000", "pay", "approve"), 2, "no run r-000000000000")
    assert "gate pay 0" in tape("status", run_id).out
    said = tape("answer", run_id, "pay", "approve", "--reason", "fine")
    assert (said.code, said.out) == (0, f"{run_id} gate pay 0: approve\n")
    assert said.err == "recorded; start `tape dev` to drive it\n"
    late = tape("answer", run_id, "pay", "deny", "--ordinal", "0")
    assert (late.code, late.out) == (1, "")
    assert "was answered already: approve, by " in late.err
    body = tape("answer", run_id, "pay", "deny", "--ordinal", "0", "--json")
    assert body.code == 1
    told = json.loads(body.out)
    assert (told["order"], told["status"], told["answer"], told["served"]) == ("answer", "refused", "approve", False)
    early = tape("answer", run_id, "pay", "deny", "--ordinal", "1")
    used = "used when the run comes to it, unless it approves a call"
    assert (early.code, early.out) == (0, f"{run_id} gate pay 1: deny, {used}\n")
    with open_reader(journal.path) as reader:
        dump = reader.dump(run_id)
    assert [(gate.ordinal, gate.status, gate.answer) for gate in dump.gates] == [
        (0, "ANSWERED", "approve"),
        (1, "EARLY", "deny"),
    ]
    assert dump.orders[0].reason == "fine" and "@" in dump.gates[0].actor
    dumped = tape("doctor", "--dump-run", run_id)
    assert "gate pay 0  ANSWERED  approve by " in dumped.out and "gate pay 1  EARLY  deny" in dumped.out
    assert tape("cancel", run_id).out == f"{run_id} CANCELLED\n"
    fails(tape("answer", run_id, "pay", "approve"), 1, "has ended (CANCELLED)")


@pytest.mark.parametrize("command", ["kill", "thaw", "step", "disarm"])
def test_some_orders_need_a_server(tape: Tape, project: Path, command: str) -> None:
    fails(tape(command), 3, "no server runs for this project")


def test_an_error_of_the_server_is_one_line(tape: Tape, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: object, order: Order) -> Placed:
        raise ServerUnavailable("it\nhas\x1b[2J gone")

    monkeypatch.setattr(orders, "place", refuse)
    fails(tape("kill"), 3, r"it has\x1b[2J gone")


# --- run --wait -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tell", "code", "status"),
    [("survived", 0, "✓ TERMINAL"), ("stuck", 1, "! STUCK"), ("failed", 1, "✗ FAILED")],
)
def test_waiting_for_the_end(tape: Tape, desk: Desk, journal: Journal, tell: str, code: int, status: str) -> None:
    if tell == "failed":
        run_id = journal.start()
        epoch = journal.grant(run_id, journal.worker())
        journal.finish(run_id, epoch, "FAILED", None, {"type": "ValueError", "message": "no"})
    else:
        run_id = journal.survived() if tell == "survived" else journal.stuck()[0]
    desk.result = {"run": run_id}
    said = tape("run", "--wait")
    assert (said.code, said.out) == (code, f"{run_id}\n")
    assert said.err.startswith(f"{run_id} {status} decisions=")


def test_waiting_polls_until_the_end(tape: Tape, desk: Desk, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = journal.start()
    epoch = journal.grant(run_id, journal.worker())
    desk.result = {"run": run_id}
    at_each_sleep(monkeypatch, lambda: None, lambda: journal.finish(run_id, epoch, result={"paid": True}))
    said = tape("run", "--wait", "--json")
    assert said.code == 0
    assert json.loads(said.out) == {"run": run_id, "status": "TERMINAL", "error": "", "result": {"paid": True}}


def test_waiting_says_when_no_server_is_left(
    tape: Tape, desk: Desk, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.result = {"run": journal.start()}
    at_each_sleep(monkeypatch, *[lambda: None] * 100)
    said = tape("run", "--wait")
    assert said.code == 130
    assert said.err == "no server runs any more: start `tape dev` to drive it; still waiting\n"


# --- as a process -----------------------------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from tape.cli import main; sys.exit(main())", *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **more}


HEAVY = ("sqlmodel", "sqlalchemy", "pydantic", "psutil", "textual", "rich", "asyncio")


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["doctor"]], ids=" ".join)
def test_looking_loads_nothing_heavy(journal: Journal, arguments: list[str]) -> None:
    journal.survived()
    code = (
        f"import sys; from tape.cli import main; main({arguments}); "
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment(PYTHONIOENCODING="utf-8"),
    )
    assert done.stderr == "[]\n"


def test_a_terminal_that_knows_only_ascii(journal: Journal) -> None:
    journal.survived()
    done = subprocess.run(command("status"), capture_output=True, check=True, env=environment(PYTHONIOENCODING="ascii"))
    assert rb"\u2713 TERMINAL" in done.stdout
    assert done.stderr == b""


def test_a_reader_that_goes_away(journal: Journal) -> None:
    for _ in range(400):
        journal.start()
    receive, send = os.pipe()
    os.close(receive)
    done = subprocess.run(command("status", "--json"), stdout=send, stderr=subprocess.PIPE, env=environment())
    os.close(send)
    assert done.returncode in (1, 141)
    assert done.stderr == b""


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [["status", "--json"], ["--version"]], ids=" ".join)
def test_an_output_that_takes_nothing_is_one_line(journal: Journal, arguments: list[str], unbuffered: str) -> None:
    for _ in range(60):
        journal.start()
    told = environment(PYTHONUNBUFFERED=unbuffered)
    with FULL.open("w") as full:
        done = subprocess.run(command(*arguments), stdout=full, stderr=subprocess.PIPE, env=told, text=True)
    assert done.returncode == 3
    assert done.stderr.startswith("tape: ") and done.stderr.endswith("No space left on device\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_errors_that_cannot_be_told_keep_their_exit_code(project: Path) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(command("status", "r-1"), stdout=subprocess.PIPE, stderr=full, env=environment())
    assert (done.returncode, done.stdout) == (3, b"")


@pytest.mark.parametrize(
    ("closed", "code", "told"),
    [
        (">&-", 3, ["", "tape: standard output: Bad file descriptor\n"]),
        ("2>&-", 0, ["[]\n", ""]),
        ("<&-", 0, ["[]\n", "no runs yet: "]),
    ],
)
def test_a_stream_that_is_closed(project: Path, closed: str, code: int, told: list[str]) -> None:
    line = ["sh", "-c", f'exec "$@" {closed}', "sh", *command("status", "--json")]
    done = subprocess.run(line, capture_output=True, env=environment(), text=True)
    assert (done.returncode, done.stdout) == (code, told[0])
    assert (told[1] in done.stderr and done.stderr.count("\n") <= 2) if told[1] else not done.stderr


def test_what_the_machine_refuses_is_one_line(tape: Tape, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: object, order: Order) -> Placed:
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", ".tape/x")

    monkeypatch.setattr(orders, "place", refuse)
    fails(tape("kill"), 3, ".tape/x: Not a directory")


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    code = "import os, sys; os.rmdir('../gone'); from tape.cli import main; sys.exit(main(['status']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("tape: ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_only_where_they_are_wanted(environ: dict[str, str], coloured: bool) -> None:
    screen = Terminal()
    Paper(screen, environ).say("✓ TERMINAL", Style.SUCCESS)
    assert screen.getvalue() == ("\x1b[32m✓ TERMINAL\x1b[0m\n" if coloured else "✓ TERMINAL\n")
    pipe = io.StringIO()
    Paper(pipe, environ).say("✓ TERMINAL", Style.SUCCESS)
    assert pipe.getvalue() == "✓ TERMINAL\n"
