"""What a run, a tape line, an effect, a reactor, a process and a log line look like in a row of so many columns. Pure.

An entry's words come from `tape.core.render`, through `tape.core.story`; here is only where they stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tape.core.clock import format_us
from tape.core.marks import EFFECT_MARKS, FORK, LEASE_MARKS, UNKNOWN_MARK, Style, run_mark
from tape.core.text import age, cells, count, duration, fit, show
from tape.tui.ink import Ink, Row, Span, bar, clip, ink, spark, width_of
from tape.tui.scene import Leased, LogLine, Phase, ProcessRow, ReactorRow, RunList, Source, Strip

if TYPE_CHECKING:
    from tape.core.journal.shapes import EffectRef, RunView
    from tape.core.kernel.points import Stop
    from tape.core.story import EffectFact, LeaseFact, TapeLine

ID_WIDTH, STATE_WIDTH, LEASE_WIDTH, AGENT_WIDTH = 14, 14, 16, 12
PLAIN, DIM, MUTED, HEAD = Ink.PLAIN, Ink.DIM, Ink.MUTED, Ink.HEAD
HALF_LEFT, LITTLE_LEFT = 0.5, 0.2
BAR_CELLS = 5
DEEPEST = 3
"""Children of children of children are drawn as deep as these: the id must stay in sight."""


def clock_text(us: int) -> str:
    """`12:04:31` of UTC."""
    return format_us(us)[11:19]


def clock_ms(us: int) -> str:
    return format_us(us)[11:23]


# --- runs -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a run stands in the tree of the list: how deep, and the sign before its id. `room`: what the tree takes of
    each row."""

    room: int = 0
    depth: int = 0
    sign: str = ""


NO_TREE = Branch()


def tree_room(runs: RunList) -> int:
    """A sign, and a column for each generation on screen, the fourth and later ones together."""
    return 2 + min(runs.deepest, DEEPEST) if runs.parents else 0


def branch_of(runs: RunList, run: RunView) -> Branch:
    depth = min(runs.depths.get(run.no, 0), DEEPEST)
    sign = "⊟" if run.no in runs.open else "⊞" if run.children and runs.parents else "└" if depth else ""
    return Branch(tree_room(runs), depth, sign)


def _run_columns(width: int, several: bool, tree: int) -> tuple[bool, bool, int]:
    """Whether the agent and the lease have a column, and how wide what it waits for may be."""
    used = 2 + tree + ID_WIDTH + 1 + STATE_WIDTH + 1 + 3 + 1 + 3 + 1 + 4 + 1
    agent = several and width - used > AGENT_WIDTH + 22
    used += AGENT_WIDTH + 1 if agent else 0
    lease = width - used >= LEASE_WIDTH
    used += LEASE_WIDTH + 1 if lease else 0
    return agent, lease, max(0, width - used)


def runs_head(width: int, several: bool, tree: int = 0) -> Row:
    agent, lease, rest = _run_columns(width, several, tree)
    text = f"  {fit('run', tree + ID_WIDTH)} {fit('state', STATE_WIDTH)} "
    text += f"{fit('agent', AGENT_WIDTH)} " if agent else ""
    text += "dec eff "
    text += f"{fit('lease', LEASE_WIDTH)} " if lease else ""
    return ((f"{text} age {fit('waiting on', rest) if rest > 3 else ''}", HEAD),)


def run_state(run: RunView, stop: Stop | None) -> Span:
    """Glyph and word; a run that stands at a point is stopped whatever its status says."""
    if stop is not None:
        return "◆ STOPPED", Ink.ACCENT
    mark = run_mark(run.status, drive=run.drive)
    return f"{mark.glyph} {run.status}", Ink.DIM if run.status == "TERMINAL" else ink(mark.style)


def lease_cell(lease: Leased | None, boot_us: int, instead: Span = ("", PLAIN)) -> list[Span]:
    """`w1#4 9.1s ▮▮▮▮▯`: the bar runs down. `instead` is what stands there while nobody drives it."""
    if lease is None:
        return [(fit(instead[0] or "-", LEASE_WIDTH), instead[1] if instead[0] else DIM)]
    left = max(0, lease.until_boot_us - boot_us)
    share = left / lease.ttl_us if lease.ttl_us else 0.0
    colour = Ink.SUCCESS if share > HALF_LEFT else Ink.WARNING if share > LITTLE_LEFT else Ink.ERROR
    who = fit(f"w{lease.worker}#{lease.epoch}", 6)
    return [(f"{who} {left // 1_000_000:>2}s ", PLAIN), (bar(share, BAR_CELLS), colour)]


def run_row(
    run: RunView | None,
    *,
    here: bool,
    width: int,
    several: bool,
    lease: Leased | None,
    stop: Stop | None,
    now_us: int,
    boot_us: int,
    branch: Branch = NO_TREE,
    past: str = "",
) -> Row:
    """`past` says as of when it is, if not as of now."""
    mark: Span = ("▸ " if here else "  ", Ink.STRONG)
    if run is None:
        return mark, ("…", DIM)
    agent, with_lease, rest = _run_columns(width, several, branch.room)
    base = DIM if run.ended and not here else PLAIN
    state, colour = run_state(run, stop)
    signed = f"{' ' * branch.depth}{fit(branch.sign, 2)}" if branch.room else ""
    named = fit(show(run.id, 20), ID_WIDTH + branch.room - cells(signed))
    row: list[Span] = [mark, (signed, MUTED), (f"{named} ", Ink.STRONG if here else base)]
    row += [(state, colour), (" " * (STATE_WIDTH + 1 - cells(state)), PLAIN)]
    if agent:
        row.append((f"{fit(show(run.agent, 40), AGENT_WIDTH)} ", base))
    row.append((f"{run.decisions:>3} {run.effects:>3} ", base))
    kin = (f"◆ {past}", Ink.ACCENT) if past else _kin(run, base)
    if with_lease:
        row += [*lease_cell(lease, boot_us, kin), (" ", PLAIN)]
    row.append((f"{age(now_us - run.created_us):>4} ", base))
    if rest > 3:
        told = with_lease and lease is None
        *more, (text, style) = _last_column(run, stop, base, ("", PLAIN) if told else kin, in_tree=bool(branch.depth))
        row += clip((*more, (fit(text, max(cells(text), rest - width_of(tuple(more)))), style)), rest)
    return tuple(row)


def _kin(run: RunView, base: Ink) -> Span:
    """That it is a fork, and whether it acts; else how many children it has."""
    if run.source_id is not None:
        return f"{FORK.glyph} {'quarantine' if run.quarantine else 'fork'}", ink(FORK.style)
    if run.children:
        left = f", {run.children_open} open" if run.children_open else ""
        return f"{count(run.children, 'child', 'children')}{left}", base
    return "", base


def _last_column(run: RunView, stop: Stop | None, base: Ink, kin: Span, *, in_tree: bool) -> list[Span]:
    """What it waits for, or died of; around it, what it is to other runs, as far as that is not said elsewhere."""
    waits = run.waiting_on or (run.error if run.status in ("FAILED", "STUCK") else "")
    at = f"at {stop.point}" if stop is not None else waits
    source = f"of {show(run.source_id, 20)} at seq {run.source_seq}" if run.source_id is not None else ""
    parent = f"↳ child of {show(run.parent, 20)}" if run.parent is not None and not in_tree else ""
    waiting = base if run.ended else Ink.WARNING
    said = [kin, (show(at, 200), waiting), (parent, base), (source, base)]
    spans: list[Span] = []
    for text, style in said:
        if text:
            spans.append((f"{'  ' if spans else ''}{text}", style))
    return spans or [("", base)]


# --- the tape ---------------------------------------------------------------------------------------------------

SEQ_WIDTH, SINCE_WIDTH, STATUS_WIDTH = 5, 8, 12


def tape_head(width: int) -> Row:
    what = max(4, width - SEQ_WIDTH - SINCE_WIDTH - 4 - STATUS_WIDTH)
    return ((f"{'seq':>{SEQ_WIDTH}} {'t+':>{SINCE_WIDTH}}  {fit('what', what)} state", HEAD),)


def since_text(us: int) -> str:
    """`0.163`, `12.4 s`: seconds to the millisecond while they fit."""
    return f"{us / 1_000_000:.3f}" if 0 <= us < 1_000_000_000 else duration(us)


def tape_row(line: TapeLine, *, here: bool, width: int, taken_over: int = 0) -> Row:
    """`taken_over`: up to which seq the tape is another run's, of which this one is a fork."""
    if line.kind == "CUT":
        return _cut_row(line, here=here, width=width)
    seq = f"{line.seq}" if line.seq is not None else ""
    since = since_text(line.since_us) if line.kind == "RECORD" or here else ""
    base = DIM if line.dimmed or line.kind == "STORY" else PLAIN
    taken = line.kind == "RECORD" and line.seq is not None and line.seq <= taken_over
    marker: Span = ("▸", Ink.STRONG) if here else (FORK.glyph, DIM) if taken else (" ", MUTED)
    left: list[Span] = [
        marker,
        (f"{seq:>{SEQ_WIDTH - 1}} ", Ink.STRONG if here else MUTED),
        (f"{since:>{SINCE_WIDTH}}  ", DIM),
    ]
    room = width - width_of(tuple(left))
    if line.kind == "RESUME":
        return (*left, (line.text, Ink.ACCENT))
    state = f"{line.state_glyph} {line.state}".strip() if line.state and line.kind == "RECORD" else ""
    state_room = max(STATUS_WIDTH, cells(state)) if state else 0
    room -= state_room + (1 if state else 0)
    colour = DIM if line.dimmed else ink(line.style)
    text = fit(line.text, max(0, room - 2))
    right: list[Span] = [(f" {fit(state, state_room)}", DIM if line.dimmed else ink(line.state_style))] if state else []
    return (*left, (f"{line.glyph} ", colour), (text, base), *right)


def _cut_row(line: TapeLine, *, here: bool, width: int) -> Row:
    text = f" {line.glyph} {line.text} " if not line.text.startswith(line.glyph) else f" {line.text} "
    lead = "▸─────" if here else "──────"
    rest = max(2, width - len(lead) - cells(text))
    return (lead, Ink.ERROR), (text, Ink.ERROR), ("─" * rest, Ink.ERROR)


# --- effects ----------------------------------------------------------------------------------------------------


def effect_row(fact: EffectFact, acts: int | None, *, here: bool, width: int) -> Row:
    """`✓ wire_money  d1.0  acts 1 = 1  observed`."""
    mark = EFFECT_MARKS.get(fact.status, UNKNOWN_MARK)
    colour = ink(mark.style)
    counted, wrong = acts_text(fact.attempts, acts, fact.status, undone=fact.undo.startswith("DONE"))
    place = fact.short.rpartition("/")[0].replace("/", ".")
    wide = width > 60
    how = fact.resolution or fact.status
    if wide:
        how = f"{how} by {fact.writer}" if fact.writer else how
        how += f" ({fact.row})" if fact.row else ""
        how += f", ≡ replayed {fact.replayed}" if fact.replayed else ""
        how += f", undo {fact.undo}" if fact.undo else ""
    elif not fact.called:
        how = ""
    elif fact.undo:
        how = f"undo {fact.undo}"
    row: list[Span] = [
        ("▸" if here else " ", Ink.STRONG),
        (f"{mark.glyph} ", colour),
        (f"{fit(show(fact.tool, 60), 16 if wide else 12)} ", Ink.STRONG if here else PLAIN),
        (f"{fit(f'd{place}', 6)} ", MUTED),
    ]
    if fact.called:
        row.append((f"{fit(counted, 12)} ", Ink.ALARM if wrong else MUTED))
    else:
        said = "not called" if fact.quarantined else "taken over"
        row.append((f"{FORK.glyph} {said}{', ' if how else ''}", ink(FORK.style) if fact.quarantined else DIM))
    row.append((how, colour if fact.open else MUTED))
    return tuple(row)


def acts_text(attempts: int, acts: int | None, status: str, *, undone: bool = False) -> tuple[str, bool]:
    """Bodies entered against acts at the upstream that stand, and whether that is wrong: `acts 1 = 1`, `acts 2 > 1`."""
    if acts is None:
        return f"acts {attempts} : –", False
    sign = "=" if acts == attempts else ">" if attempts > acts else "<"
    wrong = acts > 1 or (status == "CONFIRMED" and acts == int(undone))
    return f"acts {attempts} {sign} {acts}{' ✗' if wrong else ''}", wrong


def effect_ref_row(effect: EffectRef, *, here: bool, now_us: int) -> Row:
    mark = EFFECT_MARKS.get(effect.status, UNKNOWN_MARK)
    colour = ink(mark.style)
    return (
        ("▸" if here else " ", Ink.STRONG),
        (f"{mark.glyph} ", colour),
        (f"{fit(show(effect.run_id, 20), ID_WIDTH)} ", Ink.STRONG if here else PLAIN),
        (f"{fit(show(effect.tool, 40), 14)} ", PLAIN),
        (f"{fit(effect.status, 9)} ", colour),
        (f"{age(now_us - effect.begun_us):>4} ", MUTED),
        (effect.resolution or effect.step or "", MUTED),
    )


# --- reactors, processes, log -----------------------------------------------------------------------------------


def reactor_row(reactor: ReactorRow, *, here: bool, width: int) -> Row:
    state: Span = ("● busy", Ink.PRIMARY) if reactor.busy else ("○ idle", MUTED)
    if reactor.last_error:
        state = ("! error", Ink.ERROR)
    graph = spark(reactor.spark, 8)
    row: list[Span] = [
        ("▸" if here else " ", Ink.STRONG),
        (f"{fit(reactor.name, 12)} ", PLAIN),
        (f"{fit(state[0], 7)} ", state[1]),
        (f"{graph} ", Ink.PRIMARY if any(reactor.spark) else DIM),
    ]
    done = f"{reactor.moved} done" if reactor.moved else ""
    said = reactor.last_error or ", ".join(part for part in (reactor.queue, done) if part)
    row.append((show(said, 200), Ink.ERROR if reactor.last_error else MUTED))
    if reactor.last and width > 70:
        row.append((f"  {reactor.last}", DIM))
    return tuple(row)


def process_row(process: ProcessRow, *, here: bool, width: int) -> Row:
    """`w1#4 12345 ● drives r-...  41 MB 1 %  ▮▮▮▮▯`."""
    who = f"w{process.worker}" + (f"#{process.epoch}" if process.run else "")
    row: list[Span] = [
        ("▸" if here else " ", Ink.STRONG),
        (f"{fit(who, 7)}", PLAIN),
        (f"{process.pid:>7} ", MUTED),
        (f"{fit(f'{process.glyph} {process.state}', 10)}", ink(process.style)),
    ]
    if process.rss is not None:
        cpu = f"{process.cpu:3.0f} %" if process.cpu is not None else "  – %"
        row.append((f"{process.rss // 1_000_000:>4} MB {f'{cpu} ' if width > 60 else ''}", MUTED))
    if process.lease_left_us is not None and process.ttl_us:
        share = process.lease_left_us / process.ttl_us
        colour = Ink.SUCCESS if share > HALF_LEFT else Ink.WARNING if share > LITTLE_LEFT else Ink.ERROR
        row.append((f"{bar(share, BAR_CELLS)} ", colour))
    row.append((process.note, MUTED))
    return tuple(row)


def lease_row(lease: LeaseFact, *, here: bool) -> Row:
    """A lease of the past: `w1#1  12345 ✗ DIED  SIGKILL: killed at effect.acted`."""
    mark = LEASE_MARKS.get(lease.status, UNKNOWN_MARK)
    return (
        ("▸" if here else " ", Ink.STRONG),
        (fit(f"w{lease.worker}#{lease.epoch}", 7), PLAIN),
        (f"{lease.pid:>7} ", MUTED),
        (f"{fit(f'{mark.glyph} {lease.status}', 10)} ", ink(mark.style)),
        (show(lease.why, 200), MUTED),
    )


_SOURCES = {Source.YOU: Ink.ACCENT, Source.AGENT: Ink.PLAIN, Source.REACTORS: Ink.PRIMARY, Source.TAPE: Ink.MUTED}


def log_row(line: LogLine, *, here: bool, width: int) -> Row:
    colour = ink(line.style) if line.style is not Style.PLAIN else PLAIN
    time = clock_ms(line.at_us) if width > 60 else clock_text(line.at_us)
    run = f"{fit(line.run_id, ID_WIDTH)} " if line.run_id and width > 90 else ""
    return (
        ("▸" if here else " ", Ink.STRONG),
        (f"{time} ", DIM),
        (f"{fit(line.who, 12 if width > 60 else 11)} ", _SOURCES[line.source]),
        (run, DIM),
        (f"{line.glyph} ", colour),
        (line.text, Ink.ERROR if line.style in (Style.ERROR, Style.ALARM) else PLAIN),
    )


# --- the strip --------------------------------------------------------------------------------------------------

_PHASES: dict[Phase, Span] = {
    Phase.STARTING: ("○ starting", Ink.MUTED),
    Phase.LIVE: ("● live", Ink.SUCCESS),
    Phase.BROKEN: ("✗ stopped", Ink.ALARM),
    Phase.STOPPING: ("○ stopping", Ink.MUTED),
    Phase.READ_ONLY: ("⊘ read-only", Ink.WARNING),
}
_ORDER = ("RUNNABLE", "RUNNING", "WAITING", "COMPENSATING", "STUCK", "TERMINAL", "FAILED", "CANCELLED")


def size_text(size: int) -> str:
    for unit, step in (("GB", 1_000_000_000), ("MB", 1_000_000)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size // 1_000} kB"


def counts_row(strip: Strip) -> list[Span]:
    spans: list[Span] = [(f"runs {strip.total} ", PLAIN)]
    counts = dict(strip.counts)
    if strip.recovering:
        counts["RUNNABLE"] = max(0, counts.get("RUNNABLE", 0) - strip.recovering)
        spans.append((f"↻{strip.recovering} ", MUTED))
    if strip.stopped:
        spans.append((f"◆{strip.stopped} ", Ink.ACCENT))
    for status in _ORDER:
        number = counts.get(status, 0)
        if number:
            mark = run_mark(status)
            spans += [(f"{mark.glyph}{number}", ink(mark.style)), (" ", PLAIN)]
    return spans


def contract_row(strip: Strip) -> list[Span]:
    spans: list[Span] = []
    for line in strip.contract:
        colour = MUTED if line.holds is None else Ink.SUCCESS if line.holds else Ink.ALARM
        spans += [(show(line.text(), 40), colour), (" ", PLAIN)]
    return spans


def strip_row(strip: Strip, phase: Phase, now_us: int, *, paused: bool, at: tuple[int, int] | None, width: int) -> Row:
    """The line on top: what falls out first when it is narrow is what the panes say as well."""
    state: Span = ("▮▮ paused", Ink.WARNING) if paused else _PHASES[phase]
    if at is not None:
        mark = "⊘ read-only  " if phase is Phase.READ_ONLY else ""
        state = (f"{mark}◆ time {at[0]}/{at[1]}", Ink.ACCENT)
    head: list[Span] = [(" tape dev  ", Ink.STRONG), (f"{show(strip.project, 24)}  ", Ink.FOCUS)]
    journal: list[Span] = [(f"{show(strip.journal, 40)} {size_text(strip.size)}  ", MUTED)]
    live: list[Span] = [state, ("  ", PLAIN)]
    counts = [*counts_row(strip), (" ", PLAIN)]
    up = strip.reactors_up
    reactors: list[Span] = [(f"reactors {up}/5  ", MUTED if up == 5 or phase is Phase.STARTING else Ink.ERROR)]
    agents: list[Span] = [(f"agents {strip.agents}+{strip.spares}  ", MUTED)]
    alarms: list[Span] = []
    if strip.needs:
        alarms += [(f"! {strip.needs} for you (i)", Ink.ALARM), ("  ", PLAIN)]
    if strip.errors:
        alarms.append((f"✗ {count(strip.errors, 'error')}  ", Ink.ERROR))
    right: list[Span] = [*(contract_row(strip) if at is None else ()), (f"{clock_text(now_us)} ", MUTED)]
    right.insert(0, (" ", PLAIN))
    chosen = [head, live, counts, alarms]
    if width_of(tuple(span for spans in [*chosen, right] for span in spans)) > width:
        chosen = [[(" ", PLAIN), *head[1:]], live, alarms, counts]
    service = () if phase is Phase.READ_ONLY else ((reactors, 3), (agents, 4))
    for part, place in (*service, (journal, 1)):
        if width_of(tuple(span for spans in [*chosen, part, right] for span in spans)) <= width:
            chosen.insert(min(place, len(chosen)), part)
    left = [span for spans in chosen for span in spans]
    room = width - width_of(tuple(right))
    return (*clip(left, max(0, room)), *right)
