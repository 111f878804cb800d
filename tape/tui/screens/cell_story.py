"""The story of one cell of a proof, or of a scenario, read from the journal that was kept of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tape.core.kernel.errors import TapeError, one_line
from tape.core.text import show
from tape.tui.ink import Ink, Row
from tape.tui.json_rows import text_rows
from tape.tui.pane import Pane
from tape.tui.rows import tape_head, tape_row

if TYPE_CHECKING:
    from pathlib import Path

    from tape.core.story import TapeLine
    from tape.core.verdict import Verdict
    from tape.lab.proof import Result
    from tape.lab.scenario_result import ScenarioResult


@dataclass(frozen=True, slots=True)
class Kept:
    """What a kept journal is the story of: its name, its sign, and what was found wrong. Texts may be foreign."""

    title: str
    sign: str
    wrong: tuple[str, ...]
    journal: Path
    run_id: str


def of_cell(result: Result, journal: Path) -> Kept:
    wrong = tuple(cause.sentence for cause in result.causes)
    return Kept(result.cell.label, result.mark.glyph, wrong, journal, result.run_id)


def of_scenario(result: ScenarioResult, journal: Path) -> Kept:
    return Kept(result.name, "✓" if result.ok else "✗", result.sentences, journal, result.run_id)


@dataclass(frozen=True, slots=True)
class CellStory:
    """The tape's lines, and what became of each death; `good` is None where it cannot be judged."""

    lines: tuple[TapeLine, ...]
    verdicts: tuple[tuple[str, bool | None], ...]


def read_story(path: Path, run_id: str) -> CellStory:
    """Reads the journal, and the ledgers beside it. Raises TapeError if the journal is gone or cannot be read."""
    from tape.core.journal.views import open_reader
    from tape.core.story import tell
    from tape.core.verdict import verdicts

    with open_reader(path) as reader:
        entries = reader.entries(run_id=run_id)
    story = tell(entries)
    acts = _acts(path.parent)
    told = tuple(_told(verdict, acts) for verdict in verdicts(entries))
    return CellStory(story.lines, told)


def _acts(folder: Path) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Per stand-in the key and the noun of each act that stands; without those whose ledger cannot be read."""
    from tape.lab.upstream_ledger import read_ledger

    found: dict[str, list[tuple[str, str]]] = {}
    for ledger in sorted(folder.glob("*.jsonl")):
        try:
            acts = read_ledger(ledger)
        except TapeError:
            continue
        found[ledger.stem] = [(act.key or "", act.collection.removesuffix("s")) for act in acts if not act.undone]
    return found


def _told(verdict: Verdict, acts: Mapping[str, Sequence[tuple[str, str]]]) -> tuple[str, bool | None]:
    """The verdict's sentence, judged by the ledger where there is one only."""
    from tape.core.verdict import holds, verdict_line

    if len(acts) != 1:
        return verdict_line(verdict, None, "", ""), None
    ((upstream, known),) = acts.items()
    number = sum(1 for key, _ in known if not verdict.effect or key == verdict.effect)
    noun = known[0][1] if known else "act"
    return verdict_line(verdict, number, upstream, noun or "act"), holds(verdict, number)


class StoryPane(Pane):
    """The verdicts, and the tape below them."""

    name_shown = "Story"

    def __init__(self, kept: Kept, *, id: str) -> None:
        super().__init__(id=id)
        self._kept = kept
        self._story: CellStory | None = None
        self._trouble = ""
        self._sentences: tuple[int, list[Row]] = (-1, [])

    def show(self, story: CellStory) -> None:
        self._story = story
        self._sentences = (-1, [])
        self.redraw()

    def fail(self, why: str) -> None:
        self._trouble = why
        self.redraw()

    def title(self) -> str:
        return f"Story {self._kept.sign} {show(self._kept.title, 120)}"

    def info(self) -> Row:
        return (("esc", Ink.KEY), (" back", Ink.MUTED))

    @property
    def _lines(self) -> tuple[TapeLine, ...]:
        return self._story.lines if self._story is not None else ()

    def count(self) -> int:
        return len(self._above(self.inner_width)) + len(self._lines)

    def row(self, index: int, width: int) -> Row:
        above = self._above(width)
        if index < len(above):
            return above[index]
        return tape_row(self._lines[index - len(above)], here=self.points_at(index), width=width)

    def _above(self, width: int) -> list[Row]:
        """How the story ends, before it is told: what became of each death, and what was found wrong."""
        if self._story is None:
            return []
        if self._sentences[0] != width:
            rows: list[Row] = []
            for text, good in self._story.verdicts:
                ink = Ink.PLAIN if good is None else Ink.SUCCESS if good else Ink.ALARM
                rows += _hung("verdict", text, ink, width)
            for sentence in self._kept.wrong:
                rows += _hung(f"{self._kept.sign} wrong", sentence, Ink.ERROR, width)
            self._sentences = (width, [*rows, (), tape_head(width)])
        return self._sentences[1]

    def empty(self) -> list[Row]:
        if self._trouble:
            return [((" ", Ink.PLAIN), *row) for row in text_rows(self._trouble, self.inner_width - 2, Ink.ERROR)]
        return [((" reading its journal …", Ink.MUTED),)]


def _hung(name: str, text: str, ink: Ink, width: int) -> list[Row]:
    """A name, and a sentence in as many lines as it takes beside it."""
    lines = text_rows(text, max(10, width - 10), ink)
    return [((f" {name if not at else '':<8}", Ink.MUTED), *line) for at, line in enumerate(lines)]


class CellStoryScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss", "back", show=False)]

    def __init__(self, kept: Kept, *, plain_glyphs: bool, read: Callable[[Path, str], CellStory] = read_story) -> None:
        super().__init__()
        self._kept = kept
        self._read = read
        self.pane = StoryPane(kept, id="story")
        self.pane.plain_glyphs = plain_glyphs

    def compose(self) -> ComposeResult:
        yield self.pane

    def on_mount(self) -> None:
        self.set_focus(self.pane)
        self.run_worker(self._load(), name="story")

    async def _load(self) -> None:
        """Off the screen's thread: a journal may be large."""
        path = self._kept.journal
        try:
            story = await asyncio.to_thread(self._read, path, self._kept.run_id)
        except TapeError as error:
            self.pane.fail(one_line(error))
        except (OSError, ValueError) as error:  # a name that nothing can be called, in what the child has said
            self.pane.fail(f"{path}: cannot be read ({error})")
        else:
            self.pane.show(story)
