"""The single values of a scenario file: words, counts, durations, places. Each type says in one line what is wrong and
what to write instead.

Imported only while a file is read: pydantic is too heavy for everything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated, Any, TypeAlias, cast

from pydantic import AfterValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import BY_KIND
from tape.core.kernel.identity import check_json
from tape.core.kernel.lifecycle import EffectStatus, ObligationStatus, RunStatus
from tape.core.kernel.points import BY_NAME, OWN_PREFIX, Death, Stage, find_point
from tape.core.kernel.policy import Backoff
from tape.core.kernel.resolution import RULES, Resolution, Writer
from tape.core.strict_yaml import Place, Scalar, duration_us, quoted, suggest
from tape.lab.scenario import Count, How, Timers, Verb
from tape.lab.upstream_options import parse_options

CUSTOM = "tape"
MOST = 1_000_000

_AGENT = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
_STANDIN = r"[a-z][a-z0-9_]{0,31}"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,99}"
_TOOL = r"[^/\s](?:[^/]{0,198}[^/\s])?"
_PLACE = rf"(?:-|0|[1-9][0-9]{{0,8}})/(?:0|[1-9][0-9]{{0,8}})/{_TOOL}"
_ROWS = tuple(dict.fromkeys(rule.row for rule in RULES))
_STOPS = (RunStatus.TERMINAL, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.STUCK, RunStatus.WAITING)
_MOMENTS = (*RunStatus, *BY_KIND, *BY_NAME)


def wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError(CUSTOM, "{text}", {"text": text})


def _one_of(known: Iterable[StrEnum], what: str) -> Callable[[str], StrEnum]:
    names = {str(member): member for member in known}

    def find(word: str) -> StrEnum:
        if word not in names:
            near = suggest(word, names)
            hint = f"did you mean {near}?" if near else f"there are: {', '.join(names)}"
            raise wrong(f"no {what} is called {quoted(word)}; {hint}")
        return names[word]

    return find


def _matching(pattern: str, remedy: str) -> Callable[[str], str]:
    def match(word: str) -> str:
        if not re.fullmatch(pattern, word) or not word.isprintable():
            raise wrong(f"cannot be {quoted(word)}; {remedy}")
        return word

    return match


def _line(text: str) -> str:
    if not text.strip() or text != text.strip():
        raise wrong("must be one line of text without blanks around it; write a few words")
    if not text.isprintable():
        raise wrong(f"must be one line without control characters, not {quoted(text)}; take them out")
    if len(text) > 200:
        raise wrong(f"is longer than 200 characters, {quoted(text)}; shorten it")
    return text


def _prose(text: str) -> str:
    lines = [line.rstrip() for line in text.strip().split("\n")]
    if bad := next((line for line in lines if not line.isprintable()), None):
        raise wrong(f"holds control characters: {quoted(bad)}; take them out")
    return "\n".join(lines)


def _point(name: str) -> str:
    try:
        find_point(name if len(name) <= 100 else name[:99] + "…")
    except UsageError as error:
        raise wrong(str(error)) from None
    return _matching(r".{1,100}", "name a crash point, or at:NAME in up to 100 characters")(name)


def _moment(name: str) -> str:
    if name in RunStatus.__members__ or name in BY_KIND:
        return name
    if name in BY_NAME or name.startswith(OWN_PREFIX):
        _point(name)
        if find_point(name).stage is Stage.HOOK:
            raise wrong(
                f"no run can be held at {name}: it is passed by what settles effects; wait for an entry instead"
            )
        return name
    near = suggest(name, _MOMENTS)
    hint = f"did you mean {near}?" if near else "write a run's status, an entry's kind, or a crash point"
    raise wrong(f"nothing that an order could wait for is called {quoted(name)}; {hint}")


def _duration(value: Any) -> int:
    """Microseconds, by the rules of tape.yaml."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong("must be a duration; write 200ms, 15s, 1m or 1h")
    try:
        return duration_us(Scalar(Place("", 0), str(value), plain=True), "it")
    except UsageError as error:
        raise wrong(str(error).removeprefix(":0: it ")) from None


def _backoff(text: str) -> Backoff:
    first, separator, cap = text.partition("..")
    if not separator:
        raise wrong(f"must be two durations, not {quoted(text)}; write the first and the longest: 1s..60s")
    backoff = Backoff(_duration(first.strip()), _duration(cap.strip()))
    if backoff.first_us > backoff.cap_us:
        raise wrong("starts above its end; write the shorter one first: 1s..60s")
    return backoff


def _whole(value: Any, what: str = "") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise wrong(f"{what}must be a whole number from 0 to {MOST}, not {shown(value)}; or write {{min: 1, max: 3}}")
    return value


def _count(value: Any) -> Count:
    if not isinstance(value, dict):
        return Count.exactly(_whole(value))
    given = cast(dict[str, Any], value)
    if unknown := next((key for key in given if key not in ("min", "max")), None):
        raise wrong(f"unknown key {quoted(unknown)} in a count; keys here: min, max")
    least, most = given.get("min"), given.get("max")
    if least is None and most is None:
        raise wrong("a count needs min, max or both; write {min: 1, max: 3}")
    count = Count(0 if least is None else _whole(least, "min "), None if most is None else _whole(most, "max "))
    if count.max is not None and count.min > count.max:
        raise wrong(f"min {count.min} is above max {count.max}; write the smaller one as min")
    return count


LARGEST = 10**9
_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,31}"


def _amount(value: Any) -> float:
    """Dollars, tokens or calls."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        raise wrong(f"must be an amount, not negative, not {shown(value)}; write 0.05 for dollars, 500 for tokens")
    return value


def _options(value: Any) -> dict[str, Any]:
    """A stand-in's options; nothing is none."""
    given: dict[str, Any] = {} if value is None else value
    try:
        parse_options(given, "")
    except UsageError as error:
        raise wrong(str(error).removeprefix(": ")) from None
    return given


def _row(label: str) -> str:
    if label not in _ROWS:
        near = suggest(label, _ROWS)
        hint = f"did you mean {near}?" if near else f"there are: {', '.join(_ROWS)}"
        raise wrong(f"no row of the resolution table is called {quoted(label)}; {hint}")
    return label


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise wrong("no process can be given a text with a zero byte; take it out")
    return text


def _json(value: Any) -> Any:
    """As canonical JSON; its size is bounded by the file's, which is far below what a run may be given."""
    try:
        check_json(value)
    except UsageError as error:
        raise wrong(str(error)) from None
    return value


def shown(value: Any) -> str:
    """A value that is wrong, in a message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else quoted(str(value)).strip("'")


_DEATHS = tuple(death for death in Death if death is not Death.HOLD)
_COLLECTION = rf"{_STANDIN}\.[A-Za-z][A-Za-z0-9_-]{{0,63}}"
_KEY_REMEDY = "write decision/ordinal/tool such as 1/0/wire_money, for a duty with /undo/1 behind it"
_VARIABLE_REMEDY = "use letters, digits and '_'; names that start with TAPE_ are Tape's own"


def _word(known: Iterable[StrEnum], what: str) -> AfterValidator:
    return AfterValidator(_one_of(known, what))


Line: TypeAlias = Annotated[str, AfterValidator(_line)]
Prose: TypeAlias = Annotated[str, AfterValidator(_prose)]
Value: TypeAlias = Annotated[Any, PlainValidator(_json)]
Tally: TypeAlias = Annotated[Any, PlainValidator(_count)]
Duration: TypeAlias = Annotated[Any, PlainValidator(_duration)]
Pause: TypeAlias = Annotated[str, AfterValidator(_backoff)]
Options: TypeAlias = Annotated[Any, PlainValidator(_options)]
Nth: TypeAlias = Annotated[int, Field(ge=1, le=MOST)]
Crashes: TypeAlias = Annotated[int, Field(ge=1, le=1000)]
Workers: TypeAlias = Annotated[int, Field(ge=1, le=64)]
Concurrency: TypeAlias = Annotated[int, Field(ge=1, le=10_000)]
Index: TypeAlias = Annotated[int, Field(ge=0, le=MOST)]
Seq: TypeAlias = Annotated[int, Field(ge=1, le=MOST)]

Agent: TypeAlias = Annotated[str, AfterValidator(_matching(_AGENT, "use letters, digits, '_', '.', '-'"))]
Folder: TypeAlias = Annotated[str, AfterValidator(_matching(r"[^~\s](?:.{0,998}\S)?", "name a folder"))]
Variable: TypeAlias = Annotated[str, AfterValidator(_matching(rf"(?!TAPE_){_VARIABLE}", _VARIABLE_REMEDY))]
Setting: TypeAlias = Annotated[str, AfterValidator(_no_nul)]
StandIn: TypeAlias = Annotated[str, AfterValidator(_matching(_STANDIN, "use small letters, digits and '_'"))]
Collection: TypeAlias = Annotated[
    str, AfterValidator(_matching(_COLLECTION, "write stand-in and collection, such as bank.wires"))
]
Tool: TypeAlias = Annotated[str, AfterValidator(_matching(_TOOL, "name a tool: no slashes, at most 200 characters"))]
ToolOrPlace: TypeAlias = Annotated[
    str, AfterValidator(_matching(rf"{_TOOL}|{_PLACE}", "write a tool, or decision/ordinal/tool: 1/0/wire_money"))
]
Duty: TypeAlias = Annotated[
    str,
    AfterValidator(
        _matching(
            rf"{_TOOL}|{_PLACE}(?:/undo/[1-9][0-9]{{0,8}})?",
            "write a tool, or decision/ordinal/tool: 1/0/wire_money, for one of several duties with /undo/1 behind it",
        )
    ),
]
Key: TypeAlias = Annotated[str, AfterValidator(_matching(rf"{_PLACE}(?:/undo/[1-9][0-9]{{0,8}})?", _KEY_REMEDY))]
Point: TypeAlias = Annotated[str, AfterValidator(_point)]
Gate: TypeAlias = Annotated[str, AfterValidator(_line)]
ForkName: TypeAlias = Annotated[
    str, AfterValidator(_matching(_NAME, "use a letter, then letters, digits, '_', '-'; at most 32"))
]
On: TypeAlias = Annotated[str, AfterValidator(_moment)]

Signal: TypeAlias = Annotated[str, _word(_DEATHS, "death")]
Do: TypeAlias = Annotated[str, _word(Verb, "order")]
HowTo: TypeAlias = Annotated[str, _word(How, "way to resolve")]
Pace: TypeAlias = Annotated[str, _word(Timers, "way to take timers")]
Ending: TypeAlias = Annotated[str, _word(_STOPS, "status in which a story can end")]
OfEffect: TypeAlias = Annotated[str, _word(EffectStatus, "status of an effect")]
OfDuty: TypeAlias = Annotated[str, _word(ObligationStatus, "status of an obligation")]
Resolved: TypeAlias = Annotated[str, _word(Resolution, "resolution")]
By: TypeAlias = Annotated[str, _word(Writer, "writer")]
Amount: TypeAlias = Annotated[Any, PlainValidator(_amount)]
Unit: TypeAlias = Annotated[
    str, AfterValidator(_matching(rf"usd|tokens|calls:{_TOOL}", "write usd, tokens, or calls:TOOL such as calls:wire"))
]
Row: TypeAlias = Annotated[str, AfterValidator(_row)]
