"""The command line: ``studio`` opens the page; ``studio models``, ``import``, ``predict`` … work without it."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.access import LOCAL
from studio.commands.ask import answers, ask
from studio.commands.filtering import classify, embed, filter_
from studio.commands.jobs import app as jobs
from studio.commands.matte import matte
from studio.commands.opening import known_project, project_of, said, studio_of
from studio.commands.predict import predict
from studio.devices import size_text
from studio.errors import NotFound
from studio.settings import Settings, default_data_folder

app = typer.Typer(
    help="Onelabel Studio: label one, get the rest.", no_args_is_help=False, pretty_exceptions_enable=False
)

Data = Annotated[Path | None, typer.Option(help="The folder that keeps projects and images.")]
Database = Annotated[str | None, typer.Option(help="Another database, as an SQLAlchemy URL.")]


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 7860,
    data: Data = None,
    database: Database = None,
    people: Annotated[
        str | None,
        typer.Option(
            help="“one”: everybody is the same person; “each”: every browser has projects of its own."
        ),
    ] = None,
    max_file_size: Annotated[
        str, typer.Option(help="The largest file one may upload, such as 500mb.")
    ] = "2gb",
    root_path: Annotated[str | None, typer.Option(help="The path a proxy serves the studio under.")] = None,
    sample: Annotated[bool, typer.Option(help="Give first-time visitors the sample project.")] = True,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open the studio in the browser."""
    context.obj = (data, database)
    # Libraries draw bars of their own while they load weights, across what is told here.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if context.invoked_subcommand:
        return
    loopback = host in ("127.0.0.1", "localhost", "::1")
    people = people or ("one" if loopback else "each")
    if people not in ("one", "each"):
        raise typer.BadParameter("--people is “one” or “each”.")
    settings = Settings(data or default_data_folder(), database, people, max_file_size, sample=sample)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    import uvicorn

    from studio.app import serve as asgi
    from studio.operations.jobs import runs
    from studio.operations.samples import drawn_scenes
    from studio.studio import Studio

    studio = Studio(settings)
    # Whether the hub answers decides the default model; ask now, so that nobody waits for it later.
    threading.Thread(target=studio.hub.reachable, daemon=True).start()
    if sample:
        threading.Thread(target=drawn_scenes, daemon=True).start()
    address = f"http://{'localhost' if loopback else host}:{port}"
    typer.echo(
        f"Onelabel Studio opens at {address}\nProjects are kept in {settings.data}\nStop it with Ctrl+C."
    )
    if browser and loopback and sys.stdout.isatty():
        threading.Timer(2.0, webbrowser.open, [address]).start()
    try:
        uvicorn.run(asgi(studio, root_path), host=host, port=port, log_level="warning", ws_max_size=1 << 24)
    finally:
        runs(studio).stop_all()
        studio.close()


@app.command()
def models(context: typer.Context) -> None:
    """List the models: what they take, their licence, their size, and whether they are here."""
    studio = studio_of(context)
    for card in studio.registry.cards():
        size = f"{size_text(card.download.bytes)} download" if card.download else "no download"
        state = "demo for the sample scenes only" if card.demo else studio.hub.state(card)
        typer.echo(
            f"{card.id:28} {card.title:34} {', '.join(card.roles):30} {card.licence:14} {size}, {state}"
        )
    for name, reason in studio.registry.failures.items():
        typer.echo(f"{name:24} not available: {reason}", err=True)


@app.command("add-model")
def add_model(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="A checkpoint file: of SAM, SAM-HQ, SAM 2, RITM, FocalClick or CDNet; or the id of a model on the "
            "Hugging Face hub, such as facebook/detr-resnet-50."
        ),
    ],
    title: Annotated[str, typer.Option(help="What a checkpoint is to be called.")] = "",
) -> None:
    """Take a checkpoint file of your own, or a model of the Hugging Face hub, in as a model. Nothing in it is run."""
    studio = studio_of(context)
    from studio.hub.ids import HUB_ID
    from studio.operations import checkpoints, hub_models

    def work() -> None:
        file = Path(model)
        if HUB_ID.fullmatch(model) and not file.exists() and file.suffix not in (".pt", ".pth"):
            card = hub_models.add(studio, LOCAL, model)
        else:
            card = checkpoints.add(studio, LOCAL, file, title=title)
        typer.echo(f"{card.title} was added as {card.id}. A page that is loaded from now on offers it.")

    said(work)


@app.command("remove-model")
def remove_model(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The id of a model added before, such as own-0123456789ab.")],
) -> None:
    """Delete a checkpoint, or forget a model of the hub, that was added.

    A studio that runs meanwhile keeps it until it is started again.
    """
    studio = studio_of(context)
    from studio.operations import checkpoints, hub_models

    kind = hub_models if model in [key for _, key in hub_models.added(studio)] else checkpoints
    said(lambda: typer.echo(f"{kind.remove(studio, LOCAL, model)} was removed."))


@app.command("import")
def import_(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="The project's name; it is made where it does not exist.")],
    sources: Annotated[
        list[str], typer.Argument(help="Image files, folders, zip archives or http(s) addresses.")
    ],
    annotations: Annotated[
        Path | None, typer.Option(help="An annotation file, folder or zip to import afterwards.")
    ] = None,
    format: Annotated[str, typer.Option(help="Its format; “auto” finds out.")] = "auto",
    policy: Annotated[
        str,
        typer.Option(
            help="append, merge, skip, replace-drafts or replace-all: what becomes of labels there."
        ),
    ] = "append",
) -> None:
    """Add images, and annotations if given, to a project."""
    studio = studio_of(context)
    from studio.operations import exchange, intake

    def work() -> None:
        target = project_of(studio, project) or studio.store.create_project(project, LOCAL)
        addresses = [s for s in sources if s.startswith(("http://", "https://"))]
        paths = [Path(s) for s in sources if s not in addresses]
        for path in paths:
            if not path.exists():
                raise NotFound(f"There is no file or folder {path}.")
        reports = []
        if paths:
            reports.append(intake.add_files(studio.store, target.id, LOCAL, paths))
        if addresses:
            reports.append(intake.add_urls(studio.store, target.id, LOCAL, addresses))
        for report in reports:
            typer.echo(report.sentence())
            for name, reason in [*report.refused, *report.left]:
                typer.echo(f"  {name}: {reason}", err=True)
        if annotations:
            done = exchange.import_annotations(
                studio.store, target.id, LOCAL, annotations, format=format, policy=policy
            )
            typer.echo(f"{done.annotations} annotations on {done.images} images.")
            for problem in done.problems:
                typer.echo(f"  {problem}", err=True)

    said(work)


@app.command("export")
def export(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="The project's name or id.")],
    target: Annotated[Path, typer.Argument(help="A folder, or a file that ends in .zip.")],
    format: Annotated[
        str,
        typer.Option(
            help="coco, labelme, voc, yolo, yolo-boxes, yolo-segments, masks, masks-instances, matting …"
        ),
    ] = "coco",
    with_images: Annotated[bool, typer.Option(help="Put the images in too.")] = False,
    drafts: Annotated[bool, typer.Option(help="Include what nobody has accepted yet.")] = False,
    only: Annotated[str, typer.Option(help="Which images: all, labelled or done.")] = "all",
    what: Annotated[
        list[str] | None,
        typer.Option(help="Of mattes: cutout, alpha, trimap, foreground, composite. May be repeated."),
    ] = None,
    background: Annotated[
        str, typer.Option(help="Of composites: #rrggbb, or a picture file.", metavar="COLOUR|FILE")
    ] = "#ffffff",
    kind: Annotated[str, typer.Option(help="Of cut-outs and composites: png, webp or jpeg.")] = "png",
    bits: Annotated[int, typer.Option(help="Of alphas: 8 or 16; 0 as they are kept.")] = 0,
) -> None:
    """Write a project's annotations; with --format matting its cut-outs, alphas and trimaps."""
    studio = studio_of(context)
    from studio.formats.matting import AS_KEPT, MattingOptions
    from studio.operations import exchange

    def work() -> None:
        found = known_project(studio, project)
        mattes = None
        if format == "matting":
            under = background if background.startswith("#") else _picture(background)
            mattes = MattingOptions(tuple(what or AS_KEPT.what), kind, bits, under)
        report = exchange.export_annotations(
            studio.store,
            found.id,
            format,
            target,
            with_images=with_images,
            drafts=drafts,
            only=only,
            mattes=mattes,
        )
        typer.echo(f"{report.annotations} annotations of {report.images} images written to {target}.")
        for note in report.problems:
            typer.echo(f"  {note}", err=True)

    said(work)


def _picture(path: str) -> Any:
    from studio.images import decode

    if not Path(path).is_file():
        raise NotFound(f"There is no file {path}. A background is a picture, or a colour such as #ffffff.")
    return decode(Path(path), path)


app.command("predict")(predict)
app.command("ask")(ask)
app.command("answers")(answers)
app.command("matte")(matte)
app.command("embed")(embed)
app.command("filter")(filter_)
app.command("classify")(classify)
app.add_typer(jobs, name="jobs")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
