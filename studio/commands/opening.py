"""What a command begins with: the studio, the project that is meant, and errors said in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from studio.access import LOCAL
from studio.errors import StudioError, unknown
from studio.settings import Settings, default_data_folder

if TYPE_CHECKING:
    from studio.project import Project
    from studio.studio import Studio


def studio_of(context: typer.Context) -> Studio:
    """Open the studio that the command line names."""
    from studio.studio import Studio

    return Studio(settings_of(context))


def settings_of(context: typer.Context) -> Settings:
    data, database = context.obj
    return Settings(data or default_data_folder(), database)


def project_of(studio: Studio, name: str) -> Project | None:
    """Return the project of a name or id, None where there is none."""
    return next((p for p in studio.store.projects(LOCAL) if name in (p.name, p.id)), None)


def known_project(studio: Studio, name: str) -> Project:
    """Return the project of a name or id. Raises NotFound, which names the nearest."""
    found = project_of(studio, name)
    if found is None:
        raise unknown("project", name, [p.name for p in studio.store.projects(LOCAL)])
    return found


def said(work: Callable[[], None]) -> None:
    """Do the work; where it fails with a sentence for people, say it and exit with 1."""
    try:
        work()
    except StudioError as error:
        typer.echo(f"studio: {error}", err=True)
        raise typer.Exit(1) from None


def again(context: typer.Context, words: str) -> str:
    """Return a command to type that works on the same data."""
    data, database = context.obj
    named: list[tuple[str, Path | str | None]] = [("--data", data), ("--database", database)]
    options = "".join(f"{option} {_quoted(str(value))} " for option, value in named if value)
    return f"studio {options}{words}"


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
