"""Text for people: `show`, the one place that makes foreign text safe, and short forms of values and figures. Pure.

What agents, models, tools and upstreams say is hostile (quality.md section 5): every sink prints it through `show`,
so that no control, escape, bidirectional or invisible character reaches a screen.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tape.core.kernel.events import Json

CUT = "…"
VALUE_LIMIT = 80
MARKS_IN_A_ROW = 3

# Control, C1, format, surrogate and separator characters, and all that Unicode calls "default ignorable": zero-width,
# bidirectional, variation and tag characters, and blank fillers.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_STACKING = frozenset({"Mn", "Me"})
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _visible(sign: str) -> str:
    code = ord(sign)
    if sign in _SHORT:
        return _SHORT[sign]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def show(text: str, limit: int | None = None, *, keep_lines: bool = False) -> str:
    """`text` with every invisible or commanding character made visible (`\\x1b`, `\\u202e`), newlines and tabs too
    unless `keep_lines`; at most `limit` characters long, cut with a visible `…`."""
    more = limit is not None and len(text) > limit
    if more:
        text = text[: cast(int, limit) + 1]
    if not (text.isascii() and text.isprintable()):
        text = _HIDDEN.sub(
            lambda found: found[0] if keep_lines and found[0] in "\n\t" else _visible(found[0]), _unstack(text)
        )
    if limit is not None and (more or len(text) > limit):
        text = re.sub(r"\\(?:x[0-9a-f]?|u[0-9a-f]{0,3}|U[0-9a-f]{0,7})?$", "", text[: max(0, limit - 1)]) + CUT
    return text


def _unstack(text: str) -> str:
    """Combining marks beyond a few in a row would paint over the lines above and below."""
    if text.isascii():
        return text
    signs: list[str] = []
    stacked = 0
    for sign in text:
        stacked = stacked + 1 if unicodedata.category(sign) in _STACKING else 0
        signs.append(sign if stacked <= MARKS_IN_A_ROW else _visible(sign))
    return "".join(signs)


def cells(text: str) -> int:
    """How many columns of a terminal `text` takes, once it went through `show`."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(sign) in _STACKING else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in text
    )


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` columns: cut with `…` or padded."""
    if cells(text) > width:
        while text and cells(text) > width - 1:
            text = text[:-1]
        text += CUT
    return text + " " * (width - cells(text))


def short_json(value: Json, limit: int = VALUE_LIMIT) -> str:
    """JSON on one line, made safe and cut visibly."""
    pieces: list[str] = []
    size = 0
    try:
        for piece in json.JSONEncoder(ensure_ascii=False, separators=(", ", ": "), default=str).iterencode(value):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                break
    except RecursionError:
        pieces.append(CUT)
    return show("".join(pieces), limit)


def short_key(key: str) -> str:
    """An effect's key without its run: `1/0/wire_money`."""
    return key.partition("/")[2] or key


def call(tool: str, args: Json, limit: int = VALUE_LIMIT) -> str:
    """`wire_money(to="ACME", amount_minor=12500)`."""
    if isinstance(args, dict):
        named = cast("dict[str, Json]", args).items()
        inside = ", ".join(f"{name}={short_json(value, limit)}" for name, value in named)
    else:
        inside = short_json(args, limit)
    return f"{show(tool, 60)}({show(inside, limit)})"


def money(usd_micro: int) -> str:
    """`$0.002`, `$1.50`: no more decimals than needed, no fewer than two."""
    sign = "-" if usd_micro < 0 else ""
    whole, part = divmod(abs(usd_micro), 1_000_000)
    decimals = f"{part:06d}".rstrip("0")
    return f"{sign}${whole}.{decimals:0<2}"


def duration(us: int) -> str:
    """`850 µs`, `31 ms`, `1.2 s`, `3 m 20 s`, `2 h 5 m`, `4 d 3 h`."""
    if us < 0:
        return f"-{duration(-us)}"
    if us < 1_000:
        return f"{us} µs"
    if us < 1_000_000:
        return f"{us // 1_000} ms"
    if us < 60_000_000:
        return f"{us / 1_000_000:.1f} s".replace(".0 s", " s")
    seconds = us // 1_000_000
    if seconds < 3_600:
        return _two(seconds, 60, "m", 1, "s")
    return _two(seconds, 3_600, "h", 60, "m") if seconds < 86_400 else _two(seconds, 86_400, "d", 3_600, "h")


def _two(seconds: int, size: int, unit: str, part: int, below: str) -> str:
    rest = seconds % size // part
    return f"{seconds // size} {unit}" + (f" {rest} {below}" if rest else "")


def age(us: int) -> str:
    """The same, coarse and narrow, for tables: `14s`, `2m`, `3h`, `5d`, `2y`."""
    seconds = max(0, us) // 1_000_000
    for size, unit in ((31_536_000, "y"), (86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def fault(error: Json) -> str:
    """`TypeError: message` of a recorded error."""
    if isinstance(error, dict) and "message" in error:
        known = cast("dict[str, Json]", error)
        return f"{known.get('type') or 'Error'}: {show(str(known['message']), 200)}"
    return short_json(error, 200)


def size(number: int) -> str:
    """An amount of bytes: `812 bytes`, `3.4 KiB`, `120 MiB`."""
    amount = float(number)
    for unit in ("bytes", "KiB", "MiB"):
        if abs(amount) < 1024:
            return f"{int(amount)} {unit}" if unit == "bytes" or abs(amount) >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
