"""What a thing is before light falls on it, and the parts that several kinds are made of.

A drawing function gets x and y, float32 of shape (h, w), in half-lengths of the thing with its stem up
(towards -y) and its tip down, and a random generator seeded for this one thing; the numbers drawn from it
do not depend on the size. Colours are linear light, 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.scenes.noise import mix, step

Grid = np.ndarray
Point = tuple[float, float]


@dataclass
class Body:
    """A thing before light falls on it.

    ``edge`` is the distance to the outline in half-lengths, positive inside. ``relief`` is the height in
    half-lengths. ``cover`` replaces what follows from the edge where a thing is finer than an outline.
    ``seen`` says whether stem and tip can be seen at all.
    """

    edge: Grid
    relief: Grid
    colour: Grid
    stem: Point
    tip: Point | None
    gloss: float = 0.2
    sharpness: float = 30.0
    thickness: float = 0.5
    cover: Grid | None = None
    metal: bool = False


def linear(text: str) -> np.ndarray:
    """Return linear light of a colour written #rrggbb."""
    coded = np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255
    return coded**2.2


def dome(share: Grid, height: float) -> Grid:
    """Return a round relief: ``share`` is 0 in the middle and 1 at the outline."""
    return height * np.sqrt(np.clip(1 - share**2, 0, 1))


def capsule(x: Grid, y: Grid, a: Point, b: Point, radius: float | Grid) -> tuple[Grid, Grid]:
    """Return the distance into a rod from a to b and the place along it, 0 to 1."""
    ax, ay = b[0] - a[0], b[1] - a[1]
    along = np.clip(((x - a[0]) * ax + (y - a[1]) * ay) / (ax * ax + ay * ay), 0, 1)
    return radius - np.hypot(x - a[0] - along * ax, y - a[1] - along * ay), along


def round_fruit(x: Grid, y: Grid, radius: Grid) -> tuple[Grid, Grid]:
    """Return edge and share for an outline given as a radius in every direction."""
    r = np.hypot(x, y)
    return radius - r, r / radius


def with_stalk(
    body: Body, x: Grid, y: Grid, a: Point, b: Point, radius: float, colour: str = "#5b3d1e"
) -> Body:
    rod, along = capsule(x, y, a, b, radius)
    inside = step(-0.01, 0.01, rod)
    body.colour = mix(body.colour, mix(linear(colour), linear("#8a6a3a"), along), inside)
    body.relief = np.maximum(body.relief, np.where(rod > 0, body.relief * 0.6 + 0.12 + rod, 0))
    body.edge = np.maximum(body.edge, rod)
    return body


def jitter(rng: np.random.Generator, colour: np.ndarray, amount: float = 0.12) -> np.ndarray:
    return np.clip(colour * (1 + amount * rng.uniform(-1, 1, 3)), 0, 1).astype(np.float32)
