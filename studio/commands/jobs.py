"""``studio jobs``: what became of jobs, going on with them, and taking back what they did."""

from __future__ import annotations

from typing import Annotated

import click
import typer
from typer.core import TyperGroup

from studio.access import LOCAL
from studio.commands.following import (
    SOME_FAILED,
    Address,
    Engine,
    Processors,
    SharedData,
    cluster_of,
    follow,
    show,
)
from studio.commands.opening import known_project, said, studio_of

JobId = Annotated[str, typer.Argument(help="The job's id, as “studio jobs PROJECT” tells it.", metavar="JOB")]


class _ListsByDefault(TyperGroup):
    """``studio jobs PROJECT`` is ``studio jobs list PROJECT``."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if arguments and not arguments[0].startswith("-") and arguments[0] not in self.commands:
            arguments = ["list", *arguments]
        return super().parse_args(context, arguments)


app = typer.Typer(
    cls=_ListsByDefault, no_args_is_help=True, help="List a project's jobs; go on with one, undo it …"
)


@app.command("list")
def listed(
    context: typer.Context, project: Annotated[str, typer.Argument(help="The project's name or id.")]
) -> None:
    """List a project's jobs, the newest first."""
    studio = studio_of(context)

    def work() -> None:
        for job in studio.store.jobs(known_project(studio, project).id):
            failed = f", {job.failed:,} failed" if job.failed else ""
            when = job.created.strftime("%Y-%m-%d %H:%M")
            typer.echo(
                f"{job.id}  {when}  {job.state:9} {job.done:,} of {job.total:,}{failed}  {job.title}"
                + (f"  ({job.problem})" if job.problem else "")
            )

    said(work)


@app.command("go-on")
def go_on(
    context: typer.Context,
    job: JobId,
    engine: Engine = "local",
    address: Address = "",
    shared_data: SharedData = False,
    cpus: Processors = 0,
) -> None:
    """Go on with a job where it stood, and try images that failed once more. Exit codes as of “predict”."""
    cluster = cluster_of(engine, address, shared_data, cpus)
    studio = studio_of(context)

    def work() -> None:
        from studio.operations import jobs

        jobs.go_on(studio, LOCAL, job, cluster=cluster)
        follow(context, studio, job)

    said(work)


@app.command()
def pause(context: typer.Context, job: JobId) -> None:
    """Pause a job that the page, or another command, works on: it stops after the images in hand."""
    studio = studio_of(context)

    def work() -> None:
        from studio.operations import jobs

        found = jobs.job_for(studio, job, LOCAL)
        jobs.pause(studio, LOCAL, job)
        typer.echo(f"{found.title} is {studio.store.job(job).state}.")

    said(work)


@app.command()
def cancel(context: typer.Context, job: JobId) -> None:
    """Stop a job for good; what it did stays until it is undone."""
    studio = studio_of(context)

    def work() -> None:
        from studio.operations import jobs

        found = jobs.job_for(studio, job, LOCAL)
        jobs.cancel(studio, LOCAL, job)
        typer.echo(f"{found.title} is {studio.store.job(job).state}.")

    said(work)


@app.command()
def undo(context: typer.Context, job: JobId) -> None:
    """Take back all that a job did."""
    studio = studio_of(context)

    def work() -> None:
        from studio.operations import jobs

        typer.echo(f"{jobs.undo(studio, LOCAL, job):,} images are as they were before.")

    said(work)


@app.command()
def forget(context: typer.Context, job: JobId) -> None:
    """Take a job off the list; what it did stays."""
    studio = studio_of(context)

    def work() -> None:
        from studio.operations import jobs

        jobs.forget(studio, LOCAL, job)
        typer.echo("The job was forgotten; what it did stays.")

    said(work)


@app.command()
def report(context: typer.Context, job: JobId) -> None:
    """Say what came of a job, and which images failed and why. Exits with 3 where some failed."""
    studio = studio_of(context)

    def work() -> None:
        from studio.operations import reports

        found = reports.report(studio, LOCAL, job)
        show(found)
        if found.failed:
            raise typer.Exit(SOME_FAILED)

    said(work)
