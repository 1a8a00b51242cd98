"""The store: one folder of image files and one database that knows everything else."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL

from studio.errors import StudioError
from studio.project.alphas import AlphaStore
from studio.project.annotations import AnnotationStore
from studio.project.classes import ClassStore
from studio.project.columns import ColumnStore
from studio.project.copying import CopyStore
from studio.project.database import Database
from studio.project.files import Files
from studio.project.history import HistoryStore
from studio.project.images import ImageStore
from studio.project.jobs import JobStore
from studio.project.projects import ProjectStore
from studio.project.removal import RemovalStore
from studio.project.views import ViewStore


class Store(
    ProjectStore,
    ClassStore,
    ImageStore,
    AnnotationStore,
    AlphaStore,
    HistoryStore,
    JobStore,
    ColumnStore,
    ViewStore,
    CopyStore,
    RemovalStore,
):
    """All that people have made. Safe to call from many threads, and from several processes at once.

    ``folder`` gets ``files/`` and, unless ``url`` names another database, ``studio.db``. Each change is one
    transaction and one line of history; when a call has returned, its change survives the process.
    """

    def __init__(self, folder: Path, url: str | None = None) -> None:
        folder = Path(folder).expanduser().resolve()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._files = Files(folder / "files")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StudioError(
                f"The data folder {folder} cannot be used: {reason}. Choose another one."
            ) from error
        self._db = Database(url or URL.create("sqlite", database=str(folder / "studio.db")))
        self._finish_removals()

    def close(self) -> None:
        """Let go of the database; the store cannot be used afterwards."""
        self._db.close()
