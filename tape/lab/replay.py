"""`tape replay`: does today's code still fit what a run recorded? Its tape is read (read-only, beside any server), and
played in a process of its own in which nothing is executed: no model, no tool, no look-up, no sample."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, cast

from tape.core.clock import Clock
from tape.core.config import Config
from tape.core.first_difference import first_difference
from tape.core.journal.imported import refuse_hashed
from tape.core.journal.seen import seen_by, sources_of
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import TapeError, UsageError
from tape.core.kernel.events import (
    ChildStarted,
    Decision,
    EffectBegun,
    Entry,
    Event,
    GateOpened,
    Json,
    RunEnded,
    RunStarted,
)
from tape.core.kernel.hidden import REDACTED, visible
from tape.core.kernel.identity import canonical_json
from tape.core.kernel.lifecycle import RunStatus
from tape.core.redact_key import BITS, known_redact_key
from tape.core.render import line, short_json
from tape.core.server.supervisor import end_carriers, start_ticks

WITHIN_SECONDS = 30.0
SAID_BYTES = 4096
PULSE_SECONDS = 0.1


class Verdict(StrEnum):
    SAME = "same"
    SAME_MEANING = "same meaning"
    SO_FAR = "same so far"
    DIVERGES = "diverges"
    NO_ANSWER = "no answer"


FITS = frozenset({Verdict.SAME, Verdict.SAME_MEANING, Verdict.SO_FAR})


@dataclass(frozen=True, slots=True)
class Replayed:
    """`seq`: where it diverges, or goes on; `recorded` and `code` are the two sides there; `differs` is what is not the
    same although the tape fits; `why` says more; `where` the first place at which what is asked for is another."""

    run: str
    verdict: Verdict
    records: int
    seq: int | None = None
    recorded: str = ""
    code: str = ""
    differs: tuple[str, ...] = ()
    why: str = ""
    replay_us: int = 0
    where: str = ""

    @property
    def fits(self) -> bool:
        return self.verdict in FITS

    def as_json(self) -> Json:
        return {**asdict(self), "verdict": self.verdict.replace(" ", "_"), "differs": [*self.differs]}


def replay_run(config: Config, run_id: str, clock: Clock, within_seconds: float = WITHIN_SECONDS) -> Replayed:
    """Raises UsageError for a project that cannot be loaded, NotFound, JournalUnavailable."""
    with open_reader(config.journal) as reader, reader.snapshot():
        refuse_hashed(run_id, reader.imported())
        run = reader.run(run_id)
        tape = reader.tape(run_id)
        seen = seen_by(reader, run_id)
        sources = sources_of(reader, run_id)
    started = tape[0].event if tape else None
    if not isinstance(started, RunStarted):
        raise TapeError(f"the tape of {run_id} does not begin with run_started: `tape doctor` says what is wrong")
    job = {
        "root": str(config.root),
        "agents": {name: str(target) for name, target in config.agents.items()},
        "agent": run.agent,
        "input": started.input,
        "run": run_id,
        "sources": sources,
        **seen,
        "redact_key": _key(config, clock, run_id, tape),
    }
    if run.agent not in config.agents:
        raise UsageError(f"{run_id} is of the agent {run.agent!r}; tape.yaml has: {', '.join(config.agents)}")
    answer = play(job, config, clock, within_seconds)
    if answer["how"] == "failed":
        raise UsageError(answer["why"])
    return judge(run_id, tape, answer)


def _key(config: Config, clock: Clock, run_id: str, tape: list[Entry]) -> str:
    """What redacted arguments were hashed with. Raises UsageError where it is needed and is not there: nothing would
    fit. Where none was redacted any key will do."""
    known = known_redact_key(config.journal)
    if known is None and any(_redacts(entry.event) for entry in tape):
        raise UsageError(
            f"{run_id} has redacted arguments, and {config.journal.parent} does not have the key that they were hashed "
            "with: replay it in the project that recorded it"
        )
    return f"{clock.bits(BITS):064x}" if known is None else known


def _redacts(event: Event) -> bool:
    hidden: Json = None
    if isinstance(event, EffectBegun):
        hidden = event.hidden
    elif isinstance(event, GateOpened):
        hidden = cast("dict[str, Json]", event.approves or {}).get("hidden")
    return isinstance(hidden, dict) and any(REDACTED in marker for marker in cast("dict[str, Json]", hidden).values())


# --- the process --------------------------------------------------------------------------------------------------


def play(job: Mapping[str, Json], config: Config, clock: Clock, within_seconds: float) -> dict[str, Any]:
    """The child's answer (core/agent/replay.py), or `{"how": "silent", "why"}`. Whatever happens, none of its processes
    is left."""
    nonce = clock.nonce()
    with tempfile.TemporaryFile() as given:
        given.write(json.dumps(job).encode())
        given.seek(0)
        read, write = os.pipe()
        try:
            popen = subprocess.Popen(
                (sys.executable, "-m", "tape.core.agent.replay", str(write)),
                cwd=config.root,
                env={**os.environ, "TAPE_NONCE": nonce, "TAPE_SUPERVISOR_PID": str(os.getpid())},
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(write,),
                start_new_session=True,
            )
        finally:
            os.close(write)
    ticks = start_ticks(popen.pid)
    try:
        return _listen(popen, read, clock, within_seconds)
    finally:
        os.killpg(popen.pid, signal.SIGKILL)  # unreaped: its group's number is no stranger's
        popen.wait()
        assert popen.stderr is not None
        popen.stderr.close()
        os.close(read)
        end_carriers(nonce, clock, ticks)


def _listen(popen: subprocess.Popen[bytes], read: int, clock: Clock, within_seconds: float) -> dict[str, Any]:
    assert popen.stderr is not None
    heard = {"answer": b"", "said": b""}
    deadline_us = clock.boot_us() + int(within_seconds * 1_000_000)
    with selectors.DefaultSelector() as selector:
        selector.register(read, selectors.EVENT_READ, "answer")
        selector.register(popen.stderr.fileno(), selectors.EVENT_READ, "said")
        while b"\n" not in heard["answer"]:
            if clock.boot_us() > deadline_us:
                return {"how": "silent", "why": f"the agent did not come to an end within {within_seconds:g} s"}
            over = os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
            ready = selector.select(0 if over else PULSE_SECONDS)
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                heard[key.data] += data
                if not data:
                    selector.unregister(key.fd)
            heard["said"] = heard["said"][-SAID_BYTES:]
            if over and not ready:
                return {"how": "silent", "why": f"the agent's process ended by itself{_last(heard['said'])}"}
    return json.loads(heard["answer"].partition(b"\n")[0])


def _last(said: bytes) -> str:
    lines = [text for text in said.decode("utf-8", "replace").splitlines() if text.strip()]
    return f": {lines[-1].strip()}" if lines else ""


# --- the verdict --------------------------------------------------------------------------------------------------


def judge(run_id: str, tape: list[Entry], answer: Mapping[str, Any]) -> Replayed:
    how = str(answer["how"])
    last = tape[-1]
    ended = last.event if isinstance(last.event, RunEnded) else None
    took: int = answer.get("us", 0)
    if how in ("silent", "died"):
        why = str(answer["why"]) if how == "silent" else f"the agent's code ends its process: {answer['why']}"
        return Replayed(run_id, Verdict.NO_ANSWER, len(tape), why=why)
    if how == "misfit":
        seq = answer["seq"]
        misfit = Replayed(run_id, Verdict.DIVERGES, len(tape), seq, answer["recorded"], answer["does"], replay_us=took)
        where = _where(tape, seq, answer.get("asked"))
        return _with_changes(replace(misfit, where=where), tape, answer)
    does = _does(answer)
    if ended is None:
        so_far = Replayed(run_id, Verdict.SO_FAR, len(tape), len(tape) + 1, code=does, replay_us=took)
        return _with_changes(so_far, tape, answer)
    if ended.outcome == RunStatus.CANCELLED or ended.writer != "agent":
        whole = Replayed(run_id, Verdict.SAME, len(tape), why=f"it was cancelled at seq {last.seq}", replay_us=took)
        return _with_changes(whole, tape, answer)
    if how != "ended" or not _same_end(ended, answer["ended"]):
        recorded = line(last).text
        other = Replayed(run_id, Verdict.DIVERGES, len(tape), last.seq, recorded, does, replay_us=took)
        return _with_changes(other, tape, answer)
    form = () if _same_form(ended, answer["ended"]) else ("the JSON form of the result",)
    return _with_changes(Replayed(run_id, Verdict.SAME, len(tape), differs=form, replay_us=took), tape, answer)


def _where(tape: list[Entry], seq: int | None, asked: Any) -> str:
    """Lines are cut, so the two sides can look the same: the first place at which they are not."""
    event = None if seq is None or not 1 <= seq <= len(tape) else tape[seq - 1].event
    if asked is None:
        return ""
    _, name, request = asked
    if isinstance(event, Decision) and event.name == name:
        return first_difference(event.request, request)
    if isinstance(event, ChildStarted) and event.agent == name:
        return first_difference(event.input, request)
    if isinstance(event, EffectBegun) and event.tool == name:
        now = visible(*cast("list[Any]", request)) if isinstance(request, list) else request
        return first_difference(visible(event.args, event.hidden), now)
    return ""


def _does(answer: Mapping[str, Any]) -> str:
    if answer["how"] == "ended":
        ended = answer["ended"]
        tail = ended["error"] if ended.get("error") is not None else ended.get("result")
        return f"ends {ended['outcome']} {short_json(tail)}"
    return f"{'asks' if answer['how'] == 'asks' else 'waits for'} {answer['what']}"


def _with_changes(found: Replayed, tape: list[Entry], answer: Mapping[str, Any]) -> Replayed:
    """What of the project is not what decisions were recorded with."""
    decisions = [entry.event for entry in tape if isinstance(entry.event, Decision)]
    differs = list(found.differs)
    for name, what in (("code", "the project's code"), ("tools", "its tools' declarations")):
        older = [d.index for d in decisions if getattr(d, name) and getattr(d, name) != answer.get(name)]
        if older:
            differs.append(f"{what}, since decision {older[-1]}")
    verdict = Verdict.SAME_MEANING if found.verdict is Verdict.SAME and differs else found.verdict
    return replace(found, verdict=verdict, differs=tuple(differs))


def _same_end(recorded: RunEnded, now: Mapping[str, Any]) -> bool:
    return recorded.outcome == now["outcome"] and all(
        _equal(getattr(recorded, name), now.get(name)) for name in ("result", "error")
    )


def _same_form(recorded: RunEnded, now: Mapping[str, Any]) -> bool:
    return canonical_json(recorded.result) == canonical_json(now.get("result"))


def _equal(one: Any, other: Any) -> bool:
    """The same JSON value: 1 is 1.0, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        return left.keys() == right.keys() and all(_equal(value, right[name]) for name, value in left.items())
    if isinstance(one, list) and isinstance(other, list):
        items, others = cast("list[Any]", one), cast("list[Any]", other)
        return len(items) == len(others) and all(map(_equal, items, others))
    return one == other
