"""What leaves the console: a line, a run or the screen as text, for the clipboard or a file of the owner's only."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tape.core.clock import format_us
from tape.core.text import count, show
from tape.tui.json_rows import json_text

if TYPE_CHECKING:
    from tape.tui.panes.detail import Subject
    from tape.tui.scene import Selected

CLIPBOARD_CHARACTERS = 75_000
"""Terminals drop a longer one, or stall over it."""
TRIES = 100
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")


def subject_text(subject: Subject) -> str:
    """The detail as text: its name, its words, its value as JSON."""
    parts = [show(subject.name), *(text for text, _ in subject.words)]
    if subject.value is not None:
        parts.append(json_text(subject.value))
    return "\n".join(parts)


def for_clipboard(text: str) -> tuple[str, str]:
    """What is sent, and what the screen says of it."""
    if len(text) <= CLIPBOARD_CHARACTERS:
        return text, f"{count(len(text), 'character')} sent to the terminal's clipboard; e writes a file"
    cut = text[:CLIPBOARD_CHARACTERS]
    return cut, f"the first {len(cut):,} of {len(text):,} characters sent to the terminal's clipboard; e writes a file"


def subject_value(subject: Subject) -> dict[str, Any]:
    return {"what": subject.name, "words": [text for text, _ in subject.words], "value": subject.value}


def run_value(selected: Selected) -> dict[str, Any]:
    """A run as far as the console knows it: the run itself, its story line by line, its entries."""
    from tape.core.journal.entries import entry_json
    from tape.core.journal.shapes import view_json

    return {
        "run": view_json(selected.run),
        "as_of_entry": selected.at,
        "story": [_line(line) for line in selected.story.lines],
        "entries": [entry_json(entry) for entry in selected.entries if selected.at is None or entry.id <= selected.at],
    }


def _line(line: Any) -> str:
    seq = "" if line.seq is None else str(line.seq)
    state = f"  {line.state_glyph} {line.state}" if line.state else ""
    return f"{seq:>5} {line.since_us / 1_000_000:>9.3f}  {line.glyph} {line.text}{state}"


def file_name(what: str, wall_us: int) -> str:
    """A name that any file system takes: `r-6akhz141pz37-20270115T080000Z`."""
    stamp = re.sub(r"[-:]|\..*(?=Z)", "", format_us(wall_us))
    safe = _FOREIGN.sub("-", what).strip(".-")[:60]
    return f"{safe or 'export'}-{stamp}"


def write_new(folder: Path, name: str, suffix: str, pieces: Sequence[str]) -> Path:
    """Writes a file that was not there, for its owner only, and returns it. Raises OSError; leaves no half of one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    path, fd = _create(folder, name, suffix)
    try:
        with open(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(pieces)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def _create(folder: Path, name: str, suffix: str) -> tuple[Path, int]:
    for number in range(1, TRIES + 1):
        path = folder / (f"{name}{suffix}" if number == 1 else f"{name}-{number}{suffix}")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
    raise FileExistsError(f"{TRIES} exports of this second are there already")
