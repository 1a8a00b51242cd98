"""The canvas's modules without a browser: run lengths against numpy, geometry, and what happens to a change."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from studio.annotations import Mask

HERE = Path(__file__).parent
NODE = shutil.which("node")


def _masks() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    ring = np.zeros((24, 31), bool)
    ring[3:20, 4:27] = True
    ring[8:14, 10:20] = False
    full_columns = np.zeros((9, 12), bool)
    full_columns[:, 4:7] = True
    corners = np.zeros((6, 6), bool)
    corners[[0, 0, 5, 5], [0, 5, 0, 5]] = True
    diagonal = np.eye(7, dtype=bool) | np.eye(7, k=2, dtype=bool)
    return {
        "empty": np.zeros((5, 7), bool), "full": np.ones((4, 6), bool), "ring": ring, "columns": full_columns,
        "corners": corners, "diagonal": diagonal, "one pixel": np.ones((1, 1), bool),
        "noise": random.random((33, 21)) > 0.5, "sparse noise": random.random((20, 40)) > 0.9,
    }  # fmt: skip


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("canvas") / "masks.json"
    cases = []
    for name, array in _masks().items():
        mask = Mask.from_array(array)
        cases.append({
            "name": name, "size": list(array.shape), "counts": mask.counts.tolist(), "area": mask.area,
            "box": list(mask.box.xyxy) if mask.box else None, "rows": array.astype(int).tolist(),
        })  # fmt: skip
    path.write_text(json.dumps(cases))
    return path


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("name", sorted(p.name for p in (HERE / "js").glob("*.test.mjs")))
def test_the_modules_hold_in_node(name: str, fixtures: Path) -> None:
    done = subprocess.run(
        [NODE, "--no-warnings", "--test", str(HERE / "js" / name)],
        env={**os.environ, "CANVAS_FIXTURES": str(fixtures)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# pass 0" not in done.stdout
