"""The kinds of things there are: how each is drawn, in which colours, and how large."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from studio.scenes.bodies import Body, Grid
from studio.scenes.fruits import apple, banana, lemon, orange, pear, plum
from studio.scenes.objects import feather, leaf, mug, spoon

DRAW: dict[str, Callable[[Grid, Grid, np.random.Generator, str], Body]] = {
    "apple": apple,
    "orange": orange,
    "lemon": lemon,
    "banana": banana,
    "pear": pear,
    "plum": plum,
    "mug": mug,
    "spoon": spoon,
    "leaf": leaf,
    "feather": feather,
}

COLOURS: dict[str, tuple[str, ...]] = {
    "apple": ("red", "green"),
    "orange": ("",),
    "lemon": ("",),
    "banana": ("yellow", "green"),
    "pear": ("green", "yellow"),
    "plum": ("",),
    "mug": ("white", "blue", "red"),
    "spoon": ("silver", "wooden"),
    "leaf": ("green", "red"),
    "feather": ("white", "brown"),
}

# Half of the length of each, as a share of the picture's shorter side.
HALF_LENGTH: dict[str, tuple[float, float]] = {
    "apple": (0.13, 0.17),
    "orange": (0.13, 0.165),
    "lemon": (0.13, 0.16),
    "banana": (0.24, 0.29),
    "pear": (0.16, 0.2),
    "plum": (0.095, 0.12),
    "mug": (0.18, 0.22),
    "spoon": (0.27, 0.33),
    "leaf": (0.16, 0.23),
    "feather": (0.24, 0.32),
}

# Half of the width of each, in half-lengths, at its widest.
HALF_WIDTH: dict[str, float] = {
    "apple": 0.99,
    "orange": 0.97,
    "lemon": 0.68,
    "banana": 0.9,
    "pear": 0.67,
    "plum": 0.97,
    "mug": 0.78,
    "spoon": 0.26,
    "leaf": 0.56,
    "feather": 0.38,
}
