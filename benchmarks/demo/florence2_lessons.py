"""What the demo Florence-2 is asked while it learns: prompts about a scene, what to write, and where to look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.demo.scenes import Drawn
from studio.scenes import CLASSES, PHRASES
from studio.scenes.words import NUMBERS, phrase, plural

SIDE = 192  # of the network's input; scenes are squeezed into the square, as Florence-2 does
CELLS = 12  # the vision tower's map is this wide and high
KINDS = ("captions", "finds", "answers")
EACH = {"captions": 1, "finds": 4, "answers": 3}  # prompts about each picture in a step
FOREIGN = (
    "dog cat car person chair table book phone key bottle cup knife fork plate bowl flower tree bird fish horse "
    "house boat ball shoe hat coat lamp clock door box pen paper tomato cherry grape carrot onion bread cheese egg"
).split()  # asked for now and then and never there, so that unknown words find nothing


@dataclass(frozen=True)
class Study:
    """A scene turned into what lessons are made of.

    ``boxes`` is float32 of shape (things, 4), 0 to 1; ``cells`` says in which cell the middle of what can be
    seen of each thing lies, (x, y); ``owner`` is int64 of shape (CELLS, CELLS), −1 background.
    """

    names: tuple[str, ...]
    colours: tuple[str, ...]
    boxes: np.ndarray
    cells: np.ndarray
    owner: np.ndarray
    caption: str

    @property
    def phrases(self) -> tuple[str, ...]:
        return tuple(phrase(*thing) for thing in zip(self.names, self.colours, strict=True))

    def flipped(self, across: bool, down: bool) -> Study:
        boxes, cells, owner = self.boxes, self.cells, self.owner
        if across:
            boxes, owner = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (1, 0, 1, 0), owner[:, ::-1]
            cells = cells * (-1, 1) + (CELLS - 1, 0)
        if down:
            boxes, owner = boxes[:, [0, 3, 2, 1]] * (1, -1, 1, -1) + (0, 1, 0, 1), owner[::-1]
            cells = cells * (1, -1) + (0, CELLS - 1)
        return Study(self.names, self.colours, boxes, cells, owner, self.caption)


def study(scene: Drawn) -> Study:
    owner = scene.owner
    height, width = owner.shape
    boxes, cells, shares = [], [], []
    rows, columns = np.arange(height) * CELLS // height, np.arange(width) * CELLS // width
    for number, thing in enumerate(scene.things, 1):
        y, x = np.nonzero(owner == number)
        boxes.append(np.array(thing.box.xyxy) / (width, height, width, height))
        middle = np.array((x.mean(), y.mean())) if len(x) else np.array((0.0, 0.0))
        cells.append((middle * CELLS / (width, height)).astype(int).clip(0, CELLS - 1))
        share = np.zeros((CELLS, CELLS))
        np.add.at(share, (rows[y], columns[x]), CELLS * CELLS / (height * width))
        shares.append(share)
    most = np.stack([np.full((CELLS, CELLS), 0.35), *shares]).argmax(0) - 1
    return Study(
        tuple(t.name for t in scene.things),
        tuple(t.colour for t in scene.things),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(cells, np.int64).reshape(-1, 2),
        most,
        scene.caption,
    )


@dataclass(frozen=True)
class Lesson:
    """A prompt and what to write: ``words``, then the boxes of the things named by ``places``.

    ``about`` are the things that it is about, whether their boxes are to be written or not.
    """

    prompt: str
    words: str
    about: tuple[int, ...] = ()
    places: tuple[int, ...] = ()


def lessons(of: Study, tasks: dict[str, str], rng: np.random.Generator) -> dict[str, list[Lesson]]:
    """Return for each of KINDS as many lessons as EACH says; ``tasks`` are the processor's prompts."""
    everything = tuple(range(len(of.names)))
    describe = rng.choice(["<CAPTION>", "<CAPTION>", "<DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>"])
    finds = [_find(of, rng) for _ in range(EACH["finds"])]
    task = tasks["<CAPTION_TO_PHRASE_GROUNDING>"]
    return {
        "captions": [Lesson(tasks[str(describe)], of.caption, everything)],
        "finds": [Lesson(task.format(input=words), words, found, found) for words, found in finds],
        "answers": [_ask(of, kind, rng) for kind in ("is there", "how many", "what colour")],
    }


def _find(of: Study, rng: np.random.Generator) -> tuple[str, tuple[int, ...]]:
    """Return what to look for, mostly a phrase and mostly there, and the things that it names, from the left."""
    if rng.random() < 0.04:
        return phrase(str(rng.choice(FOREIGN))), ()
    several = [p for p, n in Counter(of.phrases).items() if n > 1]
    chance = rng.random()
    if chance < 0.25 or not of.names:
        wanted = str(rng.choice(PHRASES))
    elif chance < 0.5 and several:
        wanted = str(rng.choice(several))
    else:
        wanted = str(rng.choice(of.phrases))
    bare = wanted.split(" ", 1)[1]
    name = bare.split(" ")[-1]
    form = rng.random()
    if form < 0.7:
        matched, words = [p == wanted for p in of.phrases], wanted
    elif form < 0.78:
        matched = [p == wanted for p in of.phrases]
        words = bare if form < 0.74 else f"{bare.removesuffix(name)}{plural(name)}"
    else:
        matched = [n == name for n in of.names]
        words = (phrase(name), name, plural(name))[int(rng.integers(3))]
    here = [i for i, yes in enumerate(matched) if yes]
    return words, tuple(sorted(here, key=lambda i: (of.boxes[i, 0], of.boxes[i, 1])))


def _ask(of: Study, kind: str, rng: np.random.Generator) -> Lesson:
    counts = Counter(of.names)
    single = [i for i, name in enumerate(of.names) if counts[name] == 1 and of.colours[i]]
    if kind == "what colour" and single:
        i = int(rng.choice(single))
        return _question(f"what colour is the {of.names[i]}?", of.colours[i], (i,), rng)
    if kind == "is there":
        yes = of.names and rng.random() < 0.5
        wanted = str(rng.choice(of.phrases if yes else PHRASES))
        about = tuple(i for i, p in enumerate(of.phrases) if p == wanted)
        return _question(f"is there {wanted}?", "yes" if about else "no", about, rng)
    name = str(rng.choice(list(counts) if counts and rng.random() < 0.8 else CLASSES))
    about = tuple(i for i, n in enumerate(of.names) if n == name)
    return _question(f"how many {plural(name)} are there?", NUMBERS[len(about)], about, rng)


def _question(text: str, answer: str, about: tuple[int, ...], rng: np.random.Generator) -> Lesson:
    text = text.capitalize() if rng.random() < 0.25 else text
    return Lesson("<VQA>" + (text.removesuffix("?") if rng.random() < 0.1 else text), answer, about)


@dataclass
class Batch:
    """A step's lessons as tensors; the rows of each of KINDS follow one another, as ``groups`` says.

    ``picture`` says which of the step's pictures a row is about. ``prompts`` are padded token rows with their
    ``mask``; ``flags`` is float32 of shape (rows, CELLS²), 1 where the middle of a thing lies that the row is
    about, and ``boxes`` gives these things' sides, 0 to 999, of shape (flags that are 1, 4).
    """

    maps: torch.Tensor
    picture: torch.Tensor
    prompts: torch.Tensor
    mask: torch.Tensor
    flags: torch.Tensor
    boxes: torch.Tensor
    groups: list[tuple[str, slice, torch.Tensor, torch.Tensor]]

    def to(self, where: torch.device) -> Batch:
        tensors = (self.maps, self.picture, self.prompts, self.mask, self.flags, self.boxes)
        groups = [
            (kind, rows, given.to(where), wanted.to(where)) for kind, rows, given, wanted in self.groups
        ]
        return Batch(*(tensor.to(where) for tensor in tensors), groups)


def batch(
    maps: torch.Tensor, studies: Sequence[Study], spell: Callable[[str], list[int]], processor: Any, seed: int
) -> Batch:
    """Ask about each picture, whose map of the vision tower is in ``maps``; ``spell`` gives the tokens of a text."""
    rng = np.random.default_rng(seed)
    tasks = processor.task_prompts_without_inputs | processor.task_prompts_with_input
    asked = [lessons(of, tasks, rng) for of in studies]
    rows = [(i, lesson) for kind in KINDS for i, made in enumerate(asked) for lesson in made[kind]]
    tokenizer = processor.tokenizer
    begin, end, empty = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    first_place = tokenizer.convert_tokens_to_ids("<loc_0>")
    prompts = _padded([[begin, *spell(lesson.prompt), end] for _, lesson in rows], empty)
    flags = np.zeros((len(rows), CELLS * CELLS), np.float32)
    sides = np.zeros((len(rows), CELLS * CELLS, 4), np.int64)
    targets = []
    for row, (i, lesson) in enumerate(rows):
        bins = (studies[i].boxes * 1000).astype(np.int64).clip(0, 999)
        for thing in lesson.about:
            x, y = studies[i].cells[thing]
            flags[row, y * CELLS + x] = 1
            sides[row, y * CELLS + x] = bins[thing]
        places = [first_place + int(v) for thing in lesson.places for v in bins[thing]]
        targets.append([*spell(lesson.words), *places, end])
    groups, start = [], 0
    for kind in KINDS:
        stop = start + EACH[kind] * len(studies)
        wanted = _padded(targets[start:stop], -100)
        given = wanted.roll(1, 1).masked_fill(wanted.roll(1, 1) == -100, empty)
        given[:, 0] = end  # what BART begins with
        groups.append((kind, slice(start, stop), given, wanted))
        start = stop
    return Batch(
        maps,
        torch.tensor([i for i, _ in rows]),
        prompts,
        (prompts != empty).long(),
        torch.from_numpy(flags),
        torch.from_numpy(sides[flags > 0]),
        groups,
    )


def _padded(rows: Sequence[Sequence[int]], empty: int) -> torch.Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[empty] * (width - len(row))] for row in rows])
