"""What the detail pane says about the line under a pane's cursor. Pure but for the pane it looks at."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tape.core.clock import format_us
from tape.core.text import duration, show
from tape.tui.ink import Ink, ink
from tape.tui.pane import Pane
from tape.tui.panes.detail import Subject
from tape.tui.panes.effects import EffectsPane
from tape.tui.panes.log import LogPane
from tape.tui.panes.processes import ProcessesPane
from tape.tui.panes.reactors import ReactorsPane
from tape.tui.panes.runs import RunsPane
from tape.tui.panes.tape import TapePane
from tape.tui.run_words import Word, family_words, past_words, standing_words
from tape.tui.scene import Scene

if TYPE_CHECKING:
    from tape.core.journal.shapes import RunView
    from tape.core.story import TapeLine


def subject_of(scene: Scene, pane: Pane) -> Subject | None:
    if isinstance(pane, RunsPane):
        return _run(scene, pane.run)
    if isinstance(pane, TapePane):
        return _line(pane.line)
    if isinstance(pane, EffectsPane):
        return _effect(pane)
    if isinstance(pane, ReactorsPane) and pane.reactor is not None:
        reactor = pane.reactor
        words: list[Word] = [(f"{reactor.moved} rows moved, {reactor.errors} errors", Ink.MUTED)]
        words += [(show(reactor.last_error, 2000), Ink.ERROR)] if reactor.last_error else []
        return Subject(reactor.name, words, {"queue": reactor.queue, "last": reactor.last})
    if isinstance(pane, ProcessesPane) and pane.process is not None:
        process = pane.process
        return Subject(f"w{process.worker}", [(process.note, Ink.MUTED)], _plain(process))
    if isinstance(pane, LogPane) and pane.line is not None:
        line = pane.line
        return Subject(
            f"log {line.id}", [(f"{line.who}  {format_us(line.at_us)}", Ink.MUTED), (line.text, Ink.PLAIN)], None
        )
    return None


def _plain(value: Any) -> dict[str, Any]:
    return asdict(value)


def _run(scene: Scene, run: RunView | None) -> Subject | None:
    if run is None:
        return None
    from tape.core.journal.shapes import view_json

    selected = scene.selected if scene.selected is not None and scene.selected.run.id == run.id else None
    if selected is not None and selected.at is not None:
        return Subject(show(run.id, 20), past_words(selected), None)
    words: list[Word] = [(f"{run.status}  drive {run.drive}, {run.crashes} crashes in a row", Ink.MUTED)]
    if scene.imported:
        words.append((f"⊘ {scene.imported}", Ink.WARNING))
    if run.error:
        words.append((show(run.error, 2000), Ink.ERROR))
    words += family_words(run)
    for need in scene.needs:
        if need.run_id == run.id:
            words += [(f"  {show(command, 400)}", Ink.ACCENT) for command in need.commands]
    if selected is not None:
        words += standing_words(selected)
    return Subject(show(run.id, 20), words, view_json(run))


def _line(line: TapeLine | None) -> Subject | None:
    if line is None:
        return None
    words: list[Word] = [(line.text, ink(line.style))]
    from tape.core.journal.entries import entry_json

    entry = line.entry
    name = f"seq {entry.seq}" if entry.seq is not None else f"entry {entry.id}"
    words.insert(0, (f"{format_us(entry.at_us)}  t+{duration(line.since_us)}  epoch {entry.epoch}", Ink.MUTED))
    return Subject(f"{name} {entry.event.kind}", words, entry_json(entry))


def _effect(pane: EffectsPane) -> Subject | None:
    fact, ref = pane.effect, pane.ref
    if fact is not None:
        words: list[Word] = [(f"key {show(fact.key, 200)}", Ink.STRONG)]
        if fact.evidence:
            words.append((fact.evidence, Ink.MUTED))
        return Subject(show(fact.short, 200), words, _plain(fact))
    return (
        None if ref is None else Subject(show(ref.key, 200), [(f"key {show(ref.key, 200)}", Ink.STRONG)], _plain(ref))
    )
