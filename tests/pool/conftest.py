from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pretend import MB, Shop

from studio.adapters import Download

sys.path.append(str(Path(__file__).parents[1] / "models"))  # tiny_sam2 is used here too


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def download() -> Download:
    return Download("someone/model", 5 * MB)
