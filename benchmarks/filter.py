"""The filter: embedding against a bare open_clip loop, queries over 100,000 and 1,000,000 vectors, and what is found.

- embed_vs_bare_ratio: images a second of a job, from its start to its end, over those of a plain open_clip loop that
  opens, readies and encodes the same files in the best of some batch sizes; ViT-B-32 of random weights, in turn.
- query_100k_ms, query_1m_ms: from a request in headless Chromium until its page holds all scores and their order as
  numbers, vectors of 512; what the model itself takes to read the phrase is left out. top100_agreement is the share of
  queries whose best 100 are those of a product in float64, in order.
- filter_map, zeroshot_acc: the demo CLIP on unseen drawn scenes, through the tab's own operations.
- longest_block_ms_10k: the Filter page over 10,000 images (benchmarks/filter_page.py says more of it).
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.browser import chromium, served
from benchmarks.common import parser, save, table
from benchmarks.demo.scenes import drawn
from studio.access import LOCAL
from studio.adapters import Card
from studio.operations import jobs
from studio.operations.filtering import classify, collection, embedding, search
from studio.operations.filtering.query import Query, Term
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio

LENGTH = 512
BATCHES = (8, 16, 32, 64)
ONES = ("{}", "a photo of {}", "a picture of {}")
BARS = {
    "embed_vs_bare_ratio": "≥ 0.95",
    "query_100k_ms": "≤ 150",
    "query_1m_ms": "≤ 1000",
    "top100_agreement": "= 1",
    "longest_block_ms_10k": "≤ 200",
    "filter_map": "≥ 0.90",
    "zeroshot_acc": "≥ 0.95",
}


# ---- embedding -------------------------------------------------------------------------------------


def random_model(folder: Path) -> Card:
    """Write ViT-B-32 of open_clip with random weights, as the hub has it, and return its card."""
    import json

    import open_clip
    import torch
    from safetensors.torch import save_file

    from models import clip as family

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32")
    pixels = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    described = {"model_cfg": open_clip.get_model_config("ViT-B-32"), "preprocess_cfg": pixels}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    like = next(card for card in family.CARDS if card.load is family.load_open_clip)
    return replace(like, id="vit-b-32", title="ViT-B-32 of random weights", download=None, folder=folder)


def photographs(data: Path, count: int) -> list[bytes]:
    """Return files to embed: photographs of the data sets where they are here, else drawn scenes."""
    wanted = ("clip_catdog", "textdet_voc50", "det_raccoon", "inst_fruits_nuts")
    found = [p for name in wanted for p in sorted((data / name).rglob("*.jp*g"))] if data.is_dir() else []
    files = [p.read_bytes() for p in found[:count]]
    if not files:
        print(f"no photographs in {data}: drawn scenes take their place")
        files = [scene.picture for scene in drawn("test", min(count, 200))]
    return files


def embedding_ratio(data: Path, count: int, rounds: int) -> dict[str, float]:
    """Return images a second of a job and of a bare loop, and the median of the rounds' ratios."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "model").mkdir()
        card = random_model(folder / "model")
        files = photographs(data, count)
        paths = []
        for number, data_of in enumerate(files):
            paths.append(folder / f"{number}.jpg")
            paths[-1].write_bytes(data_of)
        bare = _Bare(card.folder)
        batch = min(BATCHES, key=lambda size: bare.seconds(paths[:64], size))
        studio = Studio(Settings(folder / "data", sample=False), registry=Registry([card]))
        project = studio.store.create_project("Photographs", LOCAL).id
        for number, data_of in enumerate(files):
            _add(studio, project, f"{number}.jpg", data_of)
        total = studio.store.count_images(project)
        ratios, ours, theirs = [], [], []
        for turn in range(-1, rounds):
            # Each turn is of another version, whose vectors are not there yet.
            studio.registry.discard(card.id)
            studio.registry.add(replace(card, version=f"turn {turn}"))
            began = time.perf_counter()
            job = embedding.begin(studio, LOCAL, project, card.id)
            jobs.runs(studio).get(job.id).wait()
            mine = time.perf_counter() - began
            assert studio.store.job(job.id).done == total
            if turn < 0:  # the model is loaded, and files are read for the first time
                continue
            its = bare.seconds(paths, batch) * total / len(paths)
            ratios.append(its / mine)
            ours.append(total / mine)
            theirs.append(total / its)
        likeness = bare.likeness(studio, project, card.id, paths)
        studio.close()
    print(
        f"bare loop in batches of {batch}; vectors of both agree to a cosine of {likeness:.5f} at the least"
    )
    return {
        "embed_vs_bare_ratio": median(ratios),
        "embed_images_per_s": median(ours),
        "bare_images_per_s": median(theirs),
        "embed_least_cosine": likeness,
    }


class _Bare:
    """The plain way: open, ready, encode, batch after batch."""

    def __init__(self, folder: Path) -> None:
        import open_clip

        self._model, _, self._ready = open_clip.create_model_and_transforms(f"local-dir:{folder}")
        self._model.eval()

    def vectors(self, paths: Sequence[Path], batch: int) -> np.ndarray:
        import torch
        from PIL import Image

        found = []
        with torch.inference_mode():
            for start in range(0, len(paths), batch):
                pictures = [self._ready(Image.open(p).convert("RGB")) for p in paths[start : start + batch]]
                vectors = self._model.encode_image(torch.stack(pictures))
                found.append(torch.nn.functional.normalize(vectors, dim=-1).numpy())
        return np.concatenate(found)

    def seconds(self, paths: Sequence[Path], batch: int) -> float:
        began = time.perf_counter()
        self.vectors(paths, batch)
        return time.perf_counter() - began

    def likeness(self, studio: Studio, project: str, model: str, paths: Sequence[Path]) -> float:
        """Return the least cosine of a job's vectors with these."""
        found = collection.collection(studio, LOCAL, project, model)
        mine = {studio.store.image(i).name: v for i, v in zip(found.ids, found.vectors(), strict=True)}
        known = [path for path in paths if path.name in mine][:64]
        theirs = self.vectors(known, 16)
        return float(min(mine[path.name] @ vector for path, vector in zip(known, theirs, strict=True)))


# ---- queries ---------------------------------------------------------------------------------------


class Instant:
    """Reads a phrase in no time: what is timed is all but the model. A phrase's vector is random, and its own."""

    def embed_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return self.embed_texts([str(image.sum()) for image in images])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        found = [np.random.default_rng(list(text.encode())).standard_normal(LENGTH) for text in texts]
        return np.array([each / np.linalg.norm(each) for each in found], np.float32)


INSTANT = Card("instant", "Instant", "benchmark", ("embedder",), ("text",), "MIT", lambda *_: Instant(), 1000)

ASK = """async ([body]) => {
  const began = performance.now();
  const answer = await fetch('api/v1/filter', {method: 'POST', body: JSON.stringify(body), headers: {
    'content-type': 'application/json', accept: 'application/octet-stream'}});
  const buffer = await answer.arrayBuffer();
  const length = new Uint32Array(buffer, 0, 1)[0];
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const scores = new Float32Array(buffer, 4 + length, head.n);
  const order = new Uint32Array(buffer, 4 + length + 4 * head.n, head.n);
  const taken = performance.now() - began;
  if (!(scores[order[0]] >= scores[order[99]])) throw new Error('not in order');
  return taken;
}"""


def queries(count: int, asked: int) -> dict[str, float]:
    """Return the median time of a query over so many images in a page, its share in the server, and the agreement."""
    from studio.app import serve

    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        studio = Studio(Settings(Path(folder), sample=False), registry=Registry([INSTANT]))
        project = studio.store.create_project("Many", LOCAL).id
        _crowd(studio, project, count)
        body = {"project": project, "model": INSTANT.id}
        with served(serve(studio)) as address:
            page = browser.new_page()
            page.goto(address)
            page.wait_for_timeout(1500)
            page.evaluate(ASK, [{**body, "text": "warm"}])  # reads ids and vectors from the disk
            times = [page.evaluate(ASK, [{**body, "text": f"phrase {n}"}]) for n in range(asked)]
        agreement, seconds = [], []
        found = collection.collection(studio, LOCAL, project, INSTANT.id)
        for number in range(5):
            query = Query((Term(f"phrase {number}"),))
            ranking = search.rank(studio, LOCAL, project, INSTANT.id, query)
            seconds.append(ranking.seconds)
            agreement.append(ranking.order[:100].tolist() == _exact(found, query, 100))
        studio.close()
    return {"ms": median(times), "inside_ms": 1000 * median(seconds), "agreement": float(np.mean(agreement))}


def _crowd(studio: Studio, project: str, count: int) -> None:
    """Give a project many images with random vectors, written past the store; their files are not there."""
    from sqlalchemy import insert

    from studio.project.schema import images

    rng = np.random.default_rng(0)
    file = collection.vectors_of(studio, INSTANT)
    facts = {"width": 640, "height": 480, "version": 1, "status": "todo", "count": 0, "drafts": 0}
    now = datetime.now(UTC)
    for start in range(0, count, 50_000):
        numbers = range(start, min(count, start + 50_000))
        digests = [rng.bytes(32).hex() for _ in numbers]
        rows = [
            {"id": uuid.UUID(bytes=rng.bytes(16)).hex, "project_id": project, "digest": digest, "name": f"{n}.jpg",
             "folded": f"{n}.jpg", "name_order": f"{n:08}.jpg", "added": now, **facts}
            for n, digest in zip(numbers, digests, strict=True)
        ]  # fmt: skip
        with studio.store._db.write() as c:
            c.execute(insert(images), rows)
        vectors = rng.standard_normal((len(rows), LENGTH), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        file.append(digests, vectors)


def _exact(found: collection.Collection, query: Query, count: int) -> list[int]:
    """Return the best of a brute-force product in float64."""
    wanted = Instant().embed_texts([query.terms[0].text])[0].astype(np.float64)
    wanted /= np.linalg.norm(wanted)
    vectors = found.vectors()
    blocks = range(0, len(vectors), 50_000)
    scores = np.concatenate([vectors[start : start + 50_000].astype(np.float64) @ wanted for start in blocks])
    return np.lexsort((np.arange(len(scores)), -scores))[:count].tolist()


# ---- what is found ---------------------------------------------------------------------------------


def quality(scenes: int) -> dict[str, float]:
    """Return the mean average precision of phrases and the share of single things named rightly, as the tab does it."""
    from sklearn.metrics import average_precision_score

    from models import clip as family
    from studio.scenes import CLASSES, PHRASES
    from studio.scenes.words import phrase

    demo = next(card for card in family.CARDS if card.demo)
    shown, singles = drawn("test", scenes), drawn("test", max(20, scenes // 2), singles=True)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Settings(Path(folder), sample=False), registry=Registry([demo]))
        several, alone = (
            _scenes(studio, name, each, demo.id) for name, each in (("s", shown), ("1", singles))
        )
        precisions = []
        for text in PHRASES:
            ranking = search.rank(studio, LOCAL, several, demo.id, Query((Term(text),)))
            there = [
                any(t.phrase == text for t in shown[n].things) for n in _numbers(studio, ranking.collection)
            ]
            if any(there):
                precisions.append(average_precision_score(there, ranking.scores))
        naming = classify.Naming(tuple(CLASSES), {name: (phrase(name),) for name in CLASSES}, ONES)
        found = classify.classify(studio, LOCAL, alone, demo.id, naming)
        numbers = _numbers(studio, found.collection)
        right = [found.name_of(place) == singles[n].things[0].name for place, n in enumerate(numbers)]
        studio.close()
    return {"filter_map": float(np.mean(precisions)), "zeroshot_acc": float(np.mean(right))}


def _scenes(studio: Studio, name: str, scenes: Sequence[Any], model: str) -> str:
    project = studio.store.create_project(name, LOCAL).id
    for number, scene in enumerate(scenes):
        _add(studio, project, f"{number}.jpg", scene.picture)
    job = embedding.begin(studio, LOCAL, project, model)
    jobs.runs(studio).get(job.id).wait()
    return project


def _numbers(studio: Studio, found: collection.Collection) -> list[int]:
    return [int(studio.store.image(i).name.split(".")[0]) for i in found.ids]


def _add(studio: Studio, project: str, name: str, data: bytes) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
    studio.store.add_image(
        project, name, data, width=width, height=height, display=None, thumbnail=b"-", person=LOCAL
    )


# ---- the page --------------------------------------------------------------------------------------


def longest_block(passes: int) -> float | None:
    try:
        from benchmarks.filter_page import measured
    except ImportError:
        print("benchmarks/filter_page.py is not here: the page is not measured")
        return None
    return median(measured(10_000, passes).blocks)


PARTS = ("embedding", "queries", "quality", "page")


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("parts", nargs="*", help=f"any of {', '.join(PARTS)}; all where none is named")
    chosen = arguments.parse_args()
    parts = chosen.parts or PARTS
    figures: dict[str, float | None] = dict.fromkeys(BARS)
    if "quality" in parts:
        figures |= quality(50 if chosen.quick else 200)
    if "embedding" in parts:
        figures |= embedding_ratio(chosen.data, 64 if chosen.quick else 240, 2 if chosen.quick else 5)
    if "queries" in parts:
        agreements = []
        for name, count in (("100k", 100_000), ("1m", 1_000_000)):
            if chosen.quick and name == "1m":
                continue
            found = queries(count, 7)
            figures |= {f"query_{name}_ms": found["ms"], f"query_{name}_inside_ms": found["inside_ms"]}
            agreements.append(found["agreement"])
        figures["top100_agreement"] = min(agreements)
    if "page" in parts:
        figures["longest_block_ms_10k"] = longest_block(3 if chosen.quick else 7)
    rows = [(name, value, BARS.get(name, "")) for name, value in figures.items()]
    print(table(("figure", "value", "bar"), rows))
    save(figures, chosen.json)


if __name__ == "__main__":
    main()
