"""The stream through Ray Data. Imported only where Ray is installed and asked for."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext, Datasource, ReadTask, TaskPoolStrategy
from ray.data.block import BlockMetadata
from ray.exceptions import RayError

from studio.annotations import Annotation
from studio.errors import StudioError
from studio.failures import log
from studio.operations._ray_worker import COLUMNS, Order, Worker, read
from studio.operations.running import READERS
from studio.project import ImageRecord

if TYPE_CHECKING:
    from studio.operations.ray_engine import Share

TRIES = 2  # of a block whose worker dies, after the first
AT_ONCE = 2  # blocks in a worker's hands: one is decoded while the other is predicted

Rows = Sequence[tuple[ImageRecord, str]]


class _Files(Datasource):
    """Images' files in blocks; one task reads a block."""

    def __init__(self, rows: Rows, block: int) -> None:
        super().__init__()
        self._blocks = [rows[start : start + block] for start in range(0, len(rows), block)]

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        return [
            ReadTask(
                partial(_read_block, rows),
                BlockMetadata(len(rows), None, None, None),
                per_task_row_limit=None,
            )
            for rows in self._blocks
        ]

    def __len__(self) -> int:
        return len(self._blocks)


def _read_block(rows: Rows) -> list[pyarrow.Table]:
    read_rows = [read(record, path) for record, path in rows]
    kinds = pyarrow.large_binary()
    columns = (
        pyarrow.array([pickle.dumps(row.record) for row in read_rows], kinds),
        pyarrow.array([row.data for row in read_rows], kinds),
        pyarrow.array([row.problem for row in read_rows], pyarrow.string()),
    )
    return [pyarrow.table(dict(zip(COLUMNS, columns, strict=True)))]


def stream(
    rows: Rows, block: int, order: Order, share: Share, *, shared: bool
) -> Iterator[tuple[str, list[Annotation] | StudioError]]:
    """Yield each image's id with what is found on it, or why nothing could be, as they are done.

    Blocks are tried again where a worker or its machine dies; one that kills each worker is left out.
    """
    data = _dataset(rows, block, order, share, shared)
    try:
        batches = iter(data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1))
        with closing(batches):
            for table in batches:
                for image_id, packed in zip(
                    table["id"].to_pylist(), table["answer"].to_pylist(), strict=True
                ):
                    answer = pickle.loads(packed)
                    if answer.unable:
                        raise StudioError(answer.problem)
                    yield image_id, StudioError(answer.problem) if answer.problem else list(answer.found)
    except RayError as error:
        log.warning("a job's stream through Ray ended early", exc_info=error)
        raise StudioError(
            f"The Ray cluster could not do the work: {_last_line(error)}. See that the studio is installed on each "
            "node, then go on with the job: what is done is kept."
        ) from None


def _dataset(rows: Rows, block: int, order: Order, share: Share, shared: bool) -> ray.data.Dataset:
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "The maximum number of concurrent tasks")  # of a job of few blocks
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # a block that kills its workers costs the others nothing
    files = _Files(rows, block)
    here = {} if shared else {"label_selector": {"ray.io/node-id": ray.get_runtime_context().get_node_id()}}
    compute = ActorPoolStrategy(
        min_size=1,
        max_size=share.replicas,
        initial_size=share.replicas,
        # What dies with a worker counts as tried: an image that is sought as the cause is sent by itself.
        max_concurrent_calls_per_actor=AT_ONCE if block > 1 else 1,
        max_tasks_in_flight_per_actor=2 * AT_ONCE if block > 1 else 1,
        enable_true_multi_threading=True,  # the pool's gate lets one of them at the models at a time
    )
    size = {"num_gpus": share.gpus} if share.gpus else {"num_cpus": share.cpus}
    with DataContext.current(context):
        # Reading takes hardly any processor: it counts as none, so that it never waits for the replicas' share.
        data = ray.data.read_datasource(
            files, num_cpus=0, compute=TaskPoolStrategy(size=READERS), override_num_blocks=len(files), **here
        )
        return data.map_batches(
            Worker,
            fn_constructor_args=(order,),
            batch_size=block,
            batch_format="pyarrow",
            compute=compute,
            udf_modifying_row_count=False,
            max_restarts=-1,
            max_task_retries=TRIES,
            **size,
        )


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300].rstrip(".")
