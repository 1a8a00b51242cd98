"""Answers in words as tags, columns and classes take them: on one line, told apart, and matched with choices."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from studio.errors import BadInput

LONGEST_NAME = 100
MOST_CHOICES = 100
NAMELESS = "answer"  # the class of a place that has no words of its own
_EDGES = " \t\n.,;:!?\"'“”‘’„«»()[]{}*_`"
_ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|no|none|never|neither|nor|without|cannot)\b|n['’]t\b")


def one_line(text: str) -> str:
    return " ".join("".join(" " if _misleads(c) else c for c in text).split())


def normalised(text: str) -> str:
    """Return an answer so that those that mean the same are the same: “Yes.” is “yes”."""
    return one_line(text).strip(_EDGES).lower()


def name_of(phrase: str) -> str:
    """Return a class name of a phrase: without its article and what stands around it, and no longer than one may be."""
    words = _ARTICLE.sub("", one_line(phrase).strip(_EDGES))
    return words[:LONGEST_NAME].strip() or NAMELESS


def choices_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the answers that count, of a list or of a text with commas between them. Raises BadInput."""
    parts = re.split(r"[,;\n]", given) if isinstance(given, str) else given
    found: dict[str, str] = {}
    for part in parts:
        choice = one_line(str(part))
        if choice and not normalised(choice):
            raise BadInput(f"“{choice[:20]}” has no words that an answer could be.")
        if choice:
            found.setdefault(normalised(choice), choice)
    if len(found) > MOST_CHOICES:
        raise BadInput(f"At most {MOST_CHOICES} answers can be named; these are {len(found)}.")
    return tuple(found.values())


def chosen(text: str, choices: Sequence[str]) -> str:
    """Return which of some choices an answer is: “Yes, it is.” is “yes”. Raises BadInput where that is not clear.

    It is clear where an answer is a choice, or begins with it and a comma or full stop, or where a single choice
    stands in it and nothing is denied; and never where another choice stands in it, too.
    """
    said = normalised(text)
    bare = _ARTICLE.sub("", said)
    known = sorted(((normalised(c), c) for c in choices), key=lambda pair: -len(pair[0]))
    for form, choice in known:
        if form in (said, bare):
            return choice
    rest, inside = bare, []
    for form, choice in known:  # longer ones first, so that “unripe” or “very ripe” is not “ripe” as well
        pattern = rf"(?<!\w){re.escape(form)}(?!\w)"
        if re.search(pattern, rest):
            inside.append((form, choice))
            rest = re.sub(pattern, " ", rest)
    if len(inside) == 1:
        form, choice = inside[0]
        if re.match(rf"{re.escape(form)}\s*[^\w\s'’-]", bare) or not _NOT.search(rest):
            return choice
    named = ", ".join(choices[:6]) + (" …" if len(choices) > 6 else "")
    raise BadInput(f"The answer “{one_line(text)[:80]}” is not clearly one of {named}.")


def _misleads(character: str) -> bool:
    """Say whether a character breaks lines, turns the direction of text, or is half of one."""
    turns = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    return turns or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
