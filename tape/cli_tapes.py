"""Commands that look at tapes and try from them: replay, fork, diff."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tape.cli_common import FAILED, AsJson, Reason, Run, await_end, hint, output, parse_json, place_order, project
from tape.core.kernel.errors import UsageError

if TYPE_CHECKING:
    from tape.core.compare import Compared, Pair, Record
    from tape.core.report import Paper
    from tape.lab.replay import Replayed

NARROW, WIDE = 80, 120


def replay(
    run_id: Run,
    within: Annotated[
        float, typer.Option("--within", min=0.1, max=3600, metavar="SECONDS", help="How long the agent may take.")
    ] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Run today's code over a run's tape, with nothing executed. Needs no server; exit 1 if it does not fit.

    \b
    Examples:
      tape replay r-0123456789ab
      tape replay r-0123456789ab --json
    """
    from tape.core.clock import SystemClock
    from tape.lab.replay import replay_run

    found = replay_run(project(), run_id, SystemClock(), within)
    if as_json:
        output().json(found.as_json())
    else:
        _print_replay(output(), found)
    if not found.fits:
        raise typer.Exit(FAILED)


def _print_replay(paper: Paper, found: Replayed) -> None:
    from tape.core.marks import Style
    from tape.core.text import count, show

    head = str(found.verdict)
    if found.verdict == "diverges":
        head += f" at seq {found.seq}" if found.seq is not None else ""
        paper.say(head, Style.ERROR)
        sides = (("recorded", found.recorded), ("the code", found.code))
        for name, text in sides:
            paper.say(f"  {name}  {show(text, 1000)}")
        if found.where:
            paper.say(f"  first at  {show(found.where, 1000)}")
    elif found.verdict == "same so far":
        paper.say(f"{head}: {count(found.records, 'record')}; goes on at seq {found.seq}: {show(found.code, 1000)}")
    elif found.verdict == "no answer":
        paper.say(f"{head}: {show(found.why, 1000)}", Style.ERROR)
    else:
        tail = f"; {found.why}" if found.why else ", the same end"
        paper.say(f"{head}: {count(found.records, 'record')}{tail}", Style.SUCCESS)
    for what in found.differs:
        paper.say(f"  not the same any more: {what}", Style.WARNING)


def fork(
    run_id: Run,
    at: Annotated[
        int | None,
        typer.Option("--at", metavar="SEQ", help="The last record to take over; `tape doctor --dump-run` lists them."),
    ] = None,
    input: Annotated[
        str | None, typer.Option("--input", metavar="JSON", help="Another input than the run's own.")
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="RUN is a fork: make a run of it that acts for real.")
    ] = False,
    reason: Reason = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until it ends: exit 0 if TERMINAL, else 1.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try a run again from a record on, with its tools in quarantine; or let such a try act for real.

    \b
    Examples:
      tape fork r-0123456789ab --at 6
      tape fork r-0123456789ab --at 1 --input '"pay invoice 8"'
      tape fork r-0123456789ab --promote --reason "this is right"
    """
    if promote and (at is not None or input is not None):
        raise UsageError("--promote makes a run of a fork as it is: leave --at and --input out")
    if not promote and at is None:
        raise UsageError("say where the fork begins with --at SEQ, or let a fork act for real with --promote")
    args: dict[str, Any] = {} if promote else {"at": at}
    if input is not None:
        args["input"] = parse_json(input, "--input")
    verb = "promote" if promote else "fork"
    config = project()
    placed = place_order(config, verb, run_id, args, reason)
    made = placed.result
    if as_json:
        output().json({**made, "quarantine": not promote, "served": placed.served})
    else:
        _print_fork(made, promoted=promote)
    sys.stdout.flush()
    if wait:
        await_end(config, made["run"], served=placed.served)


def _print_fork(made: Mapping[str, Any], *, promoted: bool) -> None:
    output().say(made["run"])
    sys.stdout.flush()
    if made["note"]:
        hint(made["note"])
    how = "and acts for real" if promoted else "in quarantine: its tools are not called"
    hint(f"goes on from seq {made['seq']} of {made['source']} {how}")


def diff(
    left: Annotated[str, typer.Argument(metavar="RUN", help="A run.", show_default=False)],
    right: Annotated[str, typer.Argument(metavar="RUN", help="Another one.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Compare the tapes of two runs: what they decided and did. Needs no server; exit 1 if they differ.

    \b
    Examples:
      tape diff r-0123456789ab r-0123456789cd
      tape diff r-0123456789ab r-0123456789cd --json
    """
    from tape.core.compare import compare_runs
    from tape.core.journal.views import open_reader

    with open_reader(project().journal) as reader, reader.snapshot():
        sides = (reader.dump(left), reader.dump(right))
    found = compare_runs(*sides)
    if as_json:
        output().json(found.as_json())
    else:
        _print_diff(output(), found)
    if not found.same:
        raise typer.Exit(FAILED)


def _print_diff(paper: Paper, found: Compared) -> None:
    from tape.core.marks import Style

    width = max(NARROW, shutil.get_terminal_size((WIDE, 24)).columns) if paper.out.isatty() else WIDE
    paper.say(found.headline, Style.SUCCESS if found.same else Style.WARNING)
    for what, one, other in found.facts:
        mark = "=" if one == other else "≠"
        paper.say(
            _columns(f"{what}  {one}", mark, f"{what}  {other}", width), Style.DIM if one == other else Style.PLAIN
        )
    for pair in _shown(found.pairs):
        if pair is None:
            paper.say("  …", Style.DIM)
            continue
        style = Style.DIM if pair.same == "=" else Style.WARNING
        paper.say(_columns(_side(pair.left), pair.same, _side(pair.right), width), style)


def _shown(pairs: Sequence[Pair]) -> list[Pair | None]:
    """Every difference, with the pair before it; `None` for what is left out."""
    kept = {near for at, pair in enumerate(pairs) if pair.same != "=" for near in (at - 1, at) if near >= 0}
    shown: list[Pair | None] = []
    for at, pair in enumerate(pairs):
        if at in kept:
            shown.append(pair)
        elif not shown or shown[-1] is not None:
            shown.append(None)
    return shown if kept else []


def _side(record: Record | None) -> str:
    return "" if record is None else f"{record.seq:>4} {record.glyph} {record.text}"


def _columns(one: str, mark: str, other: str, width: int) -> str:
    from tape.core.text import fit

    half = (width - 3) // 2
    return f"{fit(one, half)} {mark} {fit(other, width - 3 - half)}".rstrip()
