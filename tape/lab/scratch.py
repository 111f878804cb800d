"""Where trials are played: in memory, if there is room. A SIGKILL loses nothing of a file there that it would keep on a
disk; it is only quicker."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tape.core.kernel.errors import machine_line

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 1 << 30


def scratch(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """A folder of its own that goes with its context. `TMPDIR`, if it is set, says where."""
    return tempfile.TemporaryDirectory(prefix=prefix, dir=_roomy(), ignore_cleanup_errors=True)


def keep(folder: Path, place: Path) -> str:
    """Moves a trial's folder to where it stays. Returns "", or why it cannot stay: then it is gone."""
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.move(folder, place)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        return f"the journal could not be kept: {machine_line(error)}"
    return ""


def _roomy() -> str | None:
    if "TMPDIR" in os.environ:
        return None
    try:
        roomy = os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES
    except OSError:
        roomy = False
    return str(MEMORY) if roomy else None
