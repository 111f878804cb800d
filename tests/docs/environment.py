"""A fresh Python environment that sees all that is installed in ours, and takes installs of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "tape": 'exec "$(dirname "$0")/python" -c "import sys; from tape.cli import main; sys.exit(main())" "$@"',
    # Offline: what builds the project is there already.
    "pip": 'verb="$1"; shift; exec "$(dirname "$0")/python" -m pip "$verb" --no-build-isolation --no-index "$@"',
}


def make_environment(folder: Path) -> Path:
    """Makes it in `folder`; returns the folder of its programs: python, tape, pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site / "ours.pth").write_text("".join(f"import site; site.addsitedir({entry!r})\n" for entry in ours))
    for name, text in PROGRAMS.items():
        program = folder / "bin" / name
        program.unlink(missing_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    return folder / "bin"
