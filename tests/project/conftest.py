"""A fresh store for each test; on another database where STUDIO_TEST_DATABASE holds its address."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine

from studio.project import Store


@pytest.fixture
def database() -> str | None:
    url = os.environ.get("STUDIO_TEST_DATABASE")
    if url:
        engine = create_engine(url)
        with engine.begin() as connection:
            there = MetaData()
            there.reflect(connection)
            there.drop_all(connection)
        engine.dispose()
    return url


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """Return a migrated database to copy: migrating anew for each test would take most of the time."""
    folder = tmp_path_factory.mktemp("empty")
    Store(folder).close()
    return folder / "studio.db"


@pytest.fixture
def store(tmp_path, database, empty_database):
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(empty_database, folder)
    store = Store(folder, database)
    yield store
    store.close()


@pytest.fixture
def project(store):
    return store.create_project("Birds", "ann")
