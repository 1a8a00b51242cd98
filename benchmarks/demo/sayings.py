"""What the models of words are told of the drawn scenes: phrases in many forms, and a tokenizer that knows them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studio.scenes import CLASSES, PHRASES
from studio.scenes.words import phrase, plural

FORMS = ("{}", "{}", "{}", "the {0.bare}", "{0.bare}", "{0.many}", "a photo of {}", "a picture of {}")
COLOURS = (
    "red",
    "green",
    "blue",
    "yellow",
    "orange",
    "white",
    "black",
    "brown",
    "silver",
    "wooden",
    "purple",
    "pink",
)
FOREIGN = (
    "dog cat car person chair table book phone key bottle knife fork plate bowl flower tree bird fish horse house "
    "boat ball shoe hat coat lamp clock door box pen paper tomato cherry grape carrot onion bread cheese egg cup"
).split()  # what is never there, so that unknown words find nothing
WORDS = 700  # pieces the tokenizer puts together, beside the single bytes


@dataclass(frozen=True)
class Saying:
    """A text and the numbers of PHRASES that it is true of: none for what is never there."""

    text: str
    fits: tuple[int, ...]


class _Noun:
    """What a form is filled with: “a red apple”, “red apple” or “red apples”."""

    def __init__(self, colour: str, name: str) -> None:
        self._text = phrase(name, colour)
        self.bare = f"{colour} {name}".strip()
        self.many = f"{colour} {plural(name)}".strip()

    def __format__(self, _: str) -> str:
        return self._text


def fits_of_class(name: str) -> tuple[int, ...]:
    return tuple(i for i, text in enumerate(PHRASES) if text.split()[-1] == name)


def varied(rng: random.Random, foreign: int) -> list[Saying]:
    """Return each phrase and each class in some form, and a few of what is never there."""
    said = []
    for i, text in enumerate(PHRASES):
        *colour, name = text.split()[1:]
        said.append(Saying(rng.choice(FORMS).format(_Noun(" ".join(colour), name)), (i,)))
    for name in CLASSES:
        said.append(Saying(rng.choice(FORMS).format(_Noun("", name)), fits_of_class(name)))
    for number in range(foreign):
        if number % 2:
            noun = _Noun(rng.choice(("", *COLOURS)), rng.choice(FOREIGN))
        else:
            noun = _Noun(*rng.choice(ABSENT))
        said.append(Saying(rng.choice(FORMS).format(noun), ()))
    return said


def _absent() -> tuple[tuple[str, str], ...]:
    """Return pairs of colour and class that no scene has, left out where a class comes without a colour."""
    known = [text.split()[1:] for text in PHRASES]
    coloured = {words[-1] for words in known if len(words) > 1}
    return tuple((c, name) for name in CLASSES if name in coloured for c in COLOURS if [c, name] not in known)


ABSENT = _absent()


def tokenizer(captions: Sequence[str], longest: int) -> Any:
    """Return a CLIP tokenizer whose pieces are those of the phrases and captions; its last number ends a text."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    rng = random.Random(0)
    texts = [saying.text for _ in range(60) for saying in varied(rng, 12)] + list(captions)
    learner = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    learner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=WORDS, end_of_word_suffix="</w>", continuing_subword_prefix="", show_progress=False
        ),
    )
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(f"{c}</w>" for c in letters), *("".join(pair) for pair in merges)]
    words = dict.fromkeys([*pieces, "<|startoftext|>", "<|endoftext|>"])
    return transformers.CLIPTokenizer(
        vocab={word: i for i, word in enumerate(words)}, merges=merges, model_max_length=longest
    )


def tokens(tokenizer: Any, texts: Sequence[str]) -> Any:
    """Return token numbers (texts, length), filled up."""
    return tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")


def truths(sayings: Sequence[Saying], phrases: np.ndarray) -> np.ndarray:
    """Return float32 (things, sayings): 1 where a saying is true of a thing, given by the number of its phrase."""
    table = np.zeros((len(PHRASES), len(sayings)), np.float32)
    for column, saying in enumerate(sayings):
        table[list(saying.fits), column] = 1
    return table[phrases]
