"""The project's scenario files, read and written. Not for the screen's thread."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tape.core.config import FILE_NAME, Config
from tape.core.kernel.errors import UsageError
from tape.tui.play_state import Listed

FOLDER = "scenarios"
PROVED = Path(".tape") / "prove"
SUFFIX = ".yaml"


def list_scenarios(root: Path) -> tuple[Listed, ...]:
    """Those of `scenarios` and below, then those that a proof has left. Raises UsageError if a folder cannot be
    searched."""
    try:
        return tuple(_read(root, path) for path in _files(root))
    except OSError as error:
        raise UsageError(f"{FOLDER} cannot be searched ({error.strerror}); check its permissions") from None


def _files(root: Path) -> list[Path]:
    from tape.lab.scenario_file import find_scenarios

    found: list[Path] = []
    if (root / FOLDER).is_dir():
        with suppress(UsageError):  # a folder without any is one that is still empty
            found = find_scenarios([root / FOLDER])
    return found + sorted(path for path in (root / PROVED).glob(f"*{SUFFIX}") if path.is_file())


def _read(root: Path, path: Path) -> Listed:
    from tape.lab.scenario_run import load

    file = str(path.relative_to(root))
    try:
        scenario, _ = load(path)
    except UsageError as error:
        return Listed(file, None, tuple(line.removeprefix(f"{root}{os.sep}") for line in str(error).splitlines()))
    return Listed(file, scenario)


def file_for(run_id: str) -> str:
    """The name that is proposed for a run's scenario."""
    return f"{FOLDER}/{run_id}{SUFFIX}"


def draft(config: Config, run_id: str) -> str:
    """The run as a scenario's YAML. Raises TapeError, one line that says why there is none."""
    from tape.lab.scenario_record import record

    return record(config, run_id)


def write_new(root: Path, name: str, text: str) -> str:
    """Writes a scenario file that was not there, and returns its path from the project's folder. Raises UsageError, one
    line; leaves no half of one."""
    path = _place(root, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, text)
    except OSError as error:
        if os.path.lexists(path):
            raise UsageError("there is a file of this name: nothing was written; choose another") from None
        raise UsageError(f"cannot be written ({error.strerror}); choose another place") from None
    return str(path.relative_to(root.resolve()))


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _place(root: Path, name: str) -> Path:
    if not name.strip():
        raise UsageError(f"needed: the file's name, such as {FOLDER}/mine{SUFFIX}")
    if not name.isprintable():
        raise UsageError("it holds characters that cannot be seen: write it anew")
    here = root.resolve()
    try:
        path = (here / name.strip()).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"no file can be called that ({error}); choose another name") from None
    if not path.is_relative_to(here):
        raise UsageError("it must be in the project's folder: from elsewhere a scenario does not find tape.yaml")
    if path.suffix != SUFFIX or path.name == FILE_NAME:
        raise UsageError(f"must be a name that ends in {SUFFIX}, and not {FILE_NAME}: other files are not found")
    return path
