"""Opening a store: migrations, several processes at once, leftovers, and databases that cannot be used."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_mock_engine, text

from studio.errors import BadInput, StudioError
from studio.project import Store
from studio.project.database import MIGRATIONS, _revision, _upgrade
from studio.project.schema import metadata
from tests.project.store_scenes import add, boxed, content, put

ROOT = Path(__file__).parents[2]


def test_the_migrations_make_the_tables_that_the_schema_names(store):
    with store._db.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_the_one_alembic_calls_the_head(store):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    heads = ScriptDirectory.from_config(config).get_heads()
    with store._db.read() as connection:
        assert [_revision(connection)] == heads


def test_opening_again_changes_nothing(tmp_path, store, project, database):
    image = add(store, project.id)
    put(store, image, boxed())
    before = content(store, image)
    for _ in range(2):
        again = Store(tmp_path / "data", database)
        with again._db.write() as connection:
            _upgrade(connection)
        assert content(again, image) == before and again.project(project.id) == store.project(project.id)
        again.close()


def test_a_folder_with_signs_that_configurations_read_is_a_folder_like_any(tmp_path):
    folder = tmp_path / "100% %(here)s ünï? #1" / "deep"
    store = Store(folder)
    store.create_project("p", "ann")
    store.close()
    assert (folder / "studio.db").exists()


def test_threads_that_open_a_new_folder_at_once_do_not_break_each_other(tmp_path):
    failures = []

    def start() -> None:
        try:
            store = Store(tmp_path / "new")
            store.create_project("p", "ann")
            store.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    store = Store(tmp_path / "new")
    assert len(store.projects("ann")) == 6
    store.close()


def test_processes_that_start_at_once_on_a_new_folder_do_not_break_each_other(tmp_path):
    code = (
        "import sys; from pathlib import Path; from studio.project import Store; import alembic.command\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "store = Store(Path(sys.argv[1])); store.create_project('p', 'ann'); store.close()"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "new")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        process.communicate()
    assert [process.returncode for process in started] == [0, 0, 0, 0]
    store = Store(tmp_path / "new")
    assert len(store.projects("ann")) == 4
    store.close()


def test_the_database_is_set_up_for_many_readers_and_one_writer(tmp_path):
    store = Store(tmp_path)
    with store._db.read() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in asked]
    assert found == ["wal", 1, 1, 10_000]
    store.close()


def test_reading_goes_on_while_somebody_writes(tmp_path):
    store = Store(tmp_path)
    project = store.create_project("p", "ann")
    with store._db.write() as connection:
        connection.execute(text("UPDATE projects SET name = 'changed'"))
        assert store.project(project.id).name == "p"
    assert store.project(project.id).name == "changed"
    store.close()


def test_a_database_from_a_newer_studio_is_left_alone(tmp_path):
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "studio.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StudioError, match="newer studio"):
        Store(tmp_path)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    (tmp_path / "studio.db").write_bytes(b"holiday photographs" * 999)
    with pytest.raises(StudioError, match="cannot be opened"):
        Store(tmp_path)
    assert (tmp_path / "studio.db").read_bytes().startswith(b"holiday")


def test_a_folder_that_cannot_be_made_is_said_to_be_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StudioError, match="cannot be used"):
        Store(tmp_path / "file" / "inside")


@pytest.mark.parametrize("url", ["nonsense", "oracleofdelphi://x/y"])
def test_an_address_that_is_no_database_is_refused(tmp_path, url):
    with pytest.raises(BadInput, match="address of the database"):
        Store(tmp_path, url)


def test_a_writer_that_waits_too_long_gets_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("studio.project.database.BUSY_SECONDS", 0.05)
    store = Store(tmp_path)
    with sqlite3.connect(tmp_path / "studio.db") as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StudioError, match="busy"):
            store.create_project("p", "ann")
        other.rollback()
    store.create_project("p", "ann")
    store.close()


def test_leftovers_of_a_killed_writer_are_swept_and_work_under_way_is_not(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    Store(tmp_path).close()
    unfinished = tmp_path / "files" / "unfinished"
    (unfinished / "left").write_bytes(b"half")
    with (unfinished / "busy").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        Store(tmp_path).close()
        assert [path.name for path in unfinished.iterdir()] == ["busy"]


def test_a_full_disk_leaves_no_file_and_no_row(tmp_path, monkeypatch):
    store = Store(tmp_path)
    project = store.create_project("p", "ann")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("studio.project.files.os.fsync", full)
    with pytest.raises(StudioError, match="disk .* is full"):
        add(store, project.id)
    monkeypatch.undo()
    assert store.images(project.id) == []
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []
    assert add(store, project.id).name == "a.jpg"
    store.close()


def test_the_tables_can_be_made_on_another_database():
    made = []
    engine = create_mock_engine(
        "postgresql+psycopg2://", lambda sql, *_: made.append(str(sql.compile(dialect=engine.dialect)))
    )
    metadata.create_all(engine, checkfirst=False)
    assert any("BIGSERIAL" in sql for sql in made)
