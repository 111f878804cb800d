"""The matrix of a proof as a picture for a README: one file that needs nothing else.

Marks differ by shape and colour; light or dark as the reader prefers. No time stands in it, so that a proof that
comes out the same is drawn the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tape.core.text import cells, show
from tape.lab.proof import DEATHS, Mark, Proof, Result
from tape.lab.proof_table import WORDS, Row, head, marks_of, place_text, rows_of, tally, verdict, worst

LABEL_WIDTH = 60
SENTENCE_LIMIT = 300
SIGN = 7.9
"""Pixels a sign of the monospaced font takes at 13 px, a little more than any common one needs."""
TITLE_SIGN = 9.6
PAD, PITCH, SIDE = 20, 30, 22
COLUMN = 46
TITLE_HEIGHT, HEAD_HEIGHT = 40, 24

_FONT = "13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
_LIGHT = {
    ".back": "fill:#ffffff;stroke:#d1d9e0",
    "text": "fill:#1f2328",
    ".dim": "fill:#59636e",
    ".rule": "stroke:#e4e8ec",
    ".holds": "fill:#00795c",
    ".person": "fill:#0067a8",
    ".wrong": "fill:#c2410c",
    ".missed": "fill:none;stroke:#818b98",
    ".sign": "stroke:#ffffff",
    ".hollow": "stroke:#59636e",
    ".ask": "fill:#ffffff",
}
_DARK = {
    ".back": "fill:#0d1117;stroke:#3d444d",
    "text": "fill:#f0f6fc",
    ".dim": "fill:#9198a1",
    ".rule": "stroke:#21262d",
    ".holds": "fill:#2fb18c",
    ".person": "fill:#56a8e8",
    ".wrong": "fill:#f0763b",
    ".missed": "fill:none;stroke:#9198a1",
    ".sign": "stroke:#0d1117",
    ".hollow": "stroke:#9198a1",
    ".ask": "fill:#0d1117",
}
_SHAPES: Mapping[Mark, str] = {
    Mark.HOLDS: "M5.5 11.5 9.5 15.5 16.5 7",
    Mark.WRONG: "M6.5 6.5 15.5 15.5M15.5 6.5 6.5 15.5",
    Mark.MISSED: "M6.5 11H15.5",
}


def svg_text(proof: Proof) -> str:
    """A whole file in UTF-8."""
    rows = rows_of(proof)
    pairs = any(row.second for row in rows)
    labels = [place_text(row.place, LABEL_WIDTH) for row in rows]
    left = PAD + max((cells(label) for label in labels), default=0) * SIGN + 16
    text, mark = verdict(proof)
    title = f"{head(proof)}: {text} {mark.glyph}"
    legend = [found for found in marks_of(proof) if found is not Mark.HOLDS]
    matrix = left + COLUMN * len(DEATHS) + (COLUMN + 30 if pairs else 0)
    width = max(matrix, PAD + cells(title) * TITLE_SIGN, *(PAD + 30 + len(WORDS[it]) * SIGN for it in legend), 0) + PAD
    top = PAD + TITLE_HEIGHT
    height = top + (HEAD_HEIGHT + PITCH * len(rows) if rows else 0) + PITCH * len(legend) + (8 if legend else 0) + PAD

    root = _frame(round(width), round(height), title)
    if rows:
        _columns(root, top, left, pairs)
    line = top + HEAD_HEIGHT
    for row, label in zip(rows, labels, strict=True):
        _row(root, row, label, left, line, width)
        line += PITCH
    line = line + 8 if rows else top
    for found in legend:
        _square(root, PAD, line + (PITCH - SIDE) / 2, found, WORDS[found])
        _text(root, PAD + 32, line + PITCH / 2, WORDS[found], "dim")
        line += PITCH
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _frame(width: int, height: int, title: str) -> Element:
    size = {"width": str(width), "height": str(height), "viewBox": f"0 0 {width} {height}"}
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img", "aria-labelledby": "title"})
    SubElement(root, "title", {"id": "title"}).text = title
    SubElement(root, "style").text = _style()
    edge = {"x": "0.5", "y": "0.5", "width": str(width - 1), "height": str(height - 1), "rx": "8"}
    SubElement(root, "rect", {**edge, "class": "back"})
    _text(root, PAD, PAD + 12, title, "title")
    return root


def _style() -> str:
    shape = f"text{{font:{_FONT};dominant-baseline:central;white-space:pre}}.title{{font-size:15px;font-weight:600}}"
    strokes = ".sign,.hollow{fill:none;stroke-width:2.4;stroke-linecap:round;stroke-linejoin:round}"
    middle = ".ask{font-size:16px;font-weight:700}.ask,.middle{text-anchor:middle}.missed{stroke-dasharray:3 2}"
    return f"{shape}{strokes}{middle}{_rules(_LIGHT)}@media (prefers-color-scheme:dark){{{_rules(_DARK)}}}"


def _rules(colours: Mapping[str, str]) -> str:
    return "".join(f"{name}{{{rule}}}" for name, rule in colours.items())


def _columns(root: Element, top: float, left: float, pairs: bool) -> None:
    middle = top + HEAD_HEIGHT / 2
    for at, death in enumerate(DEATHS):
        _text(root, left + COLUMN * (at + 0.5), middle, str(death), "dim middle")
    if pairs:
        _text(root, left + COLUMN * (len(DEATHS) + 0.5), middle, "2nd", "dim middle")


def _row(root: Element, row: Row, label: str, left: float, line: float, width: float) -> None:
    edge = {"x1": str(PAD), "x2": _figure(width - PAD), "y1": _figure(line), "y2": _figure(line)}
    SubElement(root, "line", {**edge, "class": "rule"})
    _text(root, PAD, line + PITCH / 2, label)
    x, y = left + (COLUMN - SIDE) / 2, line + (PITCH - SIDE) / 2
    for at, death in enumerate(DEATHS):
        result = row.deaths.get(death)
        if result is not None:
            _square(root, x + COLUMN * at, y, result.mark, _tip(result))
    if row.second:
        x += COLUMN * len(DEATHS)
        mark = worst(row.second)
        _square(root, x, y, mark, "\n".join(_tip(result) for result in row.second if result.mark is mark))
        _text(root, x + SIDE + 6, line + PITCH / 2, tally(row.second), "dim")


def _tip(result: Result) -> str:
    parts = [result.cell.label, result.status or str(result.mark), *(cause.sentence for cause in result.causes[:1])]
    return ": ".join(show(part, SENTENCE_LIMIT) for part in parts)


def _square(root: Element, x: float, y: float, mark: Mark, tip: str) -> None:
    """The colour is one of three carriers: the shape in it and the tip say the same."""
    group = SubElement(root, "g", {"transform": f"translate({_figure(x)} {_figure(y)})"})
    SubElement(group, "title").text = tip
    SubElement(group, "rect", {"width": str(SIDE), "height": str(SIDE), "rx": "5", "class": str(mark)})
    if mark is Mark.PERSON:
        _text(group, SIDE / 2, SIDE / 2, mark.glyph, "ask")
    else:
        SubElement(group, "path", {"d": _SHAPES[mark], "class": "hollow" if mark is Mark.MISSED else "sign"})


def _text(root: Element, x: float, y: float, text: str, style: str = "") -> None:
    place = {"x": _figure(x), "y": _figure(y)}
    SubElement(root, "text", {**place, "class": style} if style else place).text = text


def _figure(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
