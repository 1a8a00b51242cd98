"""How good the demo checkpoints are on drawn scenes of unseen seeds, against the bars they are held to.

Every figure goes through the adapter that the studio uses, and through nothing else.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import parser, save, table
from benchmarks.demo.quality import DEMOS, measure, missed
from benchmarks.demo.scenes import drawn
from benchmarks.train_demo import ASSETS


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("names", nargs="*", help=f"any of {', '.join(DEMOS)}; all where none is named")
    arguments.add_argument(
        "--split",
        choices=("check", "test"),
        default="test",
        help="the unseen scenes: those of the bars, or others",
    )
    chosen = arguments.parse_args()
    figures: dict[str, float | None] = {}
    rows: list[tuple[object, ...]] = []
    for name in chosen.names or DEMOS:
        demo = DEMOS[name]
        wanted = {**{key: f"≥ {bar:.2f}" for key, bar in demo.bars.items()}}
        wanted |= {key: f"≤ {bar:.2f}" for key, bar in demo.ceilings.items()}
        if not (ASSETS / name / "model.safetensors").exists():
            print(
                f"{name}: there is no checkpoint; python benchmarks/train_demo.py {name} makes it", flush=True
            )
            figures |= dict.fromkeys(wanted)
            continue
        count = demo.scenes // 4 if chosen.quick else demo.scenes
        found = measure(name, ASSETS / name, drawn(chosen.split, max(count, 4)))
        figures |= found
        failed = missed(name, found)
        for key, bar in wanted.items():
            state = "missed" if any(sentence.startswith(f"{key} ") for sentence in failed) else "reached"
            rows.append((f"{name} {key}", found[key], bar, state))
    print(table(("figure", "value", "bar", ""), rows))
    save(figures, chosen.json)


if __name__ == "__main__":
    main()
