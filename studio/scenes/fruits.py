"""Fruits: see ``studio.scenes.bodies`` for what a drawing function gets and returns."""

from __future__ import annotations

import numpy as np

from studio.scenes.bodies import Body, Grid, Point, dome, jitter, linear, round_fruit, with_stalk
from studio.scenes.noise import field, fractal, mix, smooth, step


def apple(x: Grid, y: Grid, rng: np.random.Generator, colour: str) -> Body:
    angle = np.arctan2(x, -y)  # 0 at the stem
    wide = rng.uniform(0.0, 0.05)
    shoulders = -0.16 * np.exp(-((angle / 0.36) ** 2)) - 0.07 * np.exp(
        -(((np.abs(angle) - np.pi) / 0.3) ** 2)
    )
    lobes = 0.012 * np.cos(5 * angle + rng.uniform(0, 6))
    radius = 0.9 + shoulders + wide * np.abs(np.sin(angle)) - 0.05 * step(1.6, 3.1, np.abs(angle)) + lobes
    edge, share = round_fruit(x, y, radius)
    relief = dome(share, 0.8)
    dimple = np.exp(-(x**2 + (y + 0.72) ** 2) / 0.035)
    relief -= 0.3 * dimple
    streaks = smooth(field(rng), angle * 7, np.hypot(x, y + 0.7) * 2)
    patches = fractal(rng, x + 5, y + 5, 1.6, 3)
    if colour == "red":
        main, other = jitter(rng, linear("#b3161f")), jitter(rng, linear("#e0a040"))
        share_of_other = 0.75 * step(0.5, 0.78, patches) * (0.35 + 0.65 * streaks)
    else:
        main, other = jitter(rng, linear("#8fb53a")), jitter(rng, linear("#c9cf6a"))
        share_of_other = step(0.4, 0.75, patches) * (0.5 + 0.5 * streaks)
    skin = mix(main, other, share_of_other) * (0.86 + 0.28 * streaks[..., None])
    dots = step(0.93, 0.97, smooth(field(rng), x * 16, y * 16))
    skin = mix(skin, skin * 0.5 + 0.3, 0.5 * dots)
    skin = mix(skin, linear("#7d6a25"), 0.8 * dimple)
    calyx = np.exp(-(x**2 + (y - 0.83) ** 2) / 0.006)
    skin = mix(skin, linear("#2a1d10"), np.clip(1.3 * calyx, 0, 1))
    body = Body(edge, relief, skin, (0, -0.86), (0, 0.83), gloss=0.55, sharpness=40, thickness=0.8)
    bend = rng.uniform(-0.14, 0.14)
    return with_stalk(body, x, y, (0, -0.66), (bend, -1.0), 0.045)


def orange(x: Grid, y: Grid, rng: np.random.Generator, colour: str) -> Body:
    angle = np.arctan2(x, -y)
    radius = 0.93 + 0.018 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.01 * np.cos(3 * angle)
    edge, share = round_fruit(x, y, radius)
    pores = fractal(rng, x, y, 13, 2)
    at = rng.uniform(-0.25, 0.25)
    button = np.exp(-((x - at) ** 2 + (y + 0.5) ** 2) / 0.012)
    ring = np.exp(-((np.hypot(x - at, y + 0.5) - 0.16) ** 2) / 0.006)
    relief = dome(share, 0.9) + 0.012 * pores - 0.09 * button - 0.02 * ring
    skin = mix(
        jitter(rng, linear("#ee7d0a"), 0.08), linear("#f7a52c"), step(0.35, 0.75, fractal(rng, x, y, 1.3))
    )
    skin = mix(skin * (0.85 + 0.3 * pores[..., None]), linear("#4d6b22"), np.clip(1.4 * button, 0, 1))
    return Body(edge, relief, skin, (at, -0.5), None, gloss=0.3, sharpness=14, thickness=0.9)


def lemon(x: Grid, y: Grid, rng: np.random.Generator, colour: str) -> Body:
    plump = rng.uniform(0.56, 0.66)
    along = np.clip(np.abs(y) / 0.82, 0, 1)
    half = plump * np.sqrt(np.clip(1 - along**2.3, 0, 1))
    nipple = 0.13 * step(1.0, 0.7, y) * step(0.55, 0.75, y) + 0.05 * step(-0.98, -0.8, y) * step(
        -0.6, -0.75, y
    )
    nose = np.clip(0.96 - y, 0, 1) * 0.75
    half = np.maximum(
        half, np.where(y > 0, np.minimum(nipple + 0.02, nose), np.minimum(nipple, np.clip(y + 0.95, 0, 1)))
    )
    half = np.where(np.abs(y) < 0.97, half, -0.1)
    edge = (half - np.abs(x)) * 0.85
    share = np.abs(x) / np.maximum(half, 0.02)
    pores = fractal(rng, x, y, 11, 2)
    relief = half * 0.95 * np.sqrt(np.clip(1 - share**2, 0, 1)) + 0.012 * pores
    skin = mix(
        jitter(rng, linear("#f2cf1d"), 0.06), linear("#f7e15a"), step(0.3, 0.75, fractal(rng, x, y, 1.7))
    )
    skin = mix(skin * (0.88 + 0.24 * pores[..., None]), linear("#b9b32a"), 0.7 * step(0.7, 0.95, np.abs(y)))
    stub = np.exp(-(x**2 + (y + 0.88) ** 2) / 0.006)
    skin = mix(skin, linear("#4a5a1d"), np.clip(1.5 * stub, 0, 1))
    return Body(edge, relief, skin, (0, -0.88), (0, 0.92), gloss=0.35, sharpness=16, thickness=0.6)


def plum(x: Grid, y: Grid, rng: np.random.Generator, colour: str) -> Body:
    angle = np.arctan2(x, -y)
    tall = rng.uniform(0.0, 0.1)
    radius = 0.84 + tall * np.abs(np.cos(angle)) - 0.07 * np.exp(-((angle / 0.3) ** 2))
    edge, share = round_fruit(x, y, radius)
    bend = rng.uniform(-0.35, 0.35)
    groove = np.exp(-((x - bend * (1 - y**2)) ** 2) / 0.0022)
    relief = dome(share, 0.8) - 0.07 * groove
    bloom = step(0.42, 0.8, fractal(rng, x, y, 1.9, 4))
    skin = mix(jitter(rng, linear("#4a1a52")), linear("#8d7fb0"), 0.5 * bloom)
    skin = mix(skin, linear("#7a2440"), 0.5 * step(0.5, 0.7, fractal(rng, x + 9, y, 1.2, 2)))
    skin = skin * (1 - 0.45 * groove[..., None])
    mark = np.exp(-(x**2 + (y - 0.8) ** 2) / 0.004)
    skin = mix(skin, linear("#caa878"), np.clip(mark, 0, 1))
    body = Body(edge, relief, skin, (0, -0.88), (0, 0.8), gloss=0.3, sharpness=18, thickness=0.75)
    return with_stalk(body, x, y, (0, -0.72), (rng.uniform(-0.1, 0.1), -1.05), 0.05, "#6a7a2a")


def pear(x: Grid, y: Grid, rng: np.random.Generator, colour: str) -> Body:
    wide, neck = rng.uniform(0.56, 0.63), rng.uniform(0.27, 0.33)
    low = rng.uniform(0.3, 0.38)
    lean = rng.uniform(-0.12, 0.12) * (y - low) ** 2
    u = x - lean
    belly = wide - np.hypot(u, (y - low) * 1.02)
    head = neck - np.hypot(u, y + 0.5)
    blend = 0.55
    h = np.clip(0.5 + 0.5 * (belly - head) / blend, 0, 1)
    edge = head + (belly - head) * h + blend * h * (1 - h)
    reach = neck + (wide - neck) * step(-0.55, low, y)
    relief = 0.95 * reach * np.sqrt(np.clip(1 - (1 - np.clip(edge / reach, 0, 1)) ** 2, 0, 1))
    freckles = step(0.72, 0.85, smooth(field(rng), x * 13, y * 13)) * 0.5
    patches = step(0.45, 0.75, fractal(rng, x, y, 1.4, 3))
    if colour == "green":
        main, other = jitter(rng, linear("#8aa53c"), 0.08), linear("#a9b755")
    else:
        main, other = jitter(rng, linear("#dcb13c"), 0.08), linear("#e3c765")
    skin = mix(mix(main, other, patches), linear("#7a6228"), freckles)
    skin = mix(skin, linear("#7c5a24"), 0.6 * np.exp(-((x**2 + (y + 0.8) ** 2) / 0.03)))
    bottom = low + wide
    calyx = np.exp(-(x**2 + (y - bottom + 0.06) ** 2) / 0.006)
    skin = mix(skin, linear("#2c2012"), np.clip(1.3 * calyx, 0, 1))
    top = (float(rng.uniform(-0.12, 0.12)), -1.08)
    body = Body(
        edge, relief, skin, (0.5 * top[0], -0.9), (0, bottom - 0.05), gloss=0.3, sharpness=24, thickness=0.6
    )
    return with_stalk(body, x, y, (0, -0.72), top, 0.04)


def banana(x: Grid, y: Grid, rng: np.random.Generator, colour: str) -> Body:
    bow = rng.uniform(1.15, 1.6)  # the radius of its curve
    side = np.hypot(bow, 0.86) - bow * 0.5
    dx, dy = x + side - 0.1, y
    r = np.hypot(dx, dy)
    reach = np.arcsin(0.93 / np.hypot(bow, 0.3))
    t = np.arctan2(dy, dx) / reach  # -1 at the stem, 1 at the tip
    fat = rng.uniform(0.17, 0.21)
    body_width = np.sqrt(np.clip(1 - np.abs(np.clip(t, -0.9, 1) / 1.0) ** 3.2, 0, 1))
    half = fat * np.maximum(
        body_width, 0.34 * step(-1.16, -1.06, t) * (t < 0) + 0.24 * (t > 0) * step(1.05, 0.98, t)
    )
    half = np.where((t > -1.16) & (t < 1.05), half, -0.1)
    offset = (r - bow) / np.maximum(half, 0.02)
    edge = (half - np.abs(r - bow)) * 0.95
    ridge = 0.18 * (1 - np.abs(offset + 0.2)) + 0.12 * np.cos(offset * 4.5)
    relief = np.clip(half, 0, 1) * (0.75 * np.sqrt(np.clip(1 - offset**2, 0, 1)) + ridge)
    skin = jitter(rng, linear("#e9bd1e" if colour == "yellow" else "#7fa031"), 0.06)
    skin = mix(skin, skin * 0.74, step(0.1, 0.02, np.abs(offset - 0.3)) * 0.5)
    ends = step(0.72, 1.0, np.abs(t))
    skin = mix(skin, linear("#93a53a" if colour == "yellow" else "#6d8a2c"), 0.6 * ends)
    spots = step(0.78, 0.86, smooth(field(rng), x * 9, y * 9)) * float(
        rng.uniform(0, 1) if colour == "yellow" else 0.0
    )
    skin = mix(skin, linear("#5a3a12"), 0.75 * spots)
    skin = mix(skin, linear("#2a1c0c"), step(0.96, 1.0, t))
    skin = mix(skin, linear("#6b5324"), step(-1.08, -1.15, t))

    def place(at: float) -> Point:
        return float(bow * np.cos(at * reach) - side + 0.1), float(bow * np.sin(at * reach))

    return Body(edge, relief, skin, place(-1.1), place(1.0), gloss=0.22, sharpness=14, thickness=0.35)
