"""The Filter page's arithmetic in node: thresholds, histograms, rows, the lasso and the confusion matrix."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_modules_hold_in_node() -> None:
    files = [str(path) for path in sorted((HERE / "js").glob("*.test.mjs"))]
    done = subprocess.run(
        [NODE, "--no-warnings", "--test", *files], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# pass 0" not in done.stdout
