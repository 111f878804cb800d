"""One scripted agent and a tool for each row of the resolution table. Copied into each test's project.

Whatever happens in here leaves a line in a file of its own (`questions.jsonl`, `bodies.jsonl`), on disk before it goes
on: what the checker compares with the journal and with the upstream's ledger.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import tape
from tape.core.sdk.decorators import find_tool

SETTLE = float(os.environ.get("CRASH_SETTLE", "0.05"))
BANK = "TAPE_UPSTREAM_BANK"  # ignores keys
MINT = "TAPE_UPSTREAM_MINT"  # honours them
BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def logs() -> Path:
    """Not a constant: agents of many stages are forked from one that has imported this once."""
    return Path(os.environ["CRASH_LOGS"])


def note(file: str, **fields: Any) -> None:
    """One line, on disk when this returns. A kill may tear it (at a page's border): the next one starts afresh."""
    line = "\n" + json.dumps({**fields, "pid": os.getpid(), "at_us": time.time_ns() // 1000}) + "\n"
    fd = os.open(logs() / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, line.encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def send(upstream: str, method: str, path: str, key: str = "", token: int = 0, body: Any = None) -> Any:
    """One request; raises OSError for anything but success."""
    address = urlsplit(os.environ[upstream])
    link = HTTPConnection(address.hostname or "", address.port, timeout=15)
    headers = {"Content-Type": "application/json"}
    if key:
        headers |= {"Idempotency-Key": key, "X-Fencing-Token": str(token)}
    try:
        link.request(method, path, None if body is None else json.dumps(body), headers)
        answer = link.getresponse()
        data = answer.read()
    except Exception as error:
        raise OSError(f"the upstream does not answer: {error!r}") from None
    finally:
        link.close()
    if answer.status >= 400:
        raise OSError(f"the upstream says {answer.status}: {data!r}")
    return json.loads(data)


def acts_of(upstream: str, collection: str, key: str) -> list[Any]:
    found = send(upstream, "GET", f"/{collection}?key={quote(key, safe='')}")
    return [act for act in found if not act["undone"]]


def durable(key: str, number: int) -> bool:
    """Whether the journal on disk holds the intent and this attempt, open."""
    with closing(sqlite3.connect(f"file:{os.environ['CRASH_JOURNAL']}?mode=ro", uri=True, timeout=10)) as journal:
        found = journal.execute(
            "SELECT count(*) FROM attempt JOIN effect USING (run_no, key) "
            "WHERE key = ? AND what = 'body' AND number = ? AND how = ''",
            (key, number),
        ).fetchone()
    return found[0] == 1


@contextmanager
def inside(effect: tape.Effect) -> Iterator[None]:
    """Tells that the body is entered and left, and whether its attempt was on disk by then."""
    about = {"key": effect.key, "attempt": effect.attempt}
    note("bodies.jsonl", what="enter", durable=durable(effect.key, effect.attempt), **about)
    try:
        yield
    finally:
        note("bodies.jsonl", what="leave", **about)


# --- tools --------------------------------------------------------------------------------------------------------


def perform(tool: str, upstream: str, reads: bool, n: int, times: int) -> dict[str, Any]:
    effect = tape.current_effect()
    ref = ""
    with inside(effect):
        tape.crash_point("before-act")
        for _ in range(times):
            if reads:
                send(upstream, "GET", f"/{tool}")
            else:
                act = send(upstream, "POST", f"/{tool}", effect.key, effect.epoch, {"n": n})
                ref = ref or act["id"]
        tape.crash_point("after-act")
    return receipt(tool, n, effect.key, ref if times > 1 else "")


def receipt(tool: str, n: int, key: str, ref: str) -> dict[str, Any]:
    """What the body returns, or what the look-up found in its place: the same in both cases."""
    return {"tool": tool, "n": n, "place": key.split("/", 1)[1], "ref": ref}


def make(
    name: str,
    semantics: str | None,
    *,
    upstream: str = BANK,
    look_up: Callable[[tape.Effect], tape.Observation] | str | None = None,
    undo: str | None = None,
    sync: bool = True,
    times: int = 1,
    **options: Any,
) -> tape.Tool[..., Any]:
    reads = semantics == "read_only"
    if semantics is not None:
        options["semantics"] = semantics

    def body(n: int) -> dict[str, Any]:
        return perform(name, upstream, reads, n, times)

    async def slow_body(n: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        return await asyncio.to_thread(perform, name, upstream, reads, n, times)

    tool = tape.tool(name=name, **options)(body if sync else slow_body)
    if look_up == "ledger":

        @tool.observe
        def find(effect: tape.Effect) -> tape.Observation:
            try:
                acts = acts_of(upstream, name, effect.key)
            except OSError as error:
                return tape.unclear(str(error))
            found = [receipt(name, act["body"]["n"], effect.key, act["id"] if times > 1 else "") for act in acts]
            if len(found) > 1:
                return tape.duplicate(found)
            return tape.present(found[0]) if found else tape.absent()

    elif look_up == "fog":

        @tool.observe
        def fog(effect: tape.Effect) -> tape.Observation:
            return tape.unclear("fog")

    if undo is not None:

        @tool.compensate(semantics="idempotent" if undo == "idempotent" else "non_idempotent")
        def take_back(effect: tape.Effect) -> None:
            own = tape.idempotency_key()
            note("bodies.jsonl", what="undo", key=own, attempt=effect.attempt)
            key = own.rpartition("/undo/")[0]
            wanted = (effect.act or {}).get("ref")
            for act in acts_of(upstream, name, key):
                if wanted and act["id"] != wanted:
                    continue
                send(upstream, "DELETE", f"/{name}/{act['id']}", own, effect.epoch)

    return tool


AUTHORITATIVE = {"authoritative": True, "settle_delay": SETTLE}
peek = make("peek", "read_only", sync=False)
put = make("put", "idempotent", upstream=MINT)
put_seen = make("put_seen", "idempotent", upstream=MINT, look_up="ledger", sync=False)
put_fog = make("put_fog", "idempotent", upstream=MINT, look_up="fog")
put_again = make("put_again", "idempotent", upstream=MINT, retries=3)
wire = make("wire", "non_idempotent", look_up="ledger", **AUTHORITATIVE)
wire_async = make("wire_async", "non_idempotent", look_up="ledger", sync=False, **AUTHORITATIVE)
rumour = make("rumour", "non_idempotent", look_up="ledger")
fogged = make("fogged", "non_idempotent", look_up="fog", **AUTHORITATIVE)
blind = make("blind", None)
gamble = make("gamble", "non_idempotent", undo="idempotent", on_unknown="compensate")
book = make("book", "non_idempotent", look_up="ledger", undo="idempotent", **AUTHORITATIVE)
book_put = make("book_put", "idempotent", upstream=MINT, undo="idempotent", sync=False)
book_once = make("book_once", "non_idempotent", look_up="ledger", undo="non_idempotent", **AUTHORITATIVE)
priced = make("priced", "non_idempotent", look_up="ledger", cost=0.02, **AUTHORITATIVE)
twice = make("twice", "non_idempotent", look_up="ledger", times=2, **AUTHORITATIVE)
twice_undone = make("twice_undone", "non_idempotent", look_up="ledger", times=2, undo="idempotent", **AUTHORITATIVE)
mail_peek = make("mail_peek", "read_only", dispatch="outbox")
mail_put = make("mail_put", "idempotent", upstream=MINT, dispatch="outbox")
mail_seen = make("mail_seen", "idempotent", upstream=MINT, look_up="ledger", dispatch="outbox", sync=False)
mail_wire = make("mail_wire", "non_idempotent", look_up="ledger", dispatch="outbox", **AUTHORITATIVE)
mail_rumour = make("mail_rumour", "non_idempotent", look_up="ledger", dispatch="outbox")
mail_blind = make("mail_blind", "non_idempotent", dispatch="outbox")
mail_gamble = make("mail_gamble", "non_idempotent", dispatch="outbox", undo="idempotent", on_unknown="compensate")


mail_book = make("mail_book", "idempotent", upstream=MINT, dispatch="outbox", undo="idempotent")


@tape.tool(semantics="idempotent", dispatch="outbox", cost=0.001)
def mail_dear(n: int) -> dict[str, Any]:
    """Costs more than it declares."""
    tape.report_usage(tokens_in=30, tokens_out=10, usd=0.03)
    return perform("mail_dear", MINT, False, n, 1)


@tape.tool(semantics="idempotent")
def slowly(n: int) -> dict[str, Any]:
    """Acts when a file says mercy."""
    while not (logs() / "mercy").exists():
        time.sleep(0.01)
    return perform("slowly", MINT, False, n, 1)


@tape.tool(semantics="idempotent", dispatch="outbox")
def mail_slowly(n: int) -> dict[str, Any]:
    """Acts when a file says mercy."""
    while not (logs() / "mercy").exists():
        time.sleep(0.01)
    return perform("mail_slowly", MINT, False, n, 1)


@mail_slowly.compensate(semantics="idempotent")
def take_back_slowly(effect: tape.Effect) -> None:
    for act in acts_of(MINT, "mail_slowly", effect.key):
        send(MINT, "DELETE", f"/mail_slowly/{act['id']}", tape.idempotency_key(), effect.epoch)


@tape.tool(semantics="non_idempotent")
def linger(n: int) -> dict[str, Any]:
    time.sleep(2.5)
    return perform("linger", BANK, False, n, 1)


@tape.tool(semantics="non_idempotent")
async def linger_async(n: int) -> dict[str, Any]:
    await asyncio.sleep(2.5)
    return await asyncio.to_thread(perform, "linger_async", BANK, False, n, 1)


@tape.tool(semantics="non_idempotent", timeout=1.0, **AUTHORITATIVE)
async def hasty(n: int) -> dict[str, Any]:
    """Acts, and does not come back."""
    done = await asyncio.to_thread(perform, "hasty", BANK, False, n, 1)
    await asyncio.sleep(60)
    return done


@hasty.observe
def find_hasty(effect: tape.Effect) -> tape.Observation:
    acts = acts_of(BANK, "hasty", effect.key)
    return tape.present(receipt("hasty", acts[0]["body"]["n"], effect.key, "")) if acts else tape.absent()


@tape.tool(semantics="non_idempotent", timeout=1.0, **AUTHORITATIVE)
def hasty_thread(n: int) -> dict[str, Any]:
    """The same in a thread, which nobody can cancel."""
    done = perform("hasty_thread", BANK, False, n, 1)
    time.sleep(60)
    return done


@hasty_thread.observe
def find_hasty_thread(effect: tape.Effect) -> tape.Observation:
    acts = acts_of(BANK, "hasty_thread", effect.key)
    return tape.present(receipt("hasty_thread", acts[0]["body"]["n"], effect.key, "")) if acts else tape.absent()


@tape.tool(semantics="idempotent", dispatch="outbox", timeout=1.0)
async def mail_hasty(n: int) -> dict[str, Any]:
    """Acts, and does not come back from its first attempt."""
    done = await asyncio.to_thread(perform, "mail_hasty", MINT, False, n, 1)
    if tape.current_effect().attempt == 1:
        await asyncio.sleep(60)
    return done


@tape.tool(semantics="non_idempotent", **AUTHORITATIVE)
def refuse(n: int) -> dict[str, Any]:
    with inside(tape.current_effect()):
        raise tape.Rejected("no such account")


@refuse.observe
def find_refused(effect: tape.Effect) -> tape.Observation:
    return tape.absent()


@tape.tool(semantics="idempotent", retries=1)
def moody(n: int) -> dict[str, Any]:
    """Acts and says that it failed; then says that it certainly did not act, which is true of that attempt only."""
    if tape.current_effect().attempt > 1:
        with inside(tape.current_effect()):
            raise tape.Rejected("there is one already")
    perform("moody", MINT, False, n, 1)
    raise OSError("the connection was lost")


@moody.observe
def find_moody(effect: tape.Effect) -> tape.Observation:
    acts = acts_of(MINT, "moody", effect.key)
    return tape.present(receipt("moody", acts[0]["body"]["n"], effect.key, "")) if acts else tape.absent()


MAIL = (
    mail_peek,
    mail_put,
    mail_seen,
    mail_wire,
    mail_rumour,
    mail_blind,
    mail_gamble,
    mail_book,
    mail_slowly,
    mail_hasty,
)
TOOLS = {tool.name: tool for tool in MAIL}


@tape.tool(semantics="idempotent")
def keep(text: str) -> str:
    effect = tape.current_effect()
    with inside(effect):
        send(MINT, "POST", "/keep", effect.key, effect.epoch, {"text": text})
    return text


def brood_body(n: int, own_session: bool) -> dict[str, Any]:
    """Starts a child that acts a moment later, behind the agent's back."""
    effect = tape.current_effect()
    with inside(effect):
        code = (
            "import sys, time; sys.path.insert(0, sys.argv[1]); import crew; time.sleep(float(sys.argv[2])); "
            "crew.send(crew.BANK, 'POST', '/late', sys.argv[3], 0, {'n': 0}); crew.note('children.jsonl', what='acted')"
        )
        pause = "0" if (logs() / "at-once").exists() else "1.5"
        child = subprocess.Popen(
            [sys.executable, "-c", code, os.path.dirname(os.path.abspath(__file__)), pause, effect.key],
            start_new_session=own_session,
        )
        note("children.jsonl", what="started", child=child.pid, own_session=own_session)
        tape.crash_point("brooding")
        child.wait()
    return {"n": n}


@tape.tool(semantics="idempotent")
def brood(n: int, own_session: bool) -> dict[str, Any]:
    return brood_body(n, own_session)


@tape.tool(semantics="idempotent")
def poison(n: int) -> dict[str, Any]:
    """A body that ends its own process, until a file says mercy."""
    with inside(tape.current_effect()):
        if not (logs() / "mercy").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        send(MINT, "POST", "/poison", tape.idempotency_key(), 0, {"n": n})
    return {"n": n}


@tape.tool(semantics="idempotent", dispatch="outbox")
def mail_poison(n: int) -> dict[str, Any]:
    with inside(tape.current_effect()):
        if not (logs() / "mercy").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        send(MINT, "POST", "/mail_poison", tape.idempotency_key(), 0, {"n": n})
    return {"n": n}


# --- the model and the agent --------------------------------------------------------------------------------------


@tape.model(max_tokens=100, max_usd=0.01)
def think(run_id: str, index: int) -> dict[str, Any]:
    note("questions.jsonl", run=run_id, index=index)
    tape.report_usage(tokens_in=10, tokens_out=5, usd=0.001)
    return {"say": f"thought {index}"}


async def muse(run_id: str, index: int) -> dict[str, Any]:
    note("questions.jsonl", run=run_id, index=index)
    await asyncio.sleep(0)
    return {"say": f"thought {index}"}


@tape.model(max_tokens=100, max_usd=0.01)
def converse(run_id: str, index: int, messages: list[dict[str, str]]) -> dict[str, str]:
    note("questions.jsonl", run=run_id, index=index)
    return {"role": "assistant", "content": f"{run_id} {len(messages)} {'answer ' * (2_000 if index == 2 else 30)}"}


@tape.agent
async def script(run: tape.Run, steps: list[list[Any]]) -> list[Any]:
    """Does what its input says, step by step."""
    told: list[Any] = []
    history: list[dict[str, str]] = []
    asked = 0
    for step in steps:
        what, rest = step[0], step[1:]
        if what == "ask":
            told.append(await run.decide(muse if asked % 3 == 2 else think, run.id, asked))
            asked += 1
        elif what == "talk":
            for _ in range(rest[0]):
                history.append({"role": "user", "content": f"{run.id} {len(history)} {'question ' * 20}"})
                history.append(await run.decide(converse, run.id, asked, history))
                asked += 1
            told.append(len(history))
        elif what == "call":
            told.append(await called(run, rest[0], rest[1], **(rest[2] if len(rest) > 2 else {})))
        elif what == "enqueue":
            told.append((await find_tool(rest[0]).enqueue(n=rest[1])).partition("/")[2])
        elif what == "batch":
            told.append(await asyncio.gather(*[called(run, *call) for call in rest[0]]))
        elif what == "child":
            told.append(await run.start(script, rest[0]))
        elif what == "children":
            found = await asyncio.gather(*[run.start("script", each) for each in rest[0]], return_exceptions=True)
            told.append([str(each) if isinstance(each, tape.ChildFailed) else each for each in found])
        elif what == "spawn":
            run.start(script, rest[0])
        elif what == "sleep":
            await run.sleep(rest[0])
        elif what == "gate":
            told.append(await gated(run, *rest[:2], **(rest[2] if len(rest) > 2 else {})))
        elif what == "gates":
            told.append(await asyncio.gather(*[gated_call(run, *one) for one in rest[0]]))
        elif what == "now":
            told.append((await run.now() - BEGIN) // timedelta(microseconds=1))
        elif what == "uuid":
            told.append(await run.uuid())
        elif what == "random":
            told.append(await run.random())
        elif what == "sample":
            told.append(await run.sample(constant))
        elif what == "carry":  # the latest value goes into a call: a sample must be the same on replay
            told.append(await run.call("keep", text=str(told[-1])))
        elif what == "point":
            tape.crash_point(rest[0])
        elif what == "stall":
            stall(rest[0])
        elif what == "spin":
            await spin(rest[0])
        elif what == "die":
            if not (logs() / "mercy").exists():
                os.kill(os.getpid(), signal.SIGKILL)
        elif what == "until":
            while not (logs() / rest[0]).exists():
                await asyncio.sleep(0.01)
        elif what == "fail":
            raise RuntimeError("as the script says")
        else:
            raise RuntimeError(f"no step is called {what}")
    return told


@tape.agent(budget=tape.Budget(on_exceeded="gate"))
async def asking(run: tape.Run, steps: list[list[Any]]) -> list[Any]:
    """The same; where a cap is in its way, it asks a person."""
    return await script.function(run, steps)


async def called(run: tape.Run, tool: str, n: int, **more: Any) -> Any:
    try:
        return await run.call(tool, n=n, **more)
    except tape.EffectFailed:
        return {"tool": tool, "n": n, "failed": True}
    except (tape.NotApproved, tape.BudgetExceeded):
        return {"tool": tool, "n": n, "refused": True}


async def gated_call(run: tape.Run, name: str, call: list[Any]) -> Any:
    return await gated(run, name, call), await called(run, *call)


async def gated(run: tape.Run, name: str, call: list[Any] | None = None, **more: Any) -> str:
    """`call`: tool and n of the call that the answer is bound to."""
    bound = None if call is None else find_tool(call[0]).bind(n=call[1])
    try:
        return await run.gate(name, approves=bound, **more)
    except tape.GateTimeout:
        return "nobody answered"


def constant() -> int:
    return 42


async def spin(seconds: float) -> None:
    """Keeps the event loop busy, without ever holding it up."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(0)


def stall(seconds: float) -> None:
    """Holds the event loop up, once."""
    mark = logs() / "stalled"
    if not mark.exists():
        mark.touch()
        time.sleep(seconds)
