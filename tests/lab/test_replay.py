"""`tape replay` with real processes: what it says of changed code; nothing is executed, and nothing is left."""

from __future__ import annotations

import hmac
import os
import sqlite3
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tape.core.bundles import export_run, import_file
from tape.core.clock import SystemClock
from tape.core.config import Config, load_config
from tape.core.journal import children, effects, forks, gates, records, runs, workers
from tape.core.journal.effects import Call, Ending, ToolPolicy
from tape.core.journal.records import Usage
from tape.core.journal.transaction import Tx
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import JournalUnavailable, NotFound, UsageError
from tape.core.kernel.events import Decision, Sample
from tape.core.kernel.hidden import identified
from tape.core.kernel.identity import fingerprint, hash_json
from tape.core.kernel.lifecycle import EffectStatus, WorkerTrigger
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.kernel.resolution import Dispatch
from tape.core.redact_key import redact_key
from tape.core.server.supervisor import carriers
from tape.lab import replay
from tape.lab.replay import Replayed, Verdict, replay_run

HEAD = """
import asyncio, os, subprocess, sys, time
import tape

def touched(name):
    open(os.path.join(os.path.dirname(__file__), name + ".touched"), "w").close()

@tape.tool(semantics="idempotent")
async def pay(to: str, amount: int = 1) -> str:
    touched("pay")
    return "paid " + to

@pay.observe
async def look(effect):
    touched("look")
    return tape.absent()

def think(question: str) -> str:
    touched("think")
    return "thought"

def draw() -> int:
    touched("draw")
    return 7

@tape.agent
async def clerk(run: tape.Run, task: str):
"""
BODY = """
    print("garbage " * 100)
    thought = await run.decide(think, task)
    paid = await pay("ACME")
    drawn = await run.sample(draw)
    return [thought, paid, drawn, 1]
"""


class Desk:
    """A project, and a journal with one run of its agent, written by the journal's own verbs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "tape.yaml").write_text("name: t\nagent: app:clerk\njournal: sqlite:///.tape/dev.db\n")
        self.code(BODY)
        self.config: Config = load_config(root, {})
        self.run = ""

    def code(self, body: str, head: str = HEAD) -> None:
        (self.root / "app.py").write_text(head + textwrap.indent(textwrap.dedent(body), "    "))

    def record(
        self, upto: int = 8, *, code: str = "", end: dict[str, Any] | None = None, question: str = "task"
    ) -> str:
        """1 started, 2-3 decision, 4-5 effect, 6 sample, 7 end."""
        clock = SystemClock()
        writer = Writer(self.config.journal, clock)
        usage = Usage()

        def write(tx: Tx) -> str:
            run_id = runs.start_run(tx, "clerk", "task")
            worker = workers.start_worker(tx, clock.nonce(), 100, 7, clock.boot_id, "here")
            workers.move_worker(tx, worker, WorkerTrigger.HELLO)
            epoch = runs.grant(tx, run_id, worker, ttl_us=10**12, concurrency=9, recovery=RecoveryPolicy()).epoch
            request = {"args": [question], "kwargs": {}}
            asked = fingerprint("decision", "think", request)
            decision = Decision(index=0, name="think", fingerprint=asked, request=request, reply="thought", code=code)
            args = {"to": "ACME", "amount": 1}
            sample = Sample(index=0, name="draw", fingerprint=fingerprint("sample", "draw", None), value=7)
            ended = end or {"outcome": "TERMINAL", "result": ["thought", "paid ACME", 7, 1], "error": None}
            steps: list[Callable[[], Any]] = [
                lambda: records.record_decision(tx, run_id, epoch, decision, usage),
                lambda: effects.begin_effect(
                    tx, run_id, epoch, Call(0, 0, "pay", args, ToolPolicy()), fingerprint("effect", "pay", args)
                ),
                lambda: effects.end_effect(
                    tx, run_id, epoch, f"{run_id}/0/0/pay", 1, Ending(EffectStatus.CONFIRMED, "paid ACME"), None
                ),
                lambda: records.record_sample(tx, run_id, epoch, sample),
                lambda: runs.end_run(tx, run_id, epoch, **ended),
            ]
            for at, step in zip((2, 4, 5, 6, 7), steps, strict=True):
                if at <= upto:
                    step()
            return run_id

        self.run = writer.apply(write)
        writer.close()
        return self.run

    def replay(self, within: float = 20.0) -> Replayed:
        before = self.state()
        found = replay_run(self.config, self.run, SystemClock(), within)
        assert self.state() == before, "nothing is written"
        assert not list(self.root.glob("*.touched")), "nothing is executed"
        return found

    def state(self) -> list[Any]:
        with sqlite3.connect(f"file:{self.config.journal}?mode=ro", uri=True) as link:
            return link.execute("SELECT id, hash FROM entry").fetchall()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(autouse=True)
def no_orphan(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Whatever a replay started has ended when it answers."""
    nonces: list[str] = []

    class Noted(SystemClock):
        def nonce(self) -> str:
            nonces.append(super().nonce())
            return nonces[-1]

    monkeypatch.setitem(globals(), "SystemClock", Noted)
    yield
    assert nonces and not carriers(*nonces)


def test_the_same(desk: Desk) -> None:
    desk.record()
    found = desk.replay()
    assert (found.verdict, found.records, found.differs) == (Verdict.SAME, 7, ())


def test_changed_code_that_fits_means_the_same(desk: Desk) -> None:
    desk.record(code="0123456789abcdef")
    found = desk.replay()
    assert (found.verdict, found.differs) == (Verdict.SAME_MEANING, ("the project's code, since decision 0",))


def test_another_json_form_of_the_result_means_the_same(desk: Desk) -> None:
    desk.code(BODY.replace(", 1]", ", 1.0]"))
    desk.record()
    found = desk.replay()
    assert (found.verdict, found.differs) == (Verdict.SAME_MEANING, ("the JSON form of the result",))
    desk.code(BODY.replace(", 1]", ", True]"))
    assert desk.replay().verdict is Verdict.DIVERGES


DIVERGING = {
    "question": (BODY.replace("think, task", "think, task + '?'"), 2, "decision think(args=['task']", "task?"),
    "arguments": (BODY.replace('"ACME"', '"BETA"'), 4, "effect pay(to='ACME'", "asks effect pay(to='BETA'"),
    "call left out": (BODY.replace('await pay("ACME")', '"x"'), 4, "effect pay", "asks nothing like it"),
    "sample left out": (BODY.replace("await run.sample(draw)", "7"), 6, "sample draw", "returned"),
    "another end": (BODY.replace(", 1]", ", 2]"), 7, "run_ended  TERMINAL", "ends TERMINAL"),
    "raises": (BODY.replace("return [", "raise ValueError('no') #"), 7, "run_ended  TERMINAL", "ends FAILED"),
    "goes on": (
        BODY.replace("    return", "    await pay('MORE')\n    return"),
        7,
        "run_ended",
        "asks effect pay(to='MORE'",
    ),
    "raises first": ("\n    raise ValueError('no')", 2, "decision think", "raised ValueError: no"),
}


@pytest.mark.parametrize("case", DIVERGING)
def test_code_that_does_not_fit(desk: Desk, case: str) -> None:
    body, seq, recorded, code = DIVERGING[case]
    desk.code(body)
    desk.record()
    found = desk.replay()
    assert (found.verdict, found.seq) == (Verdict.DIVERGES, seq)
    assert recorded in found.recorded and code in found.code and not found.fits


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        (BODY.replace("think, task", "think, task + '?'"), 'args[0]: "task" against "task?"'),
        (BODY.replace('"ACME"', '"BETA"'), 'to: "ACME" against "BETA"'),
        (BODY.replace('await pay("ACME")', '"x"'), ""),
    ],
)
def test_the_first_place_that_differs_is_named(desk: Desk, changed: str, where: str) -> None:
    desk.code(changed)
    desk.record()
    assert desk.replay().where == where


def test_a_difference_that_is_cut_off_on_both_sides_is_named(desk: Desk) -> None:
    """Of a long request a drive has a preview only, and the two look the same on it."""
    desk.code(BODY.replace("think, task", "think, 'x' * 9000 + 'yes, pay'"))
    desk.record(3, question="x" * 9000 + "no, pay")
    found = desk.replay()
    assert found.verdict is Verdict.DIVERGES
    assert found.code == f"asks {found.recorded} (they differ further inside)"
    assert found.where == f'args[0]: "…{"x" * 16}no, pay" against "…{"x" * 16}yes, pay"'


@pytest.mark.parametrize(
    ("upto", "seq", "code"),
    [
        (1, 2, "asks decision think(args=['task']"),
        (3, 4, "asks effect pay(to='ACME', amount=1)"),
        (4, 5, "asks effect pay(to='ACME', amount=1) (open)"),
        (5, 6, "asks sample draw"),
        (6, 7, 'ends TERMINAL ["thought", "paid ACME", 7, 1]'),
    ],
)
def test_a_run_that_has_not_ended_goes_on(desk: Desk, upto: int, seq: int, code: str) -> None:
    desk.record(upto)
    found = desk.replay()
    assert (found.verdict, found.seq) == (Verdict.SO_FAR, seq) and found.fits
    assert found.code.startswith(code)


def test_a_run_that_waits_for_a_timer(desk: Desk) -> None:
    desk.code(BODY.replace("drawn = await run.sample(draw)", "await run.sleep(600)"))
    desk.record(5)
    assert desk.replay().code == "asks timer 600.0 s"
    writer = Writer(desk.config.journal, SystemClock())
    print_of = fingerprint("timer", "sleep", 600.0)
    writer.apply(lambda tx: records.set_timer(tx, desk.run, 1, 0, 600.0, print_of))
    writer.close()
    assert desk.replay().code == "waits for timer 0"


def test_a_cancelled_run_is_the_same_as_far_as_it_went(desk: Desk) -> None:
    desk.record(end=dict(outcome="CANCELLED", result=None, error=None))
    found = desk.replay()
    assert (found.verdict, found.why) == (Verdict.SAME, "it was cancelled at seq 7")


def test_a_run_that_failed_the_same_way(desk: Desk) -> None:
    desk.code(BODY.replace("return [", "raise ValueError('no such invoice') #"))
    desk.record(end=dict(outcome="FAILED", result=None, error={"type": "ValueError", "message": "no such invoice"}))
    assert desk.replay().verdict is Verdict.SAME


HOSTILE = {
    "never ends": ("await asyncio.Event().wait()", "did not come to an end"),
    "spins": ("while True: pass", "did not come to an end"),
    "sleeps in the loop": ("time.sleep(600)", "did not come to an end"),
    "exits": ("sys.exit(3)", "ends its process: SystemExit: 3"),
    "kills itself": ("os.kill(os.getpid(), 9)", "ended by itself"),
    "exits hard": ("print('last words', file=sys.stderr, flush=True); os._exit(7)", "ended by itself: last words"),
    "prints for ever": ("while True: print('x' * 100000); sys.stderr.write('y' * 100000)", "did not come to an end"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_agent_that_does_not_end_well(desk: Desk, case: str) -> None:
    body, why = HOSTILE[case]
    desk.code(body)
    desk.record()
    found = desk.replay(within=3.0)
    assert found.verdict is Verdict.NO_ANSWER and not found.fits
    assert why in found.why


@pytest.mark.parametrize("session", [True, False])
def test_children_of_the_agent_are_ended(desk: Desk, session: bool) -> None:
    """The autouse fixture looks for them."""
    desk.code(f'\n    subprocess.Popen(["sleep", "600"], start_new_session={session})' + BODY)
    desk.record()
    assert desk.replay().verdict is Verdict.SAME


def test_an_agent_that_forks_answers_once(desk: Desk) -> None:
    desk.code("\n    if os.fork() == 0: os.setsid()" + BODY)
    desk.record()
    assert desk.replay().verdict is Verdict.SAME


def test_what_cannot_be_replayed_is_one_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.record()
    desk.code("return 1", head=HEAD + "}")
    with pytest.raises(UsageError, match=r"app\.py:\d+: app cannot be loaded: SyntaxError"):
        desk.replay()
    with pytest.raises(NotFound, match="no run r-none"):
        replay_run(desk.config, "r-none", SystemClock())
    (desk.root / "tape.yaml").write_text("name: t\nagents: {other: app:clerk}\njournal: sqlite:///.tape/dev.db\n")
    with pytest.raises(UsageError, match=r"is of the agent 'clerk'; tape\.yaml has: other"):
        replay_run(load_config(desk.root, {}), desk.run, SystemClock())
    with sqlite3.connect(desk.config.journal) as link:
        link.execute("PRAGMA user_version = 1")
    with pytest.raises(JournalUnavailable, match="has schema 1"):
        replay_run(desk.config, desk.run, SystemClock())


def test_it_works_while_somebody_writes(desk: Desk) -> None:
    desk.record(5)
    writer = Writer(desk.config.journal, SystemClock())
    try:
        assert desk.replay().verdict is Verdict.SO_FAR
    finally:
        writer.close()


def test_json(desk: Desk) -> None:
    desk.record(3)
    told = desk.replay().as_json()
    assert (told["verdict"], told["seq"], told["differs"]) == ("same_so_far", 4, [])
    assert replay.Verdict("same so far") is Verdict.SO_FAR
    assert os.getpid() > 0


WHOLE = """
    child = run.start(clerk, "a part")
    said = await run.gate("go", options=("yes", "no"), approves=post.bind("ACME"))
    try:
        await pay("BETA")
        raise AssertionError("no cap was in the way")
    except tape.BudgetExceeded:
        pass
    key = await post.enqueue("ACME")
    return [said, key.partition("/")[2], await child, run.budget.calls_left("pay"), run.budget.tokens_cap]
"""
POST = """
@tape.tool(semantics="idempotent", dispatch="outbox")
async def post(to: str) -> str:
    touched("post")
    return to
"""


def test_gates_caps_children_and_what_was_left_to_itself_are_replayed(desk: Desk) -> None:
    """And what `run.budget` says comes from the journal, so that code which looks at it still fits."""
    head = HEAD.replace("def think", POST + "\ndef think")
    desk.code("if task == 'a part': return 'done'\n" + textwrap.dedent(WHOLE), head)
    clock = SystemClock()
    writer = Writer(desk.config.journal, clock)

    def write(tx: Tx) -> str:
        run_id = runs.start_run(tx, "clerk", "task", caps={"tokens": 50, "calls:pay": 0})
        worker = workers.start_worker(tx, clock.nonce(), 100, 7, clock.boot_id, "here")
        workers.move_worker(tx, worker, WorkerTrigger.HELLO)
        epoch = runs.grant(tx, run_id, worker, ttl_us=10**12, concurrency=9, recovery=RecoveryPolicy()).epoch
        asked = fingerprint("child", "clerk", "a part")
        _, child = children.start_child(tx, run_id, epoch, 0, "clerk", "a part", asked)
        bound = {"tool": "post", "args": {"to": "ACME"}, "args_hash": hash_json({"to": "ACME"})}
        options = ["yes", "no"]
        opened = fingerprint("gate", "go", [options, None, None, bound])
        gates.open_gate(tx, run_id, epoch, gates.Gate("go", 0, "", tuple(options), opened, approves=bound))
        gates.answer_gate(tx, run_id, gates.Answer("go", "yes", actor="me"))
        args = {"to": "BETA", "amount": 1}
        effects.begin_effect(
            tx, run_id, epoch, Call(None, 0, "pay", args, ToolPolicy()), fingerprint("effect", "pay", args)
        )
        policy = ToolPolicy(dispatch=Dispatch.OUTBOX)
        call = Call(None, 1, "post", {"to": "ACME"}, policy, approval="go 0", awaited=False)
        effects.begin_effect(tx, run_id, epoch, call, fingerprint("enqueued", "post", {"to": "ACME"}))
        theirs = runs.grant(tx, child, worker, ttl_us=10**12, concurrency=9, recovery=RecoveryPolicy()).epoch
        runs.end_run(tx, child, theirs, "TERMINAL", "done", None)
        runs.end_run(tx, run_id, epoch, "TERMINAL", ["yes", "-/1/post", "done", 0, 50], None)
        return run_id

    desk.run = writer.apply(write)
    writer.close()
    found = desk.replay()
    assert (found.verdict, found.records) == (Verdict.SAME, 8), found
    desk.code("if task == 'a part': return 'done'\n" + textwrap.dedent(WHOLE).replace('"no")', '"never")'), head)
    other = desk.replay()
    assert (other.verdict, other.seq) == (Verdict.DIVERGES, 3)
    assert "gate go 0 (yes | no)" in other.recorded and "gate go 0 (yes | never)" in other.code


CARDS = """
@tape.tool(semantics="idempotent", redact=("card",))
async def charge(card: str, token: str) -> str:
    touched("charge")
    return "charged"
"""
CHARGING = """
    return await charge("4111-1111", tape.secret("SHOP_TOKEN"))
"""


def charged(desk: Desk) -> None:
    """A run with a redacted argument and a secret, hashed with the project's key."""
    desk.code(CHARGING, HEAD.replace("def think", CARDS + "\ndef think"))
    clock = SystemClock()
    key = bytes.fromhex(redact_key(desk.config.journal, clock))
    digest = hmac.digest(key, b'"4111-1111"', "sha256").hex()[:32]
    args, hidden = {"card": None, "token": None}, {"/card": {"redacted": digest}, "/token": {"secret": "SHOP_TOKEN"}}
    hidden = {"/token": hidden["/token"], "/card": hidden["/card"]}
    writer = Writer(desk.config.journal, clock)

    def write(tx: Tx) -> str:
        run_id = runs.start_run(tx, "clerk", "x" * 9_000)
        worker = workers.start_worker(tx, clock.nonce(), 100, 7, clock.boot_id, "here")
        workers.move_worker(tx, worker, WorkerTrigger.HELLO)
        epoch = runs.grant(tx, run_id, worker, ttl_us=10**12, concurrency=9, recovery=RecoveryPolicy()).epoch
        call = Call(None, 0, "charge", args, ToolPolicy(), hidden=hidden)
        effects.begin_effect(tx, run_id, epoch, call, fingerprint("effect", "charge", identified(args, hidden)))
        effects.end_effect(
            tx, run_id, epoch, f"{run_id}/-/0/charge", 1, Ending(EffectStatus.CONFIRMED, "charged"), None
        )
        runs.end_run(tx, run_id, epoch, "TERMINAL", "charged", None)
        return run_id

    desk.run = writer.apply(write)
    writer.close()


def test_redacted_arguments_are_compared_with_the_projects_key(desk: Desk) -> None:
    charged(desk)
    assert desk.replay().verdict is Verdict.SAME
    desk.code(CHARGING.replace("4111", "4222"), HEAD.replace("def think", CARDS + "\ndef think"))
    found = desk.replay()
    assert (found.verdict, found.seq) == (Verdict.DIVERGES, 2)
    assert "card=<redacted " in found.recorded and "4222" not in found.code


def test_without_that_key_nothing_could_fit_and_none_is_made(desk: Desk) -> None:
    charged(desk)
    (desk.config.journal.parent / "redact.key").unlink()
    with pytest.raises(UsageError, match=r"has redacted arguments, and .* does not have the key"):
        replay_run(desk.config, desk.run, SystemClock())
    assert not (desk.config.journal.parent / "redact.key").exists()
    desk.record()
    desk.code(BODY)
    assert desk.replay().verdict is Verdict.SAME, "a run without any needs none"


def test_a_bundle_of_a_fork_is_replayed_without_its_source(desk: Desk, tmp_path: Path) -> None:
    desk.record()
    clock = SystemClock()
    for source in (desk.run, None):
        writer = Writer(desk.config.journal, clock)
        made = writer.apply(lambda tx, source=source: forks.fork_run(tx, source or desk.run, 5))
        writer.close()
        desk.run = made.run
    export_run(desk.config.journal, desk.run, tmp_path / "fork.tape", redact=True, redact_values=False)
    desk.config = replace(desk.config, journal=import_file(tmp_path / "fork.tape", None, tmp_path / "there").file)
    found = desk.replay()
    assert (found.verdict, found.records, found.seq) == (Verdict.SO_FAR, 5, 6)


def test_a_bundle_is_replayed_unless_its_values_are_hashes(desk: Desk, tmp_path: Path) -> None:
    desk.record()
    journal = desk.config.journal
    for hashed in (False, True):
        export_run(journal, desk.run, tmp_path / f"{hashed}.tape", redact=True, redact_values=hashed)
        done = import_file(tmp_path / f"{hashed}.tape", None, tmp_path / f"imported-{hashed}")
        desk.config = replace(desk.config, journal=done.file)
        if hashed:
            with pytest.raises(UsageError, match="its values were replaced by their hashes"):
                replay_run(desk.config, desk.run, SystemClock())
        else:
            assert desk.replay().verdict is Verdict.SAME
