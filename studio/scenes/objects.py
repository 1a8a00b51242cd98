"""Mugs, spoons, leaves and feathers: see ``studio.scenes.bodies`` for what a drawing function returns."""

from __future__ import annotations

import numpy as np

from studio.scenes.bodies import Body, Grid, capsule, jitter, linear
from studio.scenes.noise import field, fractal, mix, smooth, step


def mug(x: Grid, y: Grid, rng: np.random.Generator, colour: str) -> Body:
    x, y = x, y - 0.18
    r = np.hypot(x, y)
    outer, wall = 0.74, rng.uniform(0.075, 0.1)
    paint = {"white": "#e8e4da", "blue": "#24509a", "red": "#a82424"}[colour]
    glaze = jitter(rng, linear(paint), 0.06)
    handle, along = capsule(x, y, (0, -0.6), (0, -1.02), 0.12)
    edge = np.maximum(outer - r, handle)
    rim = np.clip(1 - np.abs(r - (outer - wall / 2)) / (wall / 2), 0, 1)
    relief = 0.55 + 0.09 * np.sqrt(rim)
    relief = np.where(r > outer, 0.3 + np.sqrt(np.clip(handle, 0, 1) * 0.24), relief)
    skin = np.broadcast_to(glaze, (*x.shape, 3)).astype(np.float32)
    inside = step(outer - wall + 0.01, outer - wall - 0.01, r)
    depth = rng.uniform(0.08, 0.2)
    inner = linear("#d8d2c6") if rng.random() < 0.6 else glaze
    skin = mix(skin, inner * 0.55, inside)
    drinks = ("#3a1d0c", "#9a6236", "#8d3a12", "#3f6a2a", "#e5dccb")
    drink = linear(drinks[int(rng.integers(len(drinks)))])
    level = outer - wall - depth * 0.5
    surface = step(level + 0.012, level - 0.012, r)
    froth = fractal(rng, x, y, 5, 3)
    skin = mix(skin, drink * (0.8 + 0.4 * froth[..., None]), surface)
    skin = mix(skin, drink * 1.6 + 0.03, surface * step(level - 0.08, level - 0.01, r) * 0.6)
    relief = np.where(r < level, 0.5, np.where(r < outer - wall, 0.5 + (r - level) * 0.8, relief))
    return Body(edge, relief, skin, (0, -0.9), None, gloss=0.5, sharpness=45, thickness=0.9)


def spoon(x: Grid, y: Grid, rng: np.random.Generator, colour: str) -> Body:
    wide, tall = rng.uniform(0.2, 0.23), rng.uniform(0.29, 0.33)
    low = 1 - tall
    q = np.hypot(x / wide, (y - low) / tall)
    bowl = (1 - q) * wide
    thin = 0.048 + 0.03 * step(0.1, -0.9, y)
    rod, _ = capsule(x, y, (0, low - 0.2), (0, -0.92), thin)
    blend = 0.07
    h = np.clip(0.5 + 0.5 * (bowl - rod) / blend, 0, 1)
    edge = rod + (bowl - rod) * h + blend * h * (1 - h)
    hollow = np.sqrt(np.clip(1 - (q / 0.9) ** 2, 0, 1))
    relief = 0.06 * np.sqrt(np.clip(edge / 0.05, 0, 1)) - 0.1 * hollow * (q < 0.9)
    if colour == "silver":
        tone = rng.uniform(0.5, 0.62)
        skin = np.broadcast_to(np.float32((tone, tone, tone * 1.03)), (*x.shape, 3)).astype(np.float32)
        return Body(edge, relief, skin, (0, -0.97), (0, 0.98), 0.9, 60, 0.1, metal=True)
    grain = smooth(field(rng), x * 26, y * 1.2)
    skin = mix(jitter(rng, linear("#a9713a")), linear("#7b4a22"), grain * 0.8)
    return Body(edge, relief, skin, (0, -0.97), (0, 0.98), 0.08, 10, 0.12)


def leaf(x: Grid, y: Grid, rng: np.random.Generator, colour: str) -> Body:
    bend = rng.uniform(-0.22, 0.22)
    u = x - bend * (y**2 - 0.3)
    t = np.clip((y + 0.72) / 1.7, 0, 1)
    wide = rng.uniform(0.36, 0.5)
    teeth = rng.choice([0.0, 0.018, 0.03])
    half = wide * np.clip(np.sin(np.pi * t**0.8), 0, 1) ** 0.85 * (1 - 0.25 * t)
    half = half + teeth * np.abs(np.mod(t * 22, 1) - 0.5) * (half > 0.05)
    blade = np.where(
        (y > -0.72) & (y < 0.98),
        half - np.abs(u),
        -np.hypot(u, np.minimum(np.abs(y + 0.72), np.abs(y - 0.98))),
    )
    blade = blade * 0.8
    stalk, _ = capsule(u, y, (0, -0.7), (0, -1.0), 0.032)
    edge = np.maximum(blade, stalk)
    slant = np.abs(np.mod((y - 0.75 * np.abs(u)) * 7.5 + 0.5, 1) - 0.5)
    veins = step(0.1, 0.02, slant) * step(0.0, 0.05, blade)
    middle = step(0.035, 0.012, np.abs(u))
    curl = rng.uniform(-0.25, 0.35)
    relief = 0.1 + curl * u**2 - 0.025 * veins - 0.05 * middle + 0.03 * np.cos(slant * 6.28)
    mottle = fractal(rng, x, y, 2.4, 4)
    if colour == "green":
        main, other, line = jitter(rng, linear("#3f7a2b")), linear("#679a3a"), linear("#a5c06a")
    else:
        main, other, line = jitter(rng, linear("#a8301c")), linear("#d0701e"), linear("#d9a25a")
    skin = mix(main, other, step(0.35, 0.75, mottle))
    skin = mix(skin, line, np.clip(0.35 * veins + 0.8 * middle, 0, 1))
    skin = mix(skin, line * 0.7, step(0.0, 0.02, stalk) * (blade < 0))
    return Body(edge, relief, skin, (bend * 0.6, -0.92), (bend * 0.6, 0.94), 0.12, 14, 0.08)


def feather(x: Grid, y: Grid, rng: np.random.Generator, colour: str) -> Body:
    bend = rng.uniform(-0.2, 0.2)
    u = x - bend * (y**2 - 0.3)
    t = np.clip((y + 0.72) / 1.7, 0, 1)  # 0 where the vane begins, 1 at the tip
    wide = rng.uniform(0.2, 0.27)
    left_share = rng.uniform(0.55, 0.9)
    down = step(0.3, 0.02, t)  # the loose barbs near the quill
    outline = np.clip(np.sin(np.pi * np.clip(0.06 + 0.94 * t, 0, 1) ** 0.7), 0, 1) ** 0.6
    reach = wide * np.where(u < 0, left_share, 1.0) * outline * (1 + 0.35 * down)
    across = np.abs(u)
    wave = 0.04 * smooth(field(rng), u * 5, y * 5) + 0.16 * down * smooth(field(rng), u * 9 + 7, y * 7)
    along = (y - (1.1 + 0.5 * (1 - t)) * across + wave) * 58
    number = np.floor(along) + np.where(u < 0, 500, 0)
    part = np.abs(along - np.floor(along) - 0.5) * 2  # 0 in the middle of a barb, 1 between two
    lengths = rng.random(1024).astype(np.float32)[np.mod(number, 1024).astype(int)]
    clefts = rng.random(1024).astype(np.float32)[np.mod(np.floor(number / 4), 1024).astype(int)]
    place = across / np.maximum(reach * (1 - (0.12 + 0.3 * down) * lengths**2), 1e-3)
    opening = step(np.where(clefts > 0.88, 0.3, 0.62), 1.0, place) * 0.95
    opening = np.maximum(opening, down * (0.55 + 0.45 * step(0.1, 0.6, place)))
    strand = np.clip((1.0 - part) / (0.55 - 0.2 * down), 0, 1)
    vane = 1 - np.clip(opening, 0, 1) * (1 - strand * (1 - 0.35 * down))
    vane = vane * step(1.0, 0.8, place) * (y > -0.76) * (y < 0.985)
    width = 0.026 * (1 - 0.75 * t) + 0.004
    quill, _ = capsule(u, y, (0, -0.98), (0, 0.93), width)
    shaft = step(-0.008, 0.008, quill)
    cover = np.maximum(vane, shaft)
    edge = np.where((y > -0.76) & (y < 0.98), reach - across, -1.0)
    relief = (
        0.06 + 0.05 * np.sqrt(np.clip(1 - (across / np.maximum(reach, 0.02)) ** 2, 0, 1)) + 0.012 * (1 - part)
    )
    relief = relief + 0.04 * shaft
    if colour == "white":
        main, other = linear("#e9e5dc"), linear("#cfc9bd")
        bars = 0.5 * fractal(rng, u * 3, y, 3)
    else:
        main, other = jitter(rng, linear("#8a5a34")), linear("#3c2615")
        bars = step(-0.2, 0.5, np.sin(y * 17 + 5 * across + 2 * fractal(rng, u, y, 3))) * (1 - 0.6 * down)
    skin = mix(main, other, bars) * (0.86 + 0.2 * (1 - part[..., None]))
    skin = mix(skin, linear("#d8c9a4"), shaft * 0.8)
    return Body(edge, relief, skin, (bend * 0.66, -0.96), (bend * 0.66, 0.96), 0.05, 8, 0.06, cover=cover)
