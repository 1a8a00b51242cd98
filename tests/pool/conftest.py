from __future__ import annotations

import pytest

from studio.adapters import Download
from tests.pool.pretend import MB, Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def download() -> Download:
    return Download("someone/model", 5 * MB)
