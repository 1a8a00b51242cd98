"""Phrases that are looked for, each tied to a class of the project; what is found by them, sorted out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from studio.adapters import Detection
from studio.errors import BadInput
from studio.geometry import box_iou
from studio.operations.label import LONGEST_NAME

MOST = 1000  # phrases of one search
AGAINST = 0.5  # IoU from which something that is not wanted takes a finding away
SAME = 0.8  # IoU from which what two phrases found is one thing

EDGES = " .,;:!?\"'“”‘’()[]{}*_`"
ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Word:
    """A phrase to look for, and the class of what it finds.

    Without a class it is the phrase itself, less its article. ``threshold`` is this phrase's own, None the search's.
    What a ``negative`` phrase finds is not wanted: it takes away what others find there, less surely than it.
    """

    phrase: str
    class_name: str = ""
    threshold: float | None = None
    negative: bool = False

    @property
    def named(self) -> str:
        return self.class_name or ARTICLE.sub("", self.phrase)

    def reached(self, score: float, threshold: float) -> bool:
        return score >= (threshold if self.threshold is None else self.threshold)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def plain_name(phrase: str) -> str:
    """Return a class name of a phrase that a model wrote: in one line, without its article, no longer than one is."""
    words = " ".join("".join(c if c.isprintable() else " " for c in phrase).split())
    return ARTICLE.sub("", words.strip(EDGES))[:LONGEST_NAME].strip()


def read_words(given: Sequence[str | Mapping[str, Any]]) -> tuple[Word, ...]:
    """Return words of phrases, or of objects with the fields of Word. Raises BadInput that says what is wrong."""
    words: dict[str, Word] = {}
    for one in given:
        try:
            word = Word(one) if isinstance(one, str) else Word(**one)
            phrase = " ".join(word.phrase.split())
            limit = None if word.threshold is None else float(word.threshold)
            made = Word(phrase, " ".join(str(word.class_name or "").split()), limit, bool(word.negative))
        except (TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"A phrase to look for cannot be read: {error}.") from None
        if not re.search(r"\w", phrase):
            raise BadInput("A phrase to look for is empty. Write what to look for, such as “red apple”.")
        if max(len(phrase), len(made.named)) > LONGEST_NAME:
            raise BadInput(f"“{phrase[:40]}…” is too long. Name the thing in a few words.")
        if limit is not None and not 0 <= limit <= 1:
            raise BadInput(f"The threshold of “{phrase}” lies between 0 and 1; it is {limit:g}.")
        words[phrase] = made
    if len(words) > MOST:
        raise BadInput(f"At most {MOST} phrases are looked for at once; these are {len(words)}.")
    if words and all(word.negative for word in words.values()):
        raise BadInput("Only what is not wanted is named. Add a phrase for what to look for.")
    return tuple(words.values())


def words_in(text: str) -> tuple[Word, ...]:
    """Read phrases as they are typed: “red apple, mug=cup, -plate, leaf@0.4”, with commas or on lines of their own.

    After “=” stands the class, after “@” the phrase's own threshold; what begins with “-” is not wanted. Raises
    BadInput.
    """
    given: list[dict[str, Any]] = []
    for part in filter(str.strip, re.split(r"[,;\n]", text)):
        phrase, _, class_name = part.strip().partition("=")
        rest, at, limit = (class_name or phrase).rpartition("@")
        if at:
            try:
                limit_of = float(limit)
            except ValueError:
                raise BadInput(f"“{part.strip()}” ends with “@{limit}”, which is no threshold.") from None
            phrase, class_name = (phrase, rest) if class_name else (rest, "")
        negative = phrase.startswith("-")
        phrase = phrase.removeprefix("-")
        given.append(
            {
                "phrase": phrase,
                "class_name": class_name,
                "threshold": limit_of if at else None,
                "negative": negative,
            }
        )
    return read_words(given)


def sorted_out(found: Sequence[Detection], words: Sequence[Word], threshold: float) -> list[Detection]:
    """Return what is wanted of what phrases found, best first; a detection's name is its phrase still.

    What a negative phrase finds as surely, with its threshold reached, is taken away; of one thing found under
    several phrases the surest stays, so that each thing has one name.
    """
    by_phrase = {word.phrase: word for word in words}
    known = sorted((d for d in found if d.name in by_phrase), key=lambda d: -d.score)
    against = [
        d for d in known if by_phrase[d.name].negative and by_phrase[d.name].reached(d.score, threshold)
    ]
    wanted = [d for d in known if not by_phrase[d.name].negative]
    if against and wanted:
        overlaps = box_iou([d.box for d in wanted], [d.box for d in against]) >= AGAINST
        surer = np.array([d.score for d in against])[None] >= np.array([d.score for d in wanted])[:, None]
        taken = (overlaps & surer).any(1)
        wanted = [d for d, gone in zip(wanted, taken, strict=True) if not gone]
    # Within each phrase first: so a phrase among many finds what it finds alone.
    phrases: dict[str, list[Detection]] = {}
    for detection in wanted:
        phrases.setdefault(detection.name, []).append(detection)
    alone = [d for each in phrases.values() for d in _apart(each)]
    return _apart(sorted(alone, key=lambda d: -d.score))


def _apart(found: Sequence[Detection]) -> list[Detection]:
    """Return detections, best first, without those that are one thing with a surer one."""
    kept: list[Detection] = []
    for detection in found:
        others = [other.box for other in kept]
        if not others or float(box_iou([detection.box], others).max()) < SAME:
            kept.append(detection)
    return kept


def reaching(
    found: Sequence[Detection], words: Sequence[Word], threshold: float
) -> list[tuple[str, Detection]]:
    """Return what is as sure as its phrase asks for: the phrase, and what it found, named by class."""
    by_phrase = {word.phrase: word for word in words}
    return [
        (d.name, replace(d, name=by_phrase[d.name].named))
        for d in found
        if d.name in by_phrase and by_phrase[d.name].reached(d.score, threshold)
    ]
