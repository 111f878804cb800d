"""Where trials are played: in memory, if there is room. A SIGKILL loses nothing of a file there that it would keep on a
disk; it is only quicker."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 1 << 30


def scratch(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """A folder of its own that goes with its context. `TMPDIR`, if it is set, says where."""
    return tempfile.TemporaryDirectory(prefix=prefix, dir=_roomy(), ignore_cleanup_errors=True)


def _roomy() -> str | None:
    if "TMPDIR" in os.environ:
        return None
    try:
        roomy = os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES
    except OSError:
        roomy = False
    return str(MEMORY) if roomy else None
