"""What the command line prints: tables, lines, dumps and JSON from the journal's views. No policy.

People's text went through `show`; JSON escapes all that is not printable ASCII, so both are safe on a terminal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from tape.core.clock import Clock, format_us
from tape.core.journal.shapes import NeedKind, RunCounts, RunView, view_json
from tape.core.journal.views import Reader
from tape.core.kernel.lifecycle import RunStatus
from tape.core.marks import Style, run_mark
from tape.core.text import age, cells, count, fit, show

if TYPE_CHECKING:  # loaded where entries are printed: the table of runs needs none of it
    from tape.core.kernel.events import Entry, Json

POLL_SECONDS = 0.05
POLLS_PER_LOOK = 20
FEED_PAGE = 1000

_COLOURS: Mapping[Style, str] = {
    Style.DIM: "2",
    Style.MUTED: "2",
    Style.PRIMARY: "34",
    Style.ACCENT: "36",
    Style.SUCCESS: "32",
    Style.WARNING: "33",
    Style.ERROR: "31",
    Style.ALARM: "1;31",
}
Cell = tuple[str, Style]


class Paper:
    """Where a report goes. Colours only on a terminal, and not where NO_COLOR is set."""

    def __init__(self, out: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self.out = out
        self.coloured = out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    def say(self, text: str = "", style: Style = Style.PLAIN) -> None:
        self.out.write(self.paint(text, style) + "\n")

    def paint(self, text: str, style: Style) -> str:
        code = _COLOURS.get(style) if self.coloured else None
        return f"\x1b[{code}m{text}\x1b[0m" if code else text

    def json(self, value: Json, *, indent: int | None = None) -> None:
        self.out.write(json.dumps(value, indent=indent) + "\n")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Columns as wide as their widest cell; the cells' text is safe already."""
        widths = [
            max(cells(title), *(cells(row[at][0]) for row in rows)) if rows else cells(title)
            for at, title in enumerate(head)
        ]
        self.say("  ".join(fit(title, width) for title, width in zip(head, widths, strict=True)).rstrip(), Style.DIM)
        for row in rows:
            parts = [self.paint(fit(text, width), style) for (text, style), width in zip(row, widths, strict=True)]
            self.out.write("  ".join(parts).rstrip() + "\n")


# --- tape status ------------------------------------------------------------------------------------------------

STATUS_HEAD = ("run", "state", "agent", "decisions", "effects", "lease", "waiting on", "age")


def select_runs(reader: Reader, limit: int | None) -> list[RunView]:
    """The newest `limit` runs, and every older one that has not ended: what needs somebody is never hidden."""
    page = reader.runs(limit)
    if limit is None or len(page) < limit:
        return page
    return page + reader.runs(open_only=True, before_no=page[-1].no if page else None)


def status_json(run: RunView) -> Json:
    body = view_json(run)
    del body["no"]
    return body


def print_status(
    paper: Paper, runs: Sequence[RunView], counts: RunCounts | None, now_us: int, letters: int = 0
) -> None:
    """The table, and one line that sums up; runs of which one was asked for have no `counts`. `letters`: dead ones."""
    paper.table(STATUS_HEAD, [_status_row(run, now_us) for run in runs])
    if counts is not None:
        dead = f"; {count(letters, 'dead letter')}: see `tape doctor`" if letters else ""
        paper.say(_summary(runs, counts) + dead)


def dead_letters(reader: Reader) -> int:
    """How much needs a person although no run is STUCK over it."""
    found = [need for need in reader.needs() if need.kind in (NeedKind.EFFECT, NeedKind.OBLIGATION)]
    stuck = {run_id for run_id in {need.run_id for need in found} if reader.run(run_id).status == RunStatus.STUCK}
    return sum(need.run_id not in stuck for need in found)


def _status_row(run: RunView, now_us: int) -> list[Cell]:
    mark = run_mark(run.status, drive=run.drive)
    lease = f"{run.worker.pid}#{run.epoch}" if run.worker else "-"
    waits = run.waiting_on or (run.error if run.status == RunStatus.FAILED else "") or run.origin
    plain = Style.DIM if run.ended else Style.PLAIN
    return [
        (show(run.id, 20), plain),
        (f"{mark.glyph} {run.status}", mark.style),
        (show(run.agent, 24), plain),
        (f"decisions={run.decisions}", plain),
        (f"effects={run.effects}", plain),
        (lease, plain),
        (show(waits, 40) or "-", plain),
        (age(now_us - run.created_us), plain),
    ]


def _summary(runs: Sequence[RunView], counts: RunCounts) -> str:
    if not counts.total:
        return "no runs yet"
    parts = [f"{number} {status}" for status, number in sorted(counts.open.items())]
    parts += [f"{counts.ended} ended"] if counts.ended else []
    text = f"{count(counts.total, 'run')}: {', '.join(parts)}"
    if len(runs) < counts.total:
        text += f"; {counts.total - len(runs)} older ended ones are not shown (--limit 0 shows all)"
    conflicts = sum(run.conflicts for run in runs)
    return text + (f"; {count(conflicts, 'open conflict')}: see `tape doctor`" if conflicts else "")


def print_needs(paper: Paper, reader: Reader, run: RunView) -> None:
    """What it was forked from, why a run is stuck or failed, what else of it needs a person, which commands help, and
    its family."""
    if run.origin:
        paper.say(show(run.origin, 100), Style.ACCENT)
    if run.error:
        mark = run_mark(run.status)
        paper.say(f"{mark.glyph} {show(run.error, 1000)}", mark.style)
    if run.parent is not None:
        paper.say(f"child of {run.parent}")
    if run.children:
        paper.say(f"{run.children} child{'ren' if run.children > 1 else ''}, {run.children_open} open")
    if run.status == RunStatus.STUCK:
        for command in stuck_commands(reader, run.id):
            paper.say(f"  {show(command, 400)}")
        return
    for need in reader.needs():
        if need.run_id == run.id and need.key:
            paper.say(f"! {show(need.why, 1000)}", Style.WARNING)
            for command in need.commands:
                paper.say(f"  {show(command, 400)}")


def stuck_commands(reader: Reader, run_id: str) -> list[str]:
    from tape.core.kernel.events import RunMoved

    moves = [entry.event for entry in reader.entries(run_id=run_id) if isinstance(entry.event, RunMoved)]
    return [*moves[-1].commands] if moves and moves[-1].status == RunStatus.STUCK else []


def print_recovery(paper: Paper, reader: Reader, run_id: str) -> None:
    """What its crashes cost; nothing for a run that had none."""
    from tape.core.figures import recovery_lines, recovery_of

    for text in recovery_lines(recovery_of(reader.entries(run_id=run_id, limit=None))):
        paper.say(text, Style.MUTED)


def recovery_facts(reader: Reader, run_id: str) -> Json:
    from tape.core.figures import recovery_json, recovery_of

    return recovery_json(recovery_of(reader.entries(run_id=run_id, limit=None)))


def status_line(run: RunView) -> str:
    """One run on one line."""
    mark = run_mark(run.status, drive=run.drive)
    tail = f": {show(run.error or run.waiting_on, 400)}" if run.error or run.waiting_on else ""
    return f"{run.id} {mark.glyph} {run.status} decisions={run.decisions} effects={run.effects}{tail}"


# --- the feed ---------------------------------------------------------------------------------------------------


def print_entry(paper: Paper, entry: Entry, *, as_json: bool = False) -> None:
    """One entry, on one line, at once."""
    from tape.core.journal.entries import entry_json
    from tape.core.render import line

    if as_json:
        paper.json(entry_json(entry))
    else:
        told = line(entry)
        where = fit(show(entry.run_id or "-", 20), 14)
        paper.out.write(f"{clock_time(entry.at_us)} {where} {paper.paint(f'{told.glyph} {told.text}', told.style)}\n")
    paper.out.flush()


def follow(
    paper: Paper, reader: Reader, clock: Clock, *, after: int, run_id: str | None = None, as_json: bool = False
) -> None:
    """Prints each new entry until it is interrupted."""
    while True:
        entries = reader.entries(after=after, limit=FEED_PAGE, run_id=run_id)
        for entry in entries:
            print_entry(paper, entry, as_json=as_json)
            after = entry.id
        if not entries:
            clock.sleep(POLL_SECONDS)


def await_end(
    reader: Reader, clock: Clock, run_id: str, served: Callable[[], bool], hint: Callable[[str], None]
) -> RunView:
    """Waits until the run has ended or is STUCK. Says so once if no server is left to drive it, and waits on."""
    polls, said, asked = 0, False, set[str]()
    while True:
        with reader.snapshot():
            run = reader.run(run_id)
            waits = run.status == RunStatus.WAITING and run.waiting_on not in asked
            needs = reader.needs() if waits else []
        if run.ended or run.status == RunStatus.STUCK:
            return run
        if waits:
            asked.add(run.waiting_on)
            for need in needs:
                if need.run_id == run_id:
                    hint(f"{run_id} waits for a person: {' | '.join(need.commands)}")
        polls += 1
        if not said and polls % POLLS_PER_LOOK == 0 and not served():
            hint("no server runs any more: start `tape dev` to drive it; still waiting")
            said = True
        clock.sleep(POLL_SECONDS)


def result_of(reader: Reader, run_id: str) -> Json:
    """What the agent function returned; None for a run that did not end well."""
    from tape.core.kernel.events import RunEnded

    ends = [entry.event for entry in reader.tape(run_id)[-1:] if isinstance(entry.event, RunEnded)]
    return ends[0].result if ends else None


def clock_time(us: int | None) -> str:
    return "-" if us is None else format_us(us)[11:23] + "Z"
