"""What the benchmark scripts share: their arguments, a table for people, a flat JSON of figures."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every benchmark takes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    data = ROOT.parent / "shared" / "data"
    made.add_argument("--data", type=Path, default=data, help="folder of the data sets")
    made.add_argument("--json", type=Path, help="write the figures to this file as one flat object")
    made.add_argument("--quick", action="store_true", help="the same on less data, in a minute or two")
    made.add_argument("--seed", type=int, default=0)
    return made


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay out rows under a header: the first column to the left, the others to the right."""
    cells = [list(header), *[[_text(value) for value in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        first = row[0].ljust(widths[0])
        lines.append("  ".join([first, *(v.rjust(w) for v, w in zip(row[1:], widths[1:], strict=True))]))
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def save(figures: Mapping[str, float | int | None], path: Path | None) -> None:
    """Write the figures as one flat JSON object; a figure that is not finite becomes null."""
    if path is None:
        return
    clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in figures.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(clean, indent=1, sort_keys=True) + "\n")
