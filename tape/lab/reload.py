"""Watches the code that tape.yaml names under `reload`: one save of the author's is one call."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tape.core.config import Config
from tape.core.kernel.errors import one_line

LOOK_AGAIN_MS = 500
"""How often it is looked whether a watched folder has come, gone, or been replaced by another one."""

SETTLE_MS = 50
TOGETHER_MS = 1000
"""Changes less than `SETTLE_MS` apart are one save, up to `TOGETHER_MS` in all."""

NAMED = 3

Stamp = tuple[int, int, int]


def is_code(path: Path) -> bool:
    """Whether a file in a watched folder is the author's code by its path below it: no cache, no editor's file."""
    return path.suffix == ".py" and not _is_hidden(path)


def _is_hidden(path: Path) -> bool:
    return any(part == "__pycache__" or part.startswith((".", "#")) for part in path.parts)


def changed_text(paths: list[Path], root: Path) -> str:
    """`app/agent.py changed`; of many files the first few."""
    names = [path.relative_to(root).as_posix() for path in paths]
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "") + " changed"


class CodeWatcher:
    """Context manager: `with CodeWatcher(config, on_change): ...`.

    From its entering on, each change of the code is told to `on_change`, on a thread of its own, with the sorted
    paths. In the folders of `config.reload` only Python files count; a file that is named there counts whatever it
    is; `name` may stand for `name.py`. What does not exist yet is waited for. What is touched without being changed
    (by time, size and inode) is no change.
    """

    def __init__(
        self,
        config: Config,
        on_change: Callable[[list[Path]], None],
        *,
        trouble: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._root = config.root
        self._names = config.reload
        self._on_change = on_change
        self._trouble = trouble
        self._stop = threading.Event()
        self._known: Mapping[Path, Stamp] = {}
        self._thread = threading.Thread(target=self._run, name="code-watcher", daemon=True)

    def __enter__(self) -> CodeWatcher:
        self._known = self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # --- on its own thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._names and not self._stop.is_set():
                places = self._places()
                if places:
                    self._watch(places)
                else:
                    self._stop.wait(LOOK_AGAIN_MS / 1000)
        except (OSError, RuntimeError) as error:  # RuntimeError: watchfiles' own
            self._trouble(f"saving the code restarts nothing from now on: it cannot be watched: {one_line(error)}")

    def _watch(self, places: Mapping[Path, Stamp]) -> None:
        """Returns when it is to stop, or when another place than these is to be watched."""
        from watchfiles import Change, watch

        def counts(change: Change, name: str) -> bool:
            del change
            return self._counts(Path(name))

        try:
            settled = False
            for changes in watch(
                *places,
                watch_filter=counts,
                debounce=TOGETHER_MS,
                step=SETTLE_MS,
                stop_event=self._stop,
                rust_timeout=LOOK_AGAIN_MS,
                yield_on_timeout=True,
                raise_interrupt=False,
            ):
                if changes or not settled:  # once more after the last: new folders are watched a moment late
                    self._compare()
                settled = not changes
                if _identities(self._places()) != _identities(places):
                    return
        except FileNotFoundError:
            self._stop.wait(LOOK_AGAIN_MS / 1000)  # it went between the look and the watch

    def _counts(self, path: Path) -> bool:
        """Whether an event may mean a change of the code. A folder counts: its files may have come with it."""
        for place in self._candidates():
            if path == place:
                return True
            if path.is_relative_to(place):
                below = path.relative_to(place)
                return not _is_hidden(below) and below.suffix in (".py", "")
        return False

    def _compare(self) -> None:
        now, before = self._look(), self._known
        self._known = now
        changed = [path for path in {**before, **now} if before.get(path) != now.get(path)]
        if changed:
            self._on_change(sorted(changed))

    # --- what is there ------------------------------------------------------------------------------------------

    def _candidates(self) -> Iterator[Path]:
        for name in self._names:
            yield self._root / name
            yield self._root / f"{name}.py"

    def _places(self) -> dict[Path, Stamp]:
        """The folders and files to watch that exist now."""
        stamps = ((path, _stamp(path)) for path in self._candidates())
        return {path: stamp for path, stamp in stamps if stamp is not None}

    def _look(self) -> dict[Path, Stamp]:
        """The author's files with what tells one state of them from another."""
        found: dict[Path, Stamp] = {}
        for place, stamp in self._places().items():
            if not place.is_dir():
                found[place] = stamp
                continue
            for path in _code_in(place):
                known = _stamp(path)
                if known is not None:
                    found[path] = known
        return found


def _code_in(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(Path(name))]
        yield from (Path(here, name) for name in files if is_code(Path(name)))


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _identities(places: Mapping[Path, Stamp]) -> dict[Path, int]:
    return {path: stamp[0] for path, stamp in places.items()}
