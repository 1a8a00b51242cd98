"""What the things lie on: from plain paper to a busy pattern. Colours are coded for display, 0 to 1."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from studio.scenes.noise import field, fractal, mix, smooth, step

Grid = np.ndarray


def _rgb(text: str) -> np.ndarray:
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255


def _pick(rng: np.random.Generator, *colours: str) -> np.ndarray:
    chosen = _rgb(colours[int(rng.integers(len(colours)))])
    return np.clip(chosen * (1 + 0.06 * rng.uniform(-1, 1, 3)), 0, 1).astype(np.float32)


def paper(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    base = _pick(rng, "#d9d2c4", "#b8c4c9", "#c9b8a8", "#a9b8a2", "#d4b7a8", "#8fa0ad", "#e0dccf", "#6c7a86")
    grain = fractal(rng, x, y, 40, 2)
    return base * (0.97 + 0.06 * grain[..., None])


def wood(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    if rng.random() < 0.5:
        x, y = y, x
    planks = rng.uniform(3, 6)
    place = x * planks + rng.random()
    number, part = np.floor(place), np.mod(place, 1)
    tones = rng.uniform(0.82, 1.12, 64).astype(np.float32)
    shifts = rng.uniform(0, 40, 64).astype(np.float32)
    at = np.mod(number, 64).astype(int)
    warp = fractal(rng, x * 2, y * 0.6 + shifts[at], 2, 3)
    rings = 0.5 + 0.5 * np.sin((x * 16 + warp * 7 + shifts[at]) * 3)
    fibres = smooth(field(rng), x * 150, y * 4 + shifts[at])
    light, dark = [
        ("#c89d6c", "#8d5f35"),
        ("#8a5a36", "#4f2f1a"),
        ("#d8c3a2", "#a98c66"),
        ("#6d6258", "#433b35"),
    ][int(rng.integers(4))]
    wood_colour = mix(_rgb(light), _rgb(dark), np.clip(0.45 * rings + 0.4 * fibres, 0, 1))
    seam = step(0.02, 0.0, np.minimum(part, 1 - part) / planks * 4)
    return wood_colour * tones[at][..., None] * (1 - 0.55 * seam[..., None])


def linen(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    base = _pick(rng, "#cfc4ae", "#b7b4ab", "#8c9aa6", "#c2a58c", "#dad5ca")
    threads = rng.uniform(95, 130)
    weave = np.sin(x * threads * 6.28) * np.sin(y * threads * 6.28)
    slubs = smooth(field(rng), x * 12, y * 150) + smooth(field(rng), x * 150, y * 12)
    folds = fractal(rng, x + y * 0.4, y * 0.3, 2.2, 2)
    shade = 0.84 + 0.05 * weave + 0.1 * (slubs - 1) + 0.34 * (folds - 0.5)
    return np.clip(base * (shade + 0.12)[..., None], 0, 1)


def marble(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    warp = fractal(rng, x, y, 2.2, 5)
    veins = np.abs(np.sin((x * 1.3 + y * rng.uniform(-1, 1) + warp * 2.6) * 5))
    lines = step(0.16, 0.0, veins) * fractal(rng, x + 3, y, 3, 3)
    base, line = [("#e6e3de", "#8a8a8e"), ("#d9cfc2", "#9a7b5c"), ("#3f4446", "#b9b4a8")][
        int(rng.integers(3))
    ]
    clouds = fractal(rng, x, y, 1.6, 4)
    return mix(_rgb(base) * (0.9 + 0.18 * clouds[..., None]), _rgb(line), np.clip(lines * 1.1, 0, 1))


def slate(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    base = _pick(rng, "#3c4247", "#4a4540", "#2f3338")
    rough = fractal(rng, x, y, 5, 5)
    layers = fractal(rng, x * 0.6, y * 3, 6, 3)
    return np.clip(base * (0.72 + 0.4 * rough + 0.2 * layers)[..., None], 0, 1)


def checked_cloth(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    turn = rng.uniform(-0.5, 0.5)
    u, v = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    count = rng.uniform(6, 11)
    ink = _pick(rng, "#a33a3a", "#3d5f8f", "#5b7d4a", "#7b7f86")
    folds = fractal(rng, x, y, 1.7, 2)
    u, v = u + 0.02 * folds, v + 0.02 * folds
    stripes = step(-0.08, 0.08, np.sin(u * count * 3.14)) + step(-0.08, 0.08, np.sin(v * count * 3.14))
    cloth = mix(_rgb("#e9e4d9"), ink, stripes * 0.42)
    thread = 0.03 * np.sin(u * 700) * np.sin(v * 700)
    return np.clip(cloth * (0.86 + 0.24 * folds + thread)[..., None], 0, 1)


def terrazzo(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Chips of stone: the nearest of many points in a jittered grid of cells."""
    cells = rng.uniform(9, 16)
    colours = np.stack([_rgb(c) for c in ("#d8d2c6", "#b58e72", "#76808a", "#5d6b5a", "#c9b9a4", "#94483a")])
    base = _pick(rng, "#d6d0c5", "#8d9298", "#c4b7a6")
    gx, gy = x * cells + 50, y * cells + 50
    ix, iy = np.floor(gx), np.floor(gy)
    jitter = rng.random((128, 128, 3)).astype(np.float32)
    best = np.full(x.shape, 9.0, np.float32)
    chip = np.zeros(x.shape, int)
    for oy in (-1, 0, 1):
        for ox in (-1, 0, 1):
            cx, cy = ix + ox, iy + oy
            j = jitter[np.mod(cy, 128).astype(int), np.mod(cx, 128).astype(int)]
            distance = np.abs(gx - cx - j[..., 0]) * 0.9 + np.abs(gy - cy - j[..., 1]) + 0.35 * j[..., 2]
            nearer = distance < best
            best = np.where(nearer, distance, best)
            chip = np.where(nearer, (j[..., 2] * 97).astype(int) % len(colours), chip)
    inside = step(0.5, 0.44, best)
    return mix(np.broadcast_to(base, (*x.shape, 3)), colours[chip], inside) * (
        0.95 + 0.1 * fractal(rng, x, y, 20, 2)[..., None]
    )


def patterned_paper(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Printed shapes in many colours, drawn at a fixed size and scaled: the busiest of all."""
    height, width = x.shape
    side = 512
    sheet = np.empty((side, int(side * 1.6), 3), np.float32)
    sheet[:] = _pick(rng, "#d8cbb2", "#30445c", "#c7cfc4", "#5a3344")
    inks = [_pick(rng, "#b5533c", "#d9a441", "#4f7d6a", "#2f4a6b", "#d7d2c4", "#8a5b7a") for _ in range(5)]
    for _ in range(int(rng.integers(90, 200))):
        at = (int(rng.integers(sheet.shape[1])), int(rng.integers(side)))
        ink = tuple(float(v) for v in inks[int(rng.integers(5))])
        size, turn, kind = float(rng.uniform(8, 34)), float(rng.uniform(0, 360)), int(rng.integers(4))
        if kind == 0:
            cv2.circle(sheet, at, int(size), ink, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.ellipse(sheet, at, (int(size), int(size * 0.4)), turn, 0, 360, ink, -1, cv2.LINE_AA)
        elif kind == 2:
            corners = cv2.boxPoints((at, (size * 1.5, size * 0.8), turn)).astype(np.int32)
            cv2.fillPoly(sheet, [corners], ink, cv2.LINE_AA)
        else:
            cv2.ellipse(sheet, at, (int(size), int(size)), turn, 0, 210, ink, 4, cv2.LINE_AA)
    scale = side / min(height, width)
    needed = sheet[: int(np.ceil(height * scale)), : int(np.ceil(width * scale))]
    printed = cv2.resize(needed, (width, height), interpolation=cv2.INTER_AREA)
    return np.clip(printed * (0.96 + 0.08 * fractal(rng, x, y, 30, 2)[..., None]), 0, 1)


# Each with the words that a caption uses for it.
GROUNDS: dict[str, tuple[Callable[[Grid, Grid, np.random.Generator], Grid], str]] = {
    "paper": (paper, "on paper"),
    "wood": (wood, "on a wooden table"),
    "linen": (linen, "on linen"),
    "marble": (marble, "on marble"),
    "slate": (slate, "on slate"),
    "checked cloth": (checked_cloth, "on a checked cloth"),
    "terrazzo": (terrazzo, "on terrazzo"),
    "patterned paper": (patterned_paper, "on patterned paper"),
}
