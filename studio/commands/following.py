"""A job at the command line: a line that tells how far it is, Ctrl+C to pause it, and a report at the end."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from studio.access import LOCAL
from studio.commands.opening import again

if TYPE_CHECKING:
    from studio.operations.ray_engine import Cluster
    from studio.operations.reports import Report
    from studio.operations.running import Progress, Run
    from studio.studio import Studio

SOME_FAILED, PAUSED = 3, 130  # exit codes; 0 is all done, 1 that it could not be done, 2 a wrong command line
SELDOM = 10.0  # seconds between two lines where nobody watches a terminal

Engine = Annotated[str, typer.Option(help="local: this machine; ray: a Ray cluster (needs the extra ray).")]
Address = Annotated[
    str,
    typer.Option(help="The Ray cluster, such as auto or HOST:6379. Without: RAY_ADDRESS, else this machine."),
]
SharedData = Annotated[
    bool,
    typer.Option("--shared-data", help="Each node sees the data folder at the same path: nothing is sent."),
]
Processors = Annotated[
    int,
    typer.Option("--cpus", help="Processors for each replica of the models where there is no GPU.", min=0),
]


def cluster_of(engine: str, address: str, shared: bool, cpus: int) -> Cluster | None:
    """Return where a job is to run; None is this machine."""
    if engine not in ("local", "ray"):
        raise typer.BadParameter("--engine is “local” or “ray”.")
    if engine == "local":
        if address or shared or cpus:
            raise typer.BadParameter("--address, --shared-data and --cpus are for --engine ray.")
        return None
    from studio.operations.ray_engine import Cluster

    return Cluster(address, shared, cpus)


def follow(context: typer.Context, studio: Studio, job_id: str) -> None:
    """Watch a job of this process to its end, and report. Exits with SOME_FAILED, PAUSED or 1 where it is not done."""
    from studio.operations import jobs, reports

    run = jobs.runs(studio).get(job_id)
    line = _Line()
    try:
        _watch(run, line)
    except KeyboardInterrupt:
        line.say("Pausing after the images in hand …")
        run.pause()
        run.wait()
    line.over()
    report = reports.report(studio, LOCAL, job_id)
    show(report)
    code = _code(report)
    if code in (1, PAUSED):
        typer.echo(f"Go on with: {again(context, f'jobs go-on {job_id}')}", err=True)
    elif code == SOME_FAILED:
        typer.echo(f"Try these once more with: {again(context, f'jobs go-on {job_id}')}", err=True)
    raise typer.Exit(code)


def show(report: Report) -> None:
    """Print what came of a job: the sum on standard output, what failed and why on standard error."""
    typer.echo(f"{report.job.title}, {report.job.state}: {report.sentence()}")
    if report.job.problem and report.job.state != "done":
        typer.echo(f"  {report.job.problem}", err=True)
    if report.answers:
        commonest = ", ".join(f"{text[:60]} ({count:,})" for text, count in report.answers)
        more = f" … {report.different:,} different" if report.different > len(report.answers) else ""
        typer.echo(f"  {commonest}{more}")
    for name, problem in report.failed:
        typer.echo(f"  {name}: {problem}", err=True)


def time_text(seconds: float) -> str:
    """Return a time as people say it: "about 2 min"."""
    if seconds < 60:
        return f"about {max(1, round(seconds))} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"


def progress_text(progress: Progress) -> str:
    parts = [f"{progress.done + progress.failed:,} of {progress.total:,}", f"{progress.added:,} added"]
    parts += [f"{progress.merged:,} there already"] if progress.merged else []
    parts += [f"{progress.failed:,} failed"] if progress.failed else []
    parts += [f"{time_text(progress.seconds_left)} left"] if progress.seconds_left is not None else []
    return " · ".join(parts)


def _watch(run: Run, line: _Line) -> None:
    while run.running:
        line.show(progress_text(run.progress))
        run.wait(0.5)


def _code(report: Report) -> int:
    if report.job.state == "paused":
        return PAUSED
    if report.job.state != "done":
        return 1
    return SOME_FAILED if report.failed else 0


class _Line:
    """One line that is written over on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._width = 0
        self._last = time.monotonic()

    def show(self, text: str) -> None:
        if self._terminal:
            typer.echo("\r" + text.ljust(self._width), nl=False, err=True)
            self._width = len(text)
        elif time.monotonic() - self._last >= SELDOM:
            self.say(text)

    def say(self, text: str) -> None:
        self.over()
        typer.echo(text, err=True)
        self._last = time.monotonic()

    def over(self) -> None:
        if self._terminal and self._width:
            typer.echo(err=True)
            self._width = 0
