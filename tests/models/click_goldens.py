"""The numbers that the click networks are held to.

``python -m tests.models.click_goldens FOLDER`` compares the networks with a folder of what the authors' own programs
answered (a README there says what each array is; its photographs may not be copied), and only where they agree writes
what they answer on a drawn picture to goldens/clicks.npz, which the tests then hold on to wherever they run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.models.click_networks import KNOWN, known
from tests.models.tiny_sam2 import picture

OWN = Path(__file__).parent / "goldens" / "clicks.npz"
REFERENCE = Path(os.environ.get("STUDIO_SHARED_GOLDENS", Path(__file__).parents[3] / "shared" / "goldens"))
STEP = 8  # of the pixels whose probability is written down
SIZE = (120, 168)
CLICKS = ((60, 84, True), (30, 40, True), (90, 130, False))
RAW_LIMIT = 1e-3  # of the standard deviation
PROBABILITY_LIMIT = 2e-3
CDNET_SHARE = 0.999  # of the pixels that keep within the limit: it has hard thresholds inside


@dataclass(frozen=True)
class Deviation:
    """How far an answer is from what it should be, as a share of what is allowed; above 1 is too far."""

    what: str
    share: float


def network_of(name: str) -> Any:
    from models._clicks.checkpoint import build

    return build(known(name))


def deviations(name: str, folder: Path, images: tuple[int, ...] = (0, 1)) -> Iterator[Deviation]:
    """Compare one network with the authors' own: its output, its refiner, where it looks, and each answer."""
    import torch

    made, arrays = network_of(name), np.load(folder / f"{name}.npz")
    with torch.inference_mode():
        yield from _raw(made, arrays)
        if "ref_box" in arrays.files:
            yield from _refiner(made, arrays)
        for image in images:
            for mode in ("demo", "eval"):
                if f"img{image}_{mode}_prob" in arrays.files:
                    yield from _clicks(made, arrays, f"img{image}", mode)


def _tensor(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.array(array)).float()


def _picture(image: np.ndarray, previous: np.ndarray | None = None) -> Any:
    import torch

    made = _tensor(image).permute(2, 0, 1)[None] / 255
    return made if previous is None else torch.cat([made, _tensor(previous)[None, None] / 255], 1)


def _off(what: str, found: Any, wanted: np.ndarray) -> Deviation:
    found, wanted = np.asarray(found).squeeze(), np.asarray(wanted, np.float32).squeeze()
    return Deviation(what, float(np.abs(found - wanted).max() / wanted.std() / RAW_LIMIT))


def _raw(made: Any, arrays: Any) -> Iterator[Deviation]:
    from models._clicks.diffusion import diffuse
    from models._clicks.layers import disks

    points = _tensor(arrays["raw_points"])
    if made.pipeline == "cdnet":
        seen = _picture(arrays["raw_image"])
        found = made.network(seen, points)
        yield _off("gate", found["gate"], arrays["raw_fdm"])
        spread = diffuse(seen, found["instances"], disks(points, tuple(seen.shape[-2:]), 5))
        yield _off("pixel diffusion", spread, arrays["raw_pdm"])
    else:
        coarse = made.network.coarse if made.pipeline == "focalclick" else made.network
        found = coarse(_picture(arrays["raw_image"], arrays["raw_prev"]), points)
    yield _off("logits", found["instances"], arrays["raw_logits"])
    if "raw_aux" in arrays.files:
        yield _off("auxiliary logits", found["aux"], arrays["raw_aux"])
    if "raw_feature_mean" in arrays.files:
        features = found["features"][0]
        assert tuple(arrays["raw_feature_shape"]) == tuple(found["features"].shape)
        yield _off("features", features[:4], arrays["raw_feature_ch0_3"])
        yield _off("means of features", features.mean((1, 2)), arrays["raw_feature_mean"])
        yield _off("spread of features", features.std((1, 2)), arrays["raw_feature_std"])


def _refiner(made: Any, arrays: Any) -> Iterator[Deviation]:
    network = made.network
    full = network.coarse(
        _picture(arrays["ref_full_image"], arrays["ref_full_prev"]), _tensor(arrays["ref_full_points"])
    )
    yield _off("logits for the refiner", full["instances"], arrays["ref_full_logits"])
    found = network.refiner(
        _picture(arrays["ref_crop_image"]),
        _tensor(arrays["ref_crop_points"]),
        full["features"],
        full["instances"],
        _tensor(arrays["ref_box"]),
        network.radius,
    )
    for part in ("coarse", "trimap", "refined"):
        yield _off(f"refiner's {part}", found[part], arrays[f"ref_{part}"])


def _clicks(made: Any, arrays: Any, image: str, mode: str) -> Iterator[Deviation]:
    from models._clicks.ritm import State

    seen = _picture(arrays[image])
    clicks = [(float(y), float(x), bool(p)) for y, x, p in arrays[f"{image}_clicks"]]
    state = None
    for number in range(1, len(clicks) + 1):
        state, focus = _answer(made, seen, clicks[:number], state, mode)
        start = f"{image}_{mode}"
        wanted = {
            key: arrays[f"{start}_{key}"][number - 1]
            for key in ("prob", "roi", "focus", "mask")
            if f"{start}_{key}" in arrays.files
        }
        yield from _alike(f"{image} {mode} click {number}", made, state, focus, wanted)
    for number in (2, 3):
        start = f"{image}_{mode}_warm{number}_"
        wanted = {name[len(start) :]: arrays[name] for name in arrays.files if name.startswith(start)}
        if wanted:
            warm = State(arrays[f"{image}_warm_prev"].astype(np.float32) / 255)
            state, focus = _answer(made, seen, clicks[:number], warm, mode)
            yield from _alike(f"{image} {mode} begun, click {number}", made, state, focus, wanted)


def _answer(made: Any, seen: Any, clicks: list[Any], before: Any, mode: str) -> tuple[Any, Any]:
    from models._clicks import cdnet, focal, ritm

    if made.pipeline == "focalclick":
        return focal.answer(made.network, seen, clicks, before)
    if made.pipeline == "cdnet":
        return cdnet.answer(made.network, seen, clicks, before), None
    rules = ritm.DEMO if mode == "demo" else ritm.EVALUATION
    return ritm.answer(made.network, seen, clicks, before, rules), None


def _alike(what: str, made: Any, state: Any, focus: Any, wanted: dict[str, Any]) -> Iterator[Deviation]:
    found = (-1, -1, -1, -1) if state.region is None else state.region
    yield Deviation(f"{what}: region {found}", 0.0 if tuple(wanted["roi"]) == found else 9.0)
    if focus is not None and "focus" in wanted:
        yield Deviation(f"{what}: focus {focus}", 0.0 if tuple(wanted["focus"]) == tuple(focus) else 9.0)
    yield probability_off(what, state.probability, wanted["prob"], made.pipeline == "cdnet")
    if "mask" in wanted:
        differ = np.mean((state.probability > 0.5) != wanted["mask"].astype(bool))
        yield Deviation(f"{what}: mask", float(differ / 0.0005))


def probability_off(what: str, found: np.ndarray, wanted: np.ndarray, some_may: bool) -> Deviation:
    off = np.abs(found - wanted.astype(np.float32))
    most = np.quantile(off, CDNET_SHARE) if some_may else off.max()
    return Deviation(f"{what}: probability", float(most / PROBABILITY_LIMIT))


def own_answers(name: str) -> Iterator[dict[str, np.ndarray]]:
    """Yield what a network answers on the drawn picture after each click: probabilities of some pixels, boxes."""
    import torch

    made, state = network_of(name), None
    seen = _picture(picture(*SIZE, seed=3))
    for number in range(1, len(CLICKS) + 1):
        clicks = [(float(y), float(x), p) for y, x, p in CLICKS[:number]]
        with torch.inference_mode():
            state, focus = _answer(made, seen, clicks, state, "demo")
        yield {
            "prob": state.probability[::STEP, ::STEP],
            "roi": np.int32(state.region or (-1, -1, -1, -1)),
            "focus": np.int32(focus or (-1, -1, -1, -1)),
        }


def main(folder: Path) -> None:
    import torch

    torch.set_num_threads(1)
    written: dict[str, np.ndarray] = {}
    for name in KNOWN:
        found = list(deviations(name, folder))
        worst = max(found, key=lambda each: each.share)
        print(f"{name}: {len(found)} comparisons, the worst at {worst.share:.2f} of its limit ({worst.what})")
        if worst.share > 1:
            raise SystemExit("They do not agree; nothing was written.")
        for number, answer in enumerate(own_answers(name), 1):
            share = float((answer["prob"] > 0.5).mean())
            print(f"  click {number}: {share:.0%} of the drawn picture")
            written |= {f"{name}_{number}_{key}": value for key, value in answer.items()}
    OWN.parent.mkdir(exist_ok=True)
    np.savez_compressed(OWN, **written)
    print(f"{OWN} has {OWN.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
