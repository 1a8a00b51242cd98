"""How good mattes are without a download and with the demo ViTMatte, and what 12 megapixels take.

- Given the true trimap: the errors of the studio's default way against each of pymatting's methods. A ratio is of
  sums over the images, to the method that has the least sum of that error.
- Given clicks: a simulated person clicks in the middle of the largest error until the mask is good or eight clicks
  are spent; the trimap is made from the mask. The ratio is of the matte's SAD over the whole image to that from the
  true trimap. On photographs GrabCut answers the clicks, on drawn scenes the demo SAM.
- The demo ViTMatte on drawn scenes through the tab's own operation, against closed form from the same trimap.
- A 12-megapixel photograph, from a mask to the cut-out, in a process of its own: seconds and its peak memory.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.clicks_quality import iou, next_click, read_picture
from benchmarks.common import ROOT, parser, save, table
from benchmarks.matting_errors import ERRORS
from studio.annotations import Annotation, Mask, Prompt
from studio.operations.matting.trimaps import Stroke, trimap_of

METHODS = ("cf", "knn", "lbdm", "lkm", "rw", "sm")
SLOW = ("lkm",)  # left out with --quick
OURS = "shared-matting"
MOST_CLICKS, GOOD = 8, 0.95
MEGAPIXELS = (3000, 4000)
DRAWN = {False: 40, True: 12}  # scenes, by --quick


@dataclass(frozen=True)
class Case:
    """A photograph, uint8 (h, w, 3), its trimap, uint8 0, 128 and 255, and its true alpha, float (h, w)."""

    name: str
    image: np.ndarray
    trimap: np.ndarray
    alpha: np.ndarray


def cases(data: Path, quick: bool) -> Iterator[Case]:
    """Yield the photographs that have a trimap with sure foreground; the others are named."""
    found = [(f"adobe320 {i}", *(data / "mat_adobe320" / f"{i}_{k}.png" for k in ("image", "trimap", "alpha")))
             for i in range(5)]  # fmt: skip
    lemur = data / "mat_lemur"
    found.append(("lemur", *(lemur / f"{n}.png" for n in ("lemur", "lemur_trimap", "lemur_alpha"))))
    for image in sorted((data / "mat_adobe_full" / "image").glob("*.png")):
        found.append(
            (image.stem[:16], image, *(image.parent.parent / k / image.name for k in ("trimap", "alpha")))
        )
    for name, *paths in found[::2] if quick else found:
        if not all(path.is_file() for path in paths):
            print(f"{name}: not in {data}, left out", flush=True)
            continue
        image, trimap, alpha = (read_picture(path) for path in paths)
        levels = np.select([trimap[..., 0] == 0, trimap[..., 0] == 255], [0, 255], 128).astype(np.uint8)
        if not (levels == 255).any() or not (levels == 0).any():
            print(
                f"{name}: its trimap has no sure foreground, which pymatting's methods need; left out",
                flush=True,
            )
            continue
        yield Case(name, image, levels, alpha[..., 0] / 255)


def given_the_trimap(found: list[Case], matter, quick: bool, figures: dict) -> None:
    """Compare the errors of each method and ours, and print them."""
    import pymatting

    methods = [m for m in METHODS if not (quick and m in SLOW)]
    sums = {name: dict.fromkeys(ERRORS, 0.0) for name in (*methods, "ours")}
    for case in found:
        where = (case.trimap != 0) & (case.trimap != 255)
        levels = np.select([case.trimap == 0, case.trimap == 255], [0.0, 1.0], 0.5)
        for name in sums:
            if name == "ours":
                alpha = matter.matte(case.image, case.trimap)
            else:
                alpha = getattr(pymatting, f"estimate_alpha_{name}")(case.image / 255.0, levels)
            for key, error in ERRORS.items():
                sums[name][key] += error(np.clip(np.nan_to_num(alpha), 0, 1).astype(float), case.alpha, where)
    print("\nGiven the true trimap, sums over the images (SAD, gradient and connectivity in thousands)")
    print(table(["method", *ERRORS], [[name, *errors.values()] for name, errors in sums.items()]))
    for key in ERRORS:
        figures[f"{key}_vs_pymatting_best"] = sums["ours"][key] / min(sums[m][key] for m in methods)
    figures["pymatting_methods"] = len(methods)


def clicked(model, image: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the mask that a click session comes to, bool (h, w), and how many clicks it took."""
    truth, mask = alpha >= 0.5, np.zeros(alpha.shape, bool)
    spent = np.zeros_like(truth)
    embedding, points, previous = model.embed(image), (), None
    for _ in range(MOST_CLICKS):
        click = next_click(truth, mask, spent, None)
        if click is None:
            break
        points = (*points, click)
        best = model.segment(embedding, Prompt(points), previous)[0]
        mask, previous = best.mask.to_array(), best.state
        if iou(mask, truth) >= GOOD:
            break
    return mask, len(points)


def given_clicks(found: list[Case], segmenter, matter, key: str, title: str, figures: dict) -> None:
    """Compare mattes from a click session's trimaps with those from the true ones, and print them."""
    rows, ours, true = [], 0.0, 0.0
    for case in found:
        mask, clicks = clicked(segmenter, case.image, case.alpha)
        if not mask.any() or mask.all():
            rows.append([case.name, clicks, None, None, None])
            continue
        by_mask = matter.matte(case.image, trimap_of(case.image, mask))
        by_truth = matter.matte(case.image, case.trimap)
        pair = [float(np.abs(alpha - case.alpha).sum()) / 1000 for alpha in (by_mask, by_truth)]
        ours, true = ours + pair[0], true + pair[1]
        rows.append([case.name, clicks, iou(mask, case.alpha >= 0.5), *pair])
    print(f"\n{title}: SAD over the whole image, in thousands")
    print(table(["image", "clicks", "IoU", "clicked", "true trimap"], rows))
    figures[key] = ours / true if true else None


def drawn_cases(count: int, seed: int) -> list[Case]:
    """Return what the demo is measured on: feathers of unseen drawn scenes, and of each fourth one thing more."""
    from benchmarks.demo.scenes import drawn
    from benchmarks.demo.vitmatte import FINE, make_trimap

    random, made = np.random.default_rng(seed), []
    for number, each in enumerate(drawn("test", count)):
        scene = each.scene()
        others = [thing for thing in scene.things if thing.name != FINE][: int(number % 4 == 0)]
        for thing in [t for t in scene.things if t.name == FINE] + others:
            trimap = make_trimap(thing.alpha, random)
            if trimap is not None:
                made.append(Case(thing.name, scene.image, trimap, thing.alpha.astype(float)))
    return made


def by_operation(found: list[Case], figures: dict) -> None:
    """Measure the demo ViTMatte as the tab asks it: an image in a project, an object, strokes that make the trimap."""
    from studio.operations.matting.matte import matte
    from studio.operations.matting.stored import alpha_of
    from studio.project import Change
    from studio.settings import Settings
    from studio.studio import Studio

    sums = dict.fromkeys(("demo-vitmatte", "closed-form"), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Settings(Path(folder), sample=False))
        project = studio.store.create_project("drawn", "local")
        for number, case in enumerate(found):
            data = cv2.imencode(".png", case.image[..., ::-1])[1].tobytes()
            height, width = case.alpha.shape
            image, _ = studio.store.add_image(project.id, f"{number}.png", data, width=width, height=height,
                                              display=None, thumbnail=data, person="local")  # fmt: skip
            mask = Annotation(case.name, Mask.from_array(case.alpha >= 0.5), id=uuid.uuid4().hex)
            made = studio.store.apply(image.id, "local", [Change(mask)], verb="put").put[0]
            levels = (("background", 0), ("unknown", 128), ("foreground", 255))
            strokes = [Stroke(level, Mask.from_array(case.trimap == v)) for level, v in levels]
            for matter in sums:
                done = matte(studio, image, "local", matter, annotation_id=made.id, revision=made.revision,
                             strokes=strokes, beside=True)  # fmt: skip
                sums[matter] += float(
                    np.abs(alpha_of(studio, image, done.annotation.shape) - case.alpha).sum()
                )
        studio.close()
    figures["alpha_sad_vs_closed_form"] = sums["demo-vitmatte"] / sums["closed-form"]
    print(f"\n{len(found)} drawn things through the tab's own operation, SAD where unknown, in thousands")
    print(table(["matter", "SAD"], [[name, total / 1000] for name, total in sums.items()]))


def twelve_megapixels(data: Path, figures: dict) -> None:
    """Time a large photograph from its mask to the cut-out, in a process of its own."""
    words = [sys.executable, str(Path(__file__).resolve()), "--data", str(data), "--large"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        print(f"\n12 megapixels: failed\n{done.stderr[-2000:]}")
        figures |= {"mp12_seconds": None, "mp12_peak_gb": None}
        return
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"\n{MEGAPIXELS[1]} × {MEGAPIXELS[0]} pixels")
    print(table(["step", "seconds"], [[k, v] for k, v in found["steps"].items()]))
    print(
        f"peak memory of the process {found['peak_gb']:.2f} GB; unknown {found['unknown']:.1%} of the pixels"
    )
    figures |= {"mp12_seconds": sum(found["steps"].values()), "mp12_peak_gb": found["peak_gb"]}


def large(data: Path) -> None:
    """Do what ``twelve_megapixels`` measures, and print it as JSON."""
    from models.matting import CARDS
    from studio.cutouts import cutout_of

    lemur = data / "mat_lemur"
    height, width = MEGAPIXELS
    if (lemur / "lemur.png").is_file():
        image, alpha = read_picture(lemur / "lemur.png"), read_picture(lemur / "lemur_alpha.png")[..., 0]
    else:
        from studio.scenes import still_life

        scene = still_life(9_000_000)
        image, alpha = scene.image, (scene.things[0].alpha * 255).astype(np.uint8)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).integers(-6, 7, (height, width, 1), dtype=np.int16)  # a sensor's
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    mask = cv2.resize(alpha, (width, height)) >= 128
    matter = next(c for c in CARDS if c.id == OURS).load(None, "cpu", None)
    steps: dict[str, float] = {}

    def timed(name, work):
        start = time.perf_counter()
        result = work()
        steps[name] = time.perf_counter() - start
        return result

    trimap = timed("trimap", lambda: trimap_of(image, mask))
    found = timed("alpha", lambda: matter.matte(image, trimap))
    timed("foreground", lambda: cutout_of(image, found))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # it counts in kB
    print(json.dumps({"steps": steps, "peak_gb": peak, "unknown": float((trimap == 128).mean())}))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--large", action="store_true", help="only the large photograph, in this process")
    options = arguments.parse_args()
    if options.large:
        large(options.data)
        return
    from studio.registry import Registry

    registry, figures = Registry.discover(), {}

    def loaded(card_id: str):
        card = registry.card(card_id)
        return card.load(str(card.folder) if card.folder else None, "cpu", card.options())

    ours, found = loaded(OURS), list(cases(options.data, options.quick))
    drawn = drawn_cases(DRAWN[options.quick], options.seed)
    if found:
        given_the_trimap(found, ours, options.quick, figures)
        title = "Clicks answered by GrabCut on photographs"
        given_clicks(found, loaded("grabcut"), ours, "sad_click_trimap_vs_true", title, figures)
    else:
        figures |= {f"{key}_vs_pymatting_best": None for key in ERRORS} | {"sad_click_trimap_vs_true": None}
    title = "Clicks answered by the demo SAM on drawn scenes, mattes by the demo ViTMatte"
    given_clicks(
        drawn, loaded("demo-sam2"), loaded("demo-vitmatte"), "drawn_click_trimap_vs_true", title, figures
    )
    by_operation(drawn, figures)
    twelve_megapixels(options.data, figures)
    print()
    bars = {"sad_vs_pymatting_best": 1.05, "mse_vs_pymatting_best": 1.05, "grad_vs_pymatting_best": 1.05,
            "conn_vs_pymatting_best": 1.05, "sad_click_trimap_vs_true": 1.3, "drawn_click_trimap_vs_true": 1.3,
            "alpha_sad_vs_closed_form": 0.5, "mp12_seconds": 60, "mp12_peak_gb": 4}  # fmt: skip
    print(table(["figure", "value", "at most"], [[k, figures.get(k), bar] for k, bar in bars.items()]))
    save(figures, options.json)


if __name__ == "__main__":
    main()
