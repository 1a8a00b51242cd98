"""What can truthfully be said of a scene: phrases, a caption, and questions with their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio.scenes.kinds import COLOURS

CLASSES: tuple[str, ...] = tuple(COLOURS)
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PLURALS = {"leaf": "leaves"}


@dataclass(frozen=True)
class Question:
    text: str
    answer: str


def phrase(name: str, colour: str = "") -> str:
    """Return what one such thing is called, as in “an orange” or “a red apple”."""
    words = f"{colour} {name}".strip()
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def plural(name: str) -> str:
    return PLURALS.get(name, f"{name}s")


PHRASES: tuple[str, ...] = tuple(
    phrase(name, colour) for name, colours in COLOURS.items() for colour in colours
)


def caption(things: Sequence[tuple[str, str]], place: str) -> str:
    """Return a sentence that counts all things, given as (name, colour), most of them first."""
    parts = []
    for (name, colour), count in sorted(Counter(things).items(), key=lambda item: (-item[1], item[0])):
        words = f"{colour} {plural(name) if count > 1 else name}".strip()
        parts.append(f"{NUMBERS[count]} {words}" if count > 1 else phrase(name, colour))
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{listed} {place}"


def questions(things: Sequence[tuple[str, str]], rng: np.random.Generator) -> tuple[Question, ...]:
    """Return yes/no questions, as many with yes as with no, counting questions, and ones about colours."""
    present = Counter(things)
    names = Counter(name for name, _ in things)
    asked: list[Question] = []
    here = [phrase(*thing) for thing in present]
    missing = [p for p in PHRASES if p not in here]
    for is_here, choice in ((True, here), (False, missing)):
        for text in rng.permutation(choice)[:3]:
            asked.append(Question(f"is there {text}?", "yes" if is_here else "no"))
    absent = [name for name in CLASSES if name not in names]
    for name in [*rng.permutation(list(names))[:3], *rng.permutation(absent)[:1]]:
        asked.append(Question(f"how many {plural(str(name))} are there?", NUMBERS[names[str(name)]]))
    for name, count in names.items():
        colour = next(c for n, c in things if n == name)
        if count == 1 and colour:
            asked.append(Question(f"what colour is the {name}?", colour))
    return tuple(asked)
