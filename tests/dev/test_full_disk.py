"""A full disk stops every run and loses none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.dev.harness import clean_environment

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's mount namespaces")
def test_a_full_disk_is_said_and_survived(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=2m,mode=755 tmpfs "$1" && exec "$2" -m tests.dev.full_disk "$1"'
    for namespace in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode == 0:
            break
    else:
        pytest.skip("this machine allows no mount of one's own")
    done = subprocess.run(
        [*namespace, "sh", "-c", mount, "sh", tmp_path, sys.executable],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout == "told to its end\n", done.stderr
