from __future__ import annotations

from collections.abc import Iterator

import pytest

from studio.studio import Studio
from tests.matting.pictures import studio_in


@pytest.fixture
def studio(tmp_path) -> Iterator[Studio]:
    made = studio_in(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def project(studio):
    return studio.store.create_project("Fruit", "local")
