"""Make the demo checkpoints in assets/demo from seed to file, and print what they score on unseen scenes.

    python benchmarks/train_demo.py              all of them, one after the other
    python benchmarks/train_demo.py sam2 clip    these
    python benchmarks/train_demo.py --measure    only measure those that are there

On a processor each takes up to about an hour, but Florence-2 two hours and SAM 2.1 four and a half (card.json
says how many seconds each took); a graphics card is used where there is one. On one machine, with one thread, the
same seed gives the same weights. Elsewhere sums are added up in another order, and the scores agree within a few
hundredths.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import ROOT, parser, save, table
from benchmarks.demo.quality import DEMOS, measure
from benchmarks.demo.saving import describe

ASSETS = ROOT / "assets" / "demo"


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("names", nargs="*", help=f"any of {', '.join(DEMOS)}; all where none is named")
    arguments.add_argument("--measure", action="store_true", help="train nothing")
    arguments.add_argument("--folder", type=Path, default=ASSETS, help="where the checkpoints go")
    chosen = arguments.parse_args()
    unknown = [name for name in chosen.names if name not in DEMOS]
    if unknown:
        arguments.error(f"there is no demo checkpoint {', '.join(unknown)}; there are {', '.join(DEMOS)}")
    figures: dict[str, float] = {}
    rows: list[tuple[str, str, float]] = []
    for name in chosen.names or DEMOS:
        folder = chosen.folder / name
        if not chosen.measure:
            started = time.perf_counter()
            DEMOS[name].train(folder, seed=chosen.seed, quick=chosen.quick)
            made = dict(trained_by=f"benchmarks/train_demo.py {name}", seconds=time.perf_counter() - started)
            describe(folder, **made, scores={})  # a checkpoint without a card is not offered
        elif not (folder / "model.safetensors").exists():
            print(f"{name}: there is no checkpoint in {folder}", file=sys.stderr)
            continue
        scores = measure(name, folder)
        if not chosen.measure:
            describe(folder, **made, scores=scores)
        rows += [(name, key, value) for key, value in scores.items()]
        figures.update(scores)
        print(table(("checkpoint", "figure", "value"), rows[-len(scores) :]), flush=True)
    save(figures, chosen.json)


if __name__ == "__main__":
    main()
