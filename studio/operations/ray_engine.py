"""Jobs on a Ray cluster: images streamed to a replica of the models on each GPU, results written here, once."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.annotations import Annotation
from studio.errors import BadInput, Conflict, MissingPackage, StudioError, Unreachable
from studio.failures import log
from studio.operations._ray_worker import Order
from studio.operations.predict import Recipe
from studio.operations.running import Run
from studio.project import ImageRecord

if TYPE_CHECKING:
    from studio.studio import Studio

BLOCK = 8  # images that travel, and are tried again, together; as many as a batch of the local engine
PORTION = 20_000  # images in one stream: the cluster keeps a note of each of its blocks
MOST_PROCESSORS = 4  # that a replica is given where there is no GPU; more help little
MOST_SHOWN = 64_000_000  # bytes of images with examples, of which each replica gets a copy
PATIENCE = 20.0  # seconds that a stopped job waits for the cluster to let go
LOST = (
    "Every worker that took this image ended without an answer, as one does where memory runs out. "
    "Try it here, without Ray, or give workers more memory."
)


@dataclass(frozen=True)
class Share:
    """How many replicas there are room for, and what each of them gets."""

    replicas: int
    gpus: int = 0
    cpus: int = 0


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster this machine is a node of. An empty ``address`` is RAY_ADDRESS, else Ray on this machine alone.

    With ``shared`` every node sees the studio's data folder at the same path and reads images itself; without, this
    machine reads and sends them. ``cpus`` is what a replica gets where there is no GPU; 0 leaves it to the studio.
    """

    address: str = ""
    shared: bool = False
    cpus: int = 0

    def join(self, studio: Studio, recipe: Recipe) -> Share:
        """Connect, unless this process is connected already, and say what the cluster has room for.

        Raises MissingPackage, BadInput for an address or models that cannot do, Unreachable, Conflict where this
        process works on another cluster, and StudioError where no node has room for a replica.
        """
        ray = _ray()
        self._check_models(studio, recipe)
        _check_examples(studio, recipe)
        address = self.address or os.environ.get("RAY_ADDRESS") or "local"
        if address.startswith("ray://"):
            raise BadInput(
                "Images cannot be read from outside of a cluster. Make this machine a node of it (ray start "
                f"--address={address.removeprefix('ray://').split(':')[0]}:6379), and use --address auto."
            )
        if not ray.is_initialized():
            _connect(ray, address)
        elif ":" in address and _resolved(address) != _resolved(ray.get_runtime_context().gcs_address):
            raise Conflict(
                f"This process works on the Ray cluster at {ray.get_runtime_context().gcs_address} already. Use that, "
                "or another process."
            )
        return self._share(ray)

    def _check_models(self, studio: Studio, recipe: Recipe) -> None:
        """Refuse a checkpoint that lies in a data folder which other machines do not see."""
        folder = studio.settings.data / "checkpoints"
        for name in recipe.model_ids:
            card = studio.registry.card(name)
            if not self.shared and card.folder is not None and folder in card.folder.parents:
                raise BadInput(
                    f"{card.title} lies in this studio's data folder, which other machines may not see. Let all of "
                    "them see it at the same path, and say so with --shared-data."
                )

    def _share(self, ray: Any) -> Share:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if gpus := sum(int(node.get("GPU", 0)) for node in nodes):
            return Share(gpus, gpus=1)
        processors = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
        each = self.cpus or min([MOST_PROCESSORS, *processors])
        replicas = sum(there // each for there in processors)
        if not replicas:
            most = max(processors, default=0)
            raise StudioError(
                f"No node of the Ray cluster has {each} processors for a replica of the models; the largest has {most}."
            )
        return Share(replicas, cpus=each)


def _check_examples(studio: Studio, recipe: Recipe) -> None:
    """Refuse examples on more and larger images than each replica should be sent."""
    shown = [studio.store.image(image_id) for image_id in {e.image for e in recipe.examples}]
    size = sum(studio.store.original_path(image).stat().st_size for image in shown)
    if size > MOST_SHOWN:
        raise BadInput(
            f"The examples lie on {len(shown)} images of {size / 1e6:,.0f} MB together, and at most "
            f"{MOST_SHOWN / 1e6:,.0f} MB are sent to each worker of a cluster. Take fewer examples, or work here."
        )


class Spread:
    """A recipe as the work of a job on a cluster."""

    batch = BLOCK

    def __init__(self, studio: Studio, recipe: Recipe, cluster: Cluster) -> None:
        self.policy, self.same = recipe.policy, recipe.same
        self._share = cluster.join(studio, recipe)
        self._order = Order.of(studio, recipe)
        self._shared, self._path_of = cluster.shared, studio.store.original_path

    def stream(
        self, records: Sequence[ImageRecord], block: int
    ) -> Iterator[tuple[str, list[Annotation] | StudioError]]:
        """Yield the id of each image with what is found on it or why nothing could be, in the order they are done.

        Images whose workers die again and again are missing. Raises StudioError where the cluster cannot do the work.
        """
        from studio.operations._ray_data import stream

        rows = [(record, str(self._path_of(record))) for record in records]
        return stream(rows, block, self._order, self._share, shared=self._shared)


class RayRun(Run):
    """A job while a cluster works on it: streamed there from here, and written here."""

    _work: Spread

    def _work_through(self) -> None:
        left: list[ImageRecord] = []
        after = -1
        while not self._stop.is_set() and (
            page := self._store.job_todo(self.job_id, after=after, limit=PORTION)
        ):
            after = page[-1].position
            left += self._stream([entry.image for entry in page], BLOCK)
        # One image may be the end of each worker that takes it, and of its block with it: so one by one.
        if left and not self._stop.is_set():
            left = self._stream(left, 1)
        if not self._stop.is_set():
            for record in left:
                self._failed(record, StudioError(LOST))

    def _stream(self, records: Sequence[ImageRecord], block: int) -> list[ImageRecord]:
        """Send images through the cluster; return those that it lost, in order."""
        waiting = {record.id: record for record in records}
        errors: list[BaseException] = []

        def pump() -> None:
            try:
                with closing(self._work.stream(records, block)) as answers:
                    for image_id, found in answers:
                        if self._stop.is_set() or self._error is not None:
                            return
                        if (record := waiting.pop(image_id, None)) is not None:
                            self._take(record, found)
            except BaseException as error:
                errors.append(error)

        # A thread of its own: whoever pauses should not have to wait for a cluster that has other things to do.
        pumping = threading.Thread(target=pump, name="streams through Ray", daemon=True)
        pumping.start()
        while pumping.is_alive() and not self._stop.is_set():
            pumping.join(0.2)
        pumping.join(PATIENCE)
        if self._error is not None:
            raise self._error
        if errors and not self._stop.is_set():
            raise errors[0]
        return list(waiting.values())

    def _take(self, record: ImageRecord, found: list[Annotation] | StudioError) -> None:
        self.progress.now = record.name
        if isinstance(found, StudioError):
            self._failed(record, found)
        else:
            self._results.put((record, found))


def _ray() -> Any:
    # Otherwise Ray connects by itself, or starts a cluster, when one of its threads outlives the connection.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    try:
        import ray
        import ray.data  # noqa: F401  the package may be there without what this part of it needs
    except ImportError as error:
        raise MissingPackage(
            f"Work on a cluster needs Ray, and {error.name or 'a part of it'} is not installed. "
            'Install it: pip install "ray[data]"'
        ) from None
    return ray


def _resolved(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    try:
        return socket.gethostbyname(host), port
    except OSError:
        return host, port


def _connect(ray: Any, address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not _listens(address):
        raise _nobody(address)
    more = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **more)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        log.warning("Ray at %s", address, exc_info=error)
        raise _nobody(address) from None


def _nobody(address: str) -> Unreachable:
    return Unreachable(
        f"No Ray cluster can be joined at {address}. Start one with ray start --head, let this machine join it with "
        "ray start --address=HOST:6379, and use --address auto."
    )


def _listens(address: str) -> bool:
    """Say whether anybody listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return True  # auto or local, which Ray finds out at once
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True
