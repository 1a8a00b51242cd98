"""How fast a dataset job predicts, against the bare library's own batched loop over the same files and weights.

In one run, in turn: our job (read, decode, network, merge, write into the project) and the loop that each library
shows in its documentation (decode, network, post-processing, results written to files). Then what a person's clicks
cost while a job runs, how the memory grows over many images, and what predictions are worth on the drawn scenes.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import predict_quality
from benchmarks.common import parser, save, table
from studio.access import LOCAL
from studio.adapters import Card
from studio.annotations import Point
from studio.gate import Turn
from studio.operations import jobs, segment
from studio.operations.predict import Recipe
from studio.project import ImageRecord
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio

BATCH = 8
SURE = 0.3
Loop = Callable[[Sequence[Path], Path], None]  # over files, writing into a folder


def scenes_project(studio: Studio, count: int) -> tuple[str, list[ImageRecord], list[Path]]:
    """Return a project of drawn scenes, and the files of its images."""
    from benchmarks.demo.scenes import drawn

    project = studio.store.create_project("scenes", LOCAL)
    records = []
    for number, scene in enumerate(drawn("test", count)):
        height, width = scene.owner.shape
        facts = dict(width=width, height=height, display=None, thumbnail=scene.picture[:1000], person=LOCAL)
        records.append(studio.store.add_image(project.id, f"{number:05}.jpg", scene.picture, **facts)[0])
    return project.id, records, [studio.store.original_path(record) for record in records]


def seconds_of_job(studio: Studio, project: str, recipe: Recipe, records: Sequence[ImageRecord]) -> float:
    began = time.perf_counter()
    job = jobs.begin(studio, LOCAL, project, recipe, [record.id for record in records])
    jobs.runs(studio).get(job.id).wait()
    seconds = time.perf_counter() - began
    after = studio.store.job(job.id)
    if after.state != "done" or after.failed:
        raise RuntimeError(f"The job is {after.state}, {after.failed} failed: {after.problem}")
    jobs.undo(studio, LOCAL, job.id)
    return seconds


# ---- the libraries' own loops -----------------------------------------------------------------------


def card(studio_id: str, role: str, load: Callable[[], Any]) -> Card:
    return Card(studio_id, studio_id, "benchmark", (role,), (), "none", lambda *_: load(), 1000)


def yolo() -> tuple[Card, Loop]:
    """YOLO11n: the demo's weights, by ``predict`` of ultralytics on a list of files."""
    from models import yolo as family
    from models._yolo import checkpoint
    from models._yolo.package import ultralytics

    demo = next(c for c in family.CARDS if c.demo and "with masks" not in c.title)
    read = checkpoint.read(Path(demo.folder), None)

    def loop(files: Sequence[Path], out: Path) -> None:
        if not hasattr(loop, "model"):
            model = ultralytics().YOLO("yolo11n.yaml")
            model.model = checkpoint.build(read)
            loop.model = model
        for start in range(0, len(files), BATCH):
            part = [str(f) for f in files[start : start + BATCH]]
            for result in loop.model.predict(part, imgsz=read.side, conf=SURE, batch=BATCH, verbose=False):
                result.save_txt(str(out / f"{Path(result.path).stem}.txt"), save_conf=True)

    return card("yolo", "detector", lambda: demo.load(str(demo.folder), "cpu", demo.options())), loop


def rt_detr() -> tuple[Card, Loop]:
    """RT-DETR of ResNet-18's size with random weights, by its processor and model as transformers documents."""
    import torch
    import transformers

    from models.detr import DetrDetector

    torch.manual_seed(0)
    config = transformers.RTDetrConfig(
        backbone_config=transformers.RTDetrResNetConfig(
            hidden_sizes=[64, 128, 256, 512],
            depths=[2, 2, 2, 2],
            layer_type="basic",
            out_features=["stage2", "stage3", "stage4"],
        ),
        encoder_in_channels=[128, 256, 512],
        decoder_layers=3,
        num_labels=80,
    )
    model = transformers.RTDetrForObjectDetection(config).eval().requires_grad_(False)
    processor = transformers.RTDetrImageProcessor()

    def loop(files: Sequence[Path], out: Path) -> None:
        for part, pictures in _opened(files):
            inputs = processor(images=pictures, return_tensors="pt")
            with torch.inference_mode():
                answer = model(**inputs)
            sizes = [(p.height, p.width) for p in pictures]
            found = processor.post_process_object_detection(answer, threshold=SURE, target_sizes=sizes)
            for file, result in zip(part, found, strict=True):
                told = {key: value.tolist() for key, value in result.items()}
                (out / f"{file.stem}.json").write_text(json.dumps(told))

    return card("rt-detr", "detector", lambda: DetrDetector(model, processor)), loop


def segformer() -> tuple[Card, Loop]:
    """SegFormer: the demo's weights, by its processor and model, maps written as PNG."""
    import torch
    import transformers
    from PIL import Image

    from models import segformer as family

    demo = next(c for c in family.CARDS if c.demo)
    model = transformers.AutoModelForSemanticSegmentation.from_pretrained(demo.folder, dtype=torch.float32)
    model.eval()
    processor = transformers.AutoImageProcessor.from_pretrained(demo.folder)

    def loop(files: Sequence[Path], out: Path) -> None:
        for part, pictures in _opened(files):
            inputs = processor(images=pictures, return_tensors="pt")
            with torch.inference_mode():
                answer = model(**inputs)
            sizes = [(p.height, p.width) for p in pictures]
            maps = processor.post_process_semantic_segmentation(answer, target_sizes=sizes)
            for file, numbers in zip(part, maps, strict=True):
                Image.fromarray(numbers.numpy().astype(np.uint8)).save(out / f"{file.stem}.png")

    return card("segformer", "semantic", lambda: demo.load(str(demo.folder), "cpu", demo.options())), loop


def _opened(files: Sequence[Path]) -> Any:
    from PIL import Image

    for start in range(0, len(files), BATCH):
        part = files[start : start + BATCH]
        yield part, [Image.open(file).convert("RGB") for file in part]


FAMILIES = {"yolo": yolo, "rtdetr": rt_detr, "segformer": segformer}


def throughput(count: int, rounds: int) -> dict[str, float]:
    """Return images a second of each family, ours and the library's, and their ratio."""
    figures: dict[str, float] = {}
    made = {name: make() for name, make in FAMILIES.items()}
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Settings(Path(folder)), registry=Registry([c for c, _ in made.values()]))
        project, records, files = scenes_project(studio, count)
        for name, (its, loop) in made.items():
            recipe = Recipe((its.id,), threshold=SURE)
            ours, theirs = [], []
            for turn in range(rounds + 1):
                out = Path(folder) / f"{name}-{turn}"
                out.mkdir()
                ours.append(seconds_of_job(studio, project, recipe, records))
                began = time.perf_counter()
                loop(files, out)
                theirs.append(time.perf_counter() - began)
            mine, reference = (count / median(times[1:]) for times in (ours, theirs))  # the first warms up
            figures |= {
                f"{name}_images_per_s": mine,
                f"{name}_library_images_per_s": reference,
                f"{name}_vs_bare_ratio": mine / reference,
            }
            print(f"{name}: {mine:.2f} images/s, the library {reference:.2f}", flush=True)
        studio.close()
    return figures


# ---- clicks meanwhile, and memory -------------------------------------------------------------------


def clicks_meanwhile(images: int, objects: int) -> dict[str, float]:
    """Return p95 of a click alone and while a job runs: objects of five clicks, then a look at the next."""
    from models import sam2 as family

    demo = next(c for c in family.CARDS if c.demo)
    detector, _ = yolo()
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Settings(Path(folder)), registry=Registry([detector, demo]))
        project, records, _ = scenes_project(studio, images)
        image, others = records[0], [record.id for record in records[1:]]
        segment.prepare(studio, image, demo.id)
        alone = _clicking(studio, image, demo.id, objects)
        over = threading.Event()

        def work() -> None:
            while not over.is_set():
                job = jobs.begin(studio, LOCAL, project, Recipe((detector.id,), threshold=SURE), others)
                run = jobs.runs(studio).get(job.id)
                while run.running and not over.wait(0.1):
                    pass
                run.cancel()
                run.wait()

        worker = threading.Thread(target=work)
        worker.start()
        time.sleep(2)
        meanwhile = _clicking(studio, image, demo.id, objects)
        over.set()
        worker.join()
        studio.close()
    before, during = (float(np.percentile(times, 95)) for times in (alone, meanwhile))
    return {
        "click_p95_alone_ms": before,
        "click_p95_in_job_ms": during,
        "click_p95_ratio_during_job": during / before,
    }


def _clicking(studio: Studio, image: ImageRecord, model: str, objects: int) -> list[float]:
    rng, times = np.random.default_rng(0), []
    for number in range(objects):
        points: tuple[Point, ...] = ()
        for _ in range(5):
            points += (Point(*rng.uniform((50, 50), (image.width - 50, image.height - 50))),)
            began = time.perf_counter()
            encoded = segment.embedding(studio, image, studio.registry.card(model), Turn.CLICK)
            prompt = segment.Prompt(points)
            studio.pool.run(model, lambda m, e=encoded, p=prompt: m.segment(e, p), turn=Turn.CLICK)
            times.append(1000 * (time.perf_counter() - began))
            time.sleep(0.6)
        time.sleep(1.5 + number % 3)
    return times


def memory(count: int) -> dict[str, float]:
    """Return how much the process grows from a tenth of a job of many images to its end, in MB."""
    import psutil

    from tests.predict.squares import add_pictures
    from tests.predict.world import studio_of_squares

    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        studio, detector, _ = studio_of_squares(Path(folder))
        project = studio.store.create_project("many", LOCAL)
        records = add_pictures(studio.store, project.id, count, LOCAL)
        job = jobs.begin(studio, LOCAL, project.id, Recipe(("squares",)), [r.id for r in records])
        del records
        run = jobs.runs(studio).get(job.id)
        while run.running and run.progress.done < count // 10:
            time.sleep(0.05)
        gc.collect()
        detector.calls.clear()
        early = process.memory_info().rss
        most = early
        while run.running:
            time.sleep(0.2)
            most = max(most, process.memory_info().rss)
        gc.collect()
        late = process.memory_info().rss
        done = studio.store.job(job.id).done
        studio.close()
    if done != count:
        raise RuntimeError(f"{done} of {count} images were done.")
    return {
        "job_images": count,
        "rss_early_mb": early / 1e6,
        "rss_growth_mb_10k": (late - early) / 1e6,
        "rss_most_above_early_mb": (most - early) / 1e6,
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument(
        "--only", choices=("throughput", "clicks", "memory", "quality"), help="one part alone"
    )
    arguments = options.parse_args()
    quick, only = arguments.quick, arguments.only
    figures: dict[str, float] = {}
    if only in (None, "throughput"):
        figures |= throughput(24 if quick else 96, 1 if quick else 3)
    if only in (None, "clicks"):
        figures |= clicks_meanwhile(24 if quick else 200, 3 if quick else 20)
    if only in (None, "memory"):
        figures |= memory(500 if quick else 10_000)
    if only in (None, "quality"):
        figures |= predict_quality.figures(quick=quick)
    bars = {f"{name}_vs_bare_ratio": "≥ 0.9" for name in FAMILIES} | {
        "click_p95_ratio_during_job": "≤ 2",
        "rss_growth_mb_10k": "≤ 100",
    }
    bars |= {name: f"≥ {bar:g}" for name, bar in predict_quality.BARS.items()}
    print(table(["figure", "value", "bar"], [(k, v, bars.get(k, "")) for k, v in figures.items()]))
    save(figures, arguments.json)


if __name__ == "__main__":
    main()
