"""The user's own keys: a file gives a binding, named by its id, other keys. Read before the screen opens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from textual.binding import Binding, BindingType
from textual.keys import Keys, key_to_character

from tape.core.kernel.errors import UsageError
from tape.core.strict_yaml import MAX_BYTES, Place, Scalar, Table, quoted, read_yaml, suggest

FILE = Path("tape") / "keys.yaml"
_MODIFIERS = ("ctrl", "shift", "alt", "meta", "super", "hyper")
_NAMES = tuple(sorted({key.value.rpartition("+")[2] for key in Keys if not key.value.startswith("<")}))


@dataclass(frozen=True, slots=True)
class Layer:
    """Bindings that are asked one after the other for a key. `over` names the layer whose keys they may take."""

    name: str
    bindings: tuple[Binding, ...]
    over: str = ""


def layers() -> tuple[Layer, ...]:
    """Every binding with an id, as it is without a file; several keys of one binding come one by one."""
    from tape.tui.app import Console
    from tape.tui.pane import Pane
    from tape.tui.panes.crash import CrashPane
    from tape.tui.panes.runs import RunsPane
    from tape.tui.screens.keys import BINDINGS

    return (
        Layer("everywhere", _whole(Console.BINDINGS)),
        Layer("main screen", _whole(BINDINGS)),
        Layer("panes", _whole(Pane.BINDINGS)),
        Layer("runs pane", _whole(RunsPane.BINDINGS), over="panes"),
        Layer("crash pane", _whole(CrashPane.BINDINGS), over="panes"),
    )


def _whole(bindings: Iterable[BindingType]) -> tuple[Binding, ...]:
    return tuple(binding for binding in Binding.make_bindings(bindings) if binding.id)


def keys_file(environ: Mapping[str, str], home: Path) -> Path:
    """Where the file is looked for: `$XDG_CONFIG_HOME/tape/keys.yaml`, by default under `~/.config`."""
    folder = environ.get("XDG_CONFIG_HOME", "")
    return (Path(folder) if folder.startswith("/") else home / ".config") / FILE


def read_keymap(path: Path) -> dict[str, str]:
    """Binding id -> its keys, comma between them; empty without a file. Raises UsageError for what makes no sense."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); mend it or move it away") from None
    return keymap_of(read_yaml(data, str(path)), layers())


def keymap_of(file: Table, known: tuple[Layer, ...]) -> dict[str, str]:
    """The keymap that a file's mapping stands for, checked against the bindings there are."""
    ids = [str(binding.id) for layer in known for binding in layer.bindings]
    found: dict[str, tuple[str, ...]] = {}
    for name, node in file:
        place = file.keys[name]
        if name not in ids:
            near = suggest(name, ids)
            hint = f"write {near!r}, or take a name" if near else "take one"
            raise place.error(f"no act is called {quoted(name)}", f"{hint} from docs/reference/console.md")
        if not isinstance(node, Scalar) or not node.text.strip():
            raise place.error(f"{name} needs a key", f'write `{name}: "K, ctrl+k"`')
        found[name] = tuple(_key(part.strip(), node.place) for part in node.text.split(","))
    _refuse_clashes(found, file, known)
    return {name: ",".join(keys) for name, keys in found.items()}


def _key(text: str, place: Place) -> str:
    """The key's name as Textual has it."""
    *modifiers, base = [text] if len(text) == 1 else text.split("+")
    for word in modifiers:
        if word not in _MODIFIERS:
            raise place.error(f"there is no key {quoted(text)}", f"before + may stand {', '.join(_MODIFIERS)}")
    if len(base) == 1 and base.isprintable() and base != " ":
        name = _normal(base)
        return "+".join([*modifiers, name]) if modifiers else name
    sign = _sign(base)
    if base in _NAMES or (sign and _normal(sign) == base):
        return "+".join([*modifiers, base])
    near = suggest(base, _NAMES)
    hint = f"write {near!r}" if near else "write the sign itself in quotes, or a name such as space, enter, f5, ctrl+k"
    raise place.error(f"there is no key {quoted(text)}", hint)


def _normal(sign: str) -> str:
    """The name of a sign's key; the comma stands between keys and has no other way to be written."""
    return "comma" if sign == "," else next(iter(Binding.make_bindings([Binding(sign, "", "")]))).key


def _sign(name: str) -> str:
    """The sign of a key's name; empty if it has none that can be seen."""
    sign = _ascii_signs().get(name) or key_to_character(name) or ""
    return "" if sign.isspace() else sign


@lru_cache(maxsize=1)
def _ascii_signs() -> Mapping[str, str]:
    return {_normal(chr(code)): chr(code) for code in range(0x21, 0x7F)}


def _refuse_clashes(found: Mapping[str, tuple[str, ...]], file: Table, known: tuple[Layer, ...]) -> None:
    """Two acts on one key, where the file had a hand in it."""
    for first, second in _pairs(known):
        taken: dict[str, str] = {}
        for layer in (first,) if first is second else (first, second):
            for name, keys in _effective(layer, found).items():
                for key in keys:
                    other = taken.setdefault(key, name)
                    named = [one for one in (name, other) if one in found]
                    if other != name and named:
                        place = max((file.keys[one] for one in named), key=lambda place: place.line)
                        raise place.error(f"{other} and {name} are both on the key {key}", "give one of them another")


def _pairs(known: tuple[Layer, ...]) -> Iterator[tuple[Layer, Layer]]:
    for at, first in enumerate(known):
        for second in known[at:]:
            if second.over != first.name and not (first is not second and first.over and first.over == second.over):
                yield first, second


def _effective(layer: Layer, found: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The keys of each act of a layer with the file applied."""
    keys: dict[str, tuple[str, ...]] = {}
    for binding in layer.bindings:
        name = str(binding.id)
        keys[name] = found.get(name) or (*keys.get(name, ()), binding.key)
    return keys


def table_rows(known: tuple[Layer, ...]) -> list[tuple[str, str, str]]:
    """Id, default keys and meaning of every act, as the reference lists them."""
    rows: list[tuple[str, str, str]] = []
    for layer in known:
        says = {str(binding.id): binding.description for binding in layer.bindings}
        for name, keys in _effective(layer, cast("dict[str, tuple[str, ...]]", {})).items():
            rows.append((name, ", ".join(_written(key) for key in keys), says[name]))
    return rows


def _written(key: str) -> str:
    """A key as one writes it in the file: `/`, `space`, `ctrl+p`."""
    return key if key in _NAMES or key == "comma" else _sign(key) or key


def renamed(keys: tuple[tuple[str, str], ...], keymap: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Default keys with their words, as the file has them."""
    if not keymap:
        return keys
    ids = _default_ids()
    return tuple((_written(keymap.get(ids.get(key, ""), key).split(",")[0]), says) for key, says in keys)


@lru_cache(maxsize=1)
def _default_ids() -> Mapping[str, str]:
    return {_written(binding.key): str(binding.id) for layer in layers() for binding in layer.bindings}
