"""How light falls on a thing, what shadow it throws, and what a camera makes of it all."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from studio.scenes.bodies import Body
from studio.scenes.noise import fractal


@dataclass(frozen=True)
class Light:
    """``direction`` points towards the light (x, y, z), of length 1. Colours are factors of red, green, blue."""

    direction: tuple[float, float, float]
    colour: tuple[float, float, float]
    ambient: float
    softness: float


@dataclass(frozen=True)
class Style:
    """How a picture is taken: ranges to draw from."""

    warmth: tuple[float, float] = (-0.05, 0.07)
    ambient: tuple[float, float] = (0.34, 0.5)
    height: tuple[float, float] = (0.55, 0.85)  # of the light over the table; low makes long shadows
    exposure: tuple[float, float] = (0.9, 1.1)
    noise: tuple[float, float] = (0.4, 2.6)  # in steps of 255
    saturation: tuple[float, float] = (0.92, 1.08)


STYLES: dict[str, Style] = {
    "daylight": Style(),
    "evening": Style(
        warmth=(0.22, 0.4),
        ambient=(0.16, 0.28),
        height=(0.3, 0.45),
        exposure=(0.68, 0.86),
        noise=(4.0, 9.0),
        saturation=(0.7, 0.85),
    ),
}


def draw_light(rng: np.random.Generator, style: Style) -> Light:
    around = rng.uniform(-2.6, -0.5)  # from above the picture, as people expect
    up = rng.uniform(*style.height)
    flat = np.sqrt(1 - up**2)
    warm = rng.uniform(*style.warmth)
    return Light(
        (float(flat * np.cos(around)), float(flat * np.sin(around)), float(up)),
        (1 + float(warm), 1.0, 1 - float(warm)),
        float(rng.uniform(*style.ambient)),
        float(rng.uniform(0.5, 1.4)),
    )


def shade(body: Body, light: Light, scale: float) -> np.ndarray:
    """Return the thing as it is seen, coded for display, 0 to 1, of shape (h, w, 3).

    ``scale`` is its half-length in pixels.
    """
    relief = cv2.GaussianBlur((body.relief * scale).astype(np.float32), (0, 0), max(0.6, scale * 0.006))
    down, across = np.gradient(relief)
    length = np.sqrt(across**2 + down**2 + 1)
    nx, ny, nz = -across / length, -down / length, 1 / length
    lx, ly, lz = light.direction
    facing = nx * lx + ny * ly + nz * lz
    diffuse = np.clip((facing + 0.12) / 1.12, 0, None)
    sky = 0.55 + 0.45 * nz
    hx, hy, hz = lx, ly, lz + 1
    norm = np.sqrt(hx**2 + hy**2 + hz**2)
    highlight = np.clip((nx * hx + ny * hy + nz * hz) / norm, 0, 1) ** body.sharpness
    strength = (1 - light.ambient) * 1.15
    colour = np.asarray(light.colour, np.float32)
    if body.metal:  # it mirrors a dark room with one bright window
        mirror = 0.5 + 0.5 * np.sin(3.1 * (nx * lx + ny * ly) * 2.2 + 1.3 * nx + 0.6)
        lit = body.colour * (0.3 + 0.95 * mirror[..., None] ** 1.5) + 0.9 * highlight[..., None]
        lit = lit * colour
    else:
        lit = body.colour * (light.ambient * sky + strength * diffuse)[..., None] * colour
        lit = lit + (0.55 * body.gloss * highlight)[..., None] * colour
        glancing = (1 - nz) ** 3
        lit = lit + (0.05 * body.gloss * glancing)[..., None]
    return np.clip(lit, 0, 1) ** np.float32(1 / 2.2)


def shadow(cover: np.ndarray, light: Light, scale: float, thickness: float) -> np.ndarray:
    """Return how dark it gets around a thing, 0 to 1, of the shape of ``cover``."""
    lx, ly, lz = light.direction
    reach = scale * thickness * 0.55 / max(lz, 0.25)
    moved = np.zeros_like(cover)
    for share in (0.35, 0.7, 1.0):
        shift = np.float32([[1, 0, -lx * reach * share], [0, 1, -ly * reach * share]])
        moved += cv2.warpAffine(cover, shift, cover.shape[::-1])
    cast = cv2.GaussianBlur(moved / 3, (0, 0), max(0.8, scale * 0.07 * light.softness * (0.3 + thickness)))
    contact = cv2.GaussianBlur(cover, (0, 0), max(0.8, scale * 0.045))
    return np.clip(0.62 * (1 - light.ambient) * cast + 0.42 * contact * min(1.0, 0.35 + thickness), 0, 0.85)


def falloff(x: np.ndarray, y: np.ndarray, light: Light, rng: np.random.Generator) -> np.ndarray:
    """Return how the light dies away over the picture, a factor of shape (h, w)."""
    lx, ly, _ = light.direction
    slope = rng.uniform(0.04, 0.22)
    middle_x, middle_y = float(x.max()) / 2, float(y.max()) / 2
    toward = (x - middle_x) * lx + (y - middle_y) * ly
    round_the_middle = (x - middle_x) ** 2 + (y - middle_y) ** 2
    dapple = 0.1 * rng.random() * (fractal(rng, x, y, 1.2, 2) - 0.5)
    return (1 + slope * toward - 0.16 * round_the_middle + dapple).astype(np.float32)


def photograph(picture: np.ndarray, light: Light, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Return what a camera records of it, uint8: colour cast, exposure, saturation and noise."""
    grey = picture.mean(axis=2, keepdims=True)
    saturated = grey + (picture - grey) * np.float32(rng.uniform(*style.saturation))
    exposed = (
        saturated * np.float32(rng.uniform(*style.exposure)) * np.asarray(light.colour, np.float32) ** 0.4
    )
    level = float(rng.uniform(*style.noise)) / 255
    height, width = picture.shape[:2]
    grain = rng.standard_normal((height, width, 1), dtype=np.float32)
    colour_grain = rng.standard_normal((height, width, 3), dtype=np.float32)
    noise = level * (0.7 * grain + 0.5 * colour_grain) * np.sqrt(0.25 + 0.75 * np.clip(exposed, 0, 1))
    return (np.clip(exposed + noise, 0, 1) * 255 + 0.5).astype(np.uint8)
