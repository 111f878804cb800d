"""A proof as text for a terminal: the verdict, the matrix, and each mistake once with where to look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tape.core.marks import Style
from tape.core.report import Cell, Paper
from tape.core.text import cells, count, duration, fit, show
from tape.lab.proof import DEATHS, Cause, Mark, Proof, Result
from tape.lab.proof_table import (
    WORDS,
    Row,
    cell_text,
    head,
    marks_of,
    near,
    open_command,
    ordered_causes,
    place_text,
    rows_of,
    tally,
    verdict,
    worst,
)

WIDTH = 80
LABEL_WIDTH = 44
"""The widest that leaves room for five columns within `WIDTH`."""
SENTENCE_LIMIT = 1000
CELLS_SHOWN = 3

STYLES: Mapping[Mark, Style] = {
    Mark.HOLDS: Style.SUCCESS,
    Mark.PERSON: Style.WARNING,
    Mark.WRONG: Style.ERROR,
    Mark.MISSED: Style.MUTED,
}


def print_proof(paper: Paper, proof: Proof, *, cores: int | None = None, here: Path | None = None) -> None:
    """`here` is the folder that paths are shown from; the working folder if it is left out."""
    text, mark = verdict(proof)
    on = f" on {count(cores, 'core')}" if cores else ""
    paper.say(f"{head(proof)} in {duration(int(proof.seconds * 1_000_000))}{on}: {text} {mark.glyph}", STYLES[mark])
    if proof.results:
        paper.say()
        _print_matrix(paper, proof)
    for cause, results, worst_mark in ordered_causes(proof):
        paper.say()
        _print_cause(paper, cause, results, worst_mark, here or Path.cwd())
    if proof.notes:
        paper.say()
    for note in proof.notes:
        paper.say(f"note: {show(note, SENTENCE_LIMIT)}", Style.DIM)


def _print_matrix(paper: Paper, proof: Proof) -> None:
    rows = rows_of(proof)
    pairs = any(row.second for row in rows)
    titles = ["place", *(str(death) for death in DEATHS), *(["2nd"] if pairs else [])]
    paper.table(titles, [_cells(row, pairs) for row in rows])
    asking = [mark for mark in marks_of(proof) if mark in (Mark.PERSON, Mark.MISSED)]
    legend = [f"{mark.glyph} {WORDS[mark]} ({proof.count(mark)})" for mark in asking]
    if legend:
        paper.say("   ".join(legend), Style.DIM)


def _cells(row: Row, pairs: bool) -> list[Cell]:
    found: list[Cell] = [(place_text(row.place, LABEL_WIDTH), Style.PLAIN)]
    for death in DEATHS:
        result = row.deaths.get(death)
        found.append((result.mark.glyph, STYLES[result.mark]) if result is not None else ("", Style.PLAIN))
    if pairs and row.second:
        mark = worst(row.second)
        found.append((f"{mark.glyph} {tally(row.second)}", STYLES[mark]))
    elif pairs:
        found.append(("", Style.PLAIN))
    return found


def _print_cause(paper: Paper, cause: Cause, results: tuple[Result, ...], mark: Mark, here: Path) -> None:
    paper.say(f"{mark.glyph} {show(cause.sentence, SENTENCE_LIMIT)} [{cause.mistake}]", STYLES[mark])
    if not results:
        paper.say("  in the good run, without any kill")
    for result in results[:CELLS_SHOWN]:
        paper.say(f"  {_cell_line(result)}")
    if len(results) > CELLS_SHOWN:
        paper.say(f"  and {len(results) - CELLS_SHOWN} more")
    kept = next((result for result in results if result.scenario or result.journal), None)
    if kept is not None and kept.scenario is not None:
        paper.say(f"  scenario: {near(kept.scenario, here)}")
    if kept is not None and kept.journal is not None:
        paper.say(f"  journal: {open_command(kept.journal, here)}")


def _cell_line(result: Result) -> str:
    """`effect.acted wire_money KILL: TERMINAL, redispatched, 2 acts`."""
    if result.mark is Mark.MISSED:
        return cell_text(result.cell, WIDTH - 2)
    parts = (result.status, *result.resolutions, count(result.acts, "act"))
    tail = f": {fit(show(', '.join(part for part in parts if part)), 30).rstrip()}"
    return cell_text(result.cell, WIDTH - 2 - cells(tail)) + tail
