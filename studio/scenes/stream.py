"""Scenes one after the other, as they come to somebody who labels: a rare class late, or a change of light."""

from __future__ import annotations

from collections.abc import Iterator

from studio.errors import BadInput
from studio.scenes.still_life import Scene, still_life
from studio.scenes.words import CLASSES


def stream(
    seed: int,
    count: int,
    width: int = 640,
    height: int = 480,
    *,
    rare: str | None = None,
    rare_from: float = 0.5,
    shifted: str | None = None,
    shifted_from: float = 0.5,
) -> Iterator[Scene]:
    """Yield ``count`` scenes. ``rare`` appears in none before a share ``rare_from`` of them, and then now and
    then; from a share ``shifted_from`` on they are taken in the style ``shifted``.

    Raises BadInput for an unknown class or style, or a share that is not within 0 to 1.
    """
    if rare is not None and rare not in CLASSES:
        raise BadInput(f"There is no class “{rare}” in the scenes. There are: {', '.join(CLASSES)}.")
    if not (0 <= rare_from <= 1 and 0 <= shifted_from <= 1):
        raise BadInput("The share of scenes before a change lies between 0 and 1.")
    common = [name for name in CLASSES if name != rare]
    for number in range(count):
        late = rare is not None and number >= rare_from * count
        style = shifted if shifted and number >= shifted_from * count else "daylight"
        yield still_life(
            seed * 100_000 + number,
            width,
            height,
            classes=[*common, rare] if late and rare else common,
            style=style,
        )
