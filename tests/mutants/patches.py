"""Patch files of planted bugs: read, checked against a tree, applied. Strict: no fuzz, each hunk fits at one place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_HUNK = re.compile(r"@@ -(\d+)")


class PatchError(Exception):
    """The patch file makes no sense, or does not fit the tree."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines as they are, from this line on (counted from 1), and what they become."""

    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Patch:
    """One planted bug. `head` says what it is; `tests` are the node ids of those that should catch it."""

    name: str
    head: tuple[str, ...]
    tests: tuple[str, ...]
    hunks: dict[str, tuple[Hunk, ...]]


def all_patches() -> list[Patch]:
    return [read_patch(file.stem, file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.patch"))]


def read_patch(name: str, text: str) -> Patch:
    """Raises PatchError for a text without a head, without `Tests:`, or with hunks that are cut off."""
    head, files, path = list[str](), dict[str, list[Hunk]](), ""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith("+++ b/"):
            path = line.removeprefix("+++ b/")
        elif line.startswith("@@ "):
            hunk, at = _read_hunk(name, lines, at)
            files.setdefault(path, []).append(hunk)
        elif not files and not line.startswith("--- a/"):
            head.append(line)
    tests = [word for line in head if line.startswith("Tests: ") for word in line.split()[1:]]
    said = [line for line in head if not line.startswith("Tests: ")]
    if not tests or not any(said) or not files or "" in files:
        raise PatchError(f"{name}: a patch has a head, a line `Tests: ...`, and hunks under `+++ b/...`")
    return Patch(name, tuple(said), tuple(tests), {path: tuple(hunks) for path, hunks in files.items()})


def _read_hunk(name: str, lines: list[str], at: int) -> tuple[Hunk, int]:
    found = _HUNK.match(lines[at - 1])
    if found is None:
        raise PatchError(f"{name}: {lines[at - 1]!r} is no head of a hunk")
    old, new = list[str](), list[str]()
    while at < len(lines) and lines[at][:1] in (" ", "+", "-", "") and not lines[at].startswith("--- a/"):
        sign, rest = lines[at][:1] or " ", lines[at][1:]
        if sign != "+":
            old.append(rest)
        if sign != "-":
            new.append(rest)
        at += 1
    if old == new or not old:
        raise PatchError(f"{name}: {found.group()} changes nothing")
    return Hunk(int(found.group(1)), tuple(old), tuple(new)), at


def patched(patch: Patch, root: Path) -> dict[Path, str]:
    """The files as the patch makes them; nothing is written. Raises PatchError if a hunk does not fit exactly."""
    return {root / path: _patched_file(patch, root / path, hunks) for path, hunks in patch.hunks.items()}


def _patched_file(patch: Patch, path: Path, hunks: tuple[Hunk, ...]) -> str:
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise PatchError(
            f"{patch.name}: there is no {path.name} any more: plant the bug where its code is now"
        ) from None
    for hunk in hunks:
        size = len(hunk.old)
        places = [at for at in range(len(lines) - size + 1) if tuple(lines[at : at + size]) == hunk.old]
        if len(places) != 1:
            raise PatchError(
                f"{patch.name}: the hunk at line {hunk.line} fits {path.name} at {len(places)} places, not at one: "
                "plant the bug anew in the code as it is now"
            )
        lines[places[0] : places[0] + size] = hunk.new
    return "\n".join(lines) + "\n"


def apply(patch: Patch, root: Path) -> None:
    for path, text in patched(patch, root).items():
        path.write_text(text, "utf-8")
