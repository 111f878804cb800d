"""The n-th write, sync or truncation of the real writer fails at the system's edge, or is the last one it makes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not on this machine")
def test_the_nth_system_call_fails(folder: Path) -> None:
    """About 110 calls in eight ways, 38 of them kills. No acknowledged verb is lost and none is applied twice; where a
    verb was given up because each sync fails, the next opening may find it: nobody was told that it is not there."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.system_calls", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    for name, count in counts.items():
        print(f"\n{name}: {count}", end="")
    assert len(counts) == 8 and all(count["struck"] >= 3 for count in counts.values())
    assert sum(count["struck"] for count in counts.values()) > 90
    assert counts["EIO of a sync"]["given up"] == counts["EIO of a sync and of the next"]["given up"] == 0
    assert counts["EIO of each sync from then on"]["given up"] > 3
