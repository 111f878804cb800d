"""Bundles as files: what `tape export` and `tape import` do."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tape.core.journal.bundle import LIMIT_BYTES, pack_bundle, read_bundle, unpack_bundle
from tape.core.journal.bundle_import import import_bundle, run_of
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import EnvironmentTrouble, UsageError
from tape.core.text import show


@dataclass(frozen=True, slots=True)
class Exported:
    file: Path
    bytes: int
    entries: int


@dataclass(frozen=True, slots=True)
class Imported:
    """`values`: whole, or hashed."""

    run_id: str
    file: Path
    values: str


def export_run(journal: Path, run_id: str, to: Path, *, redact: bool, redact_values: bool) -> Exported:
    """Writes a bundle that is for its owner only. Raises UsageError if there is a file of that name."""
    with open_reader(journal) as reader:
        bundle = read_bundle(reader, run_id, _release(), redact=redact, redact_values=redact_values)
    data = pack_bundle(bundle)
    partial = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
        os.link(partial, to)
    except FileExistsError:
        raise UsageError(f"{to} exists already: remove it, or name another file with --to") from None
    except (OSError, ValueError) as error:
        raise EnvironmentTrouble(f"cannot write {to}: {getattr(error, 'strerror', None) or error}") from None
    finally:
        _forget(partial)
    return Exported(to, len(data), len(bundle["tables"]["entry"]))


def _forget(partial: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.unlink(partial)


def import_file(file: Path, journal: Path | None, folder: Path | None) -> Imported:
    """Makes a journal of a bundle: `journal`, or in `folder` under the run's id. Raises UsageError, and writes nothing,
    for a file that is no whole bundle."""
    shown = show(str(file), 200)
    bundle = unpack_bundle(_read(file, shown), shown)
    run_id = run_of(bundle, shown)
    target = journal if journal is not None else (folder or Path(".")) / f"{run_id}.db"
    target = Path(os.path.abspath(target))
    missing = [place for place in target.parents if not place.exists()]
    try:
        import_bundle(bundle, target, shown)
    except BaseException:
        for place in missing:
            try:
                place.rmdir()
            except OSError:
                break
        raise
    return Imported(run_id, target, bundle["values"])


def _read(file: Path, shown: str) -> bytes:
    try:
        if not file.is_file():
            raise UsageError(f"{shown} is no file: name what `tape export` wrote")
        with file.open("rb") as opened:
            data = opened.read(LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > LIMIT_BYTES:
        raise UsageError(f"{shown} is over {LIMIT_BYTES >> 20} MiB: no bundle is")
    return data


def _release() -> str:
    try:
        return version("tape-agents")
    except PackageNotFoundError:
        return "unknown"
