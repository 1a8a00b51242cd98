"""What names, colours and keys may be. All of it comes from outside."""

from __future__ import annotations

import colorsys
import re
import unicodedata
from collections.abc import Collection

from studio.errors import BadInput

LONGEST_NAME = 100
LONGEST_PATH = 800  # bytes: what every database takes into an index
LONGEST_FILE_NAME = 255  # bytes: what file systems take, so that an export can be written
_ORDER_LENGTH = 200

# Far apart in hue and lightness, and visible over photographs.
PALETTE = (
    "#e6194b", "#3cb44b", "#4363d8", "#ffe119", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45",
    "#469990", "#fabed4", "#9a6324", "#dcbeff", "#800000", "#aaffc3", "#808000", "#ffd8b1", "#2f4ea0",
    "#a9a9a9", "#fffac8",
)  # fmt: skip
DIGITS = "123456789"

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_KEY = re.compile(r"[1-9a-z]")
_ID = re.compile(r"[\x21-\x7e]{1,64}")


def clean_name(name: str, what: str) -> str:
    """Return a one-line name in Unicode's composed form. Raises BadInput where it is empty or too long."""
    name = unicodedata.normalize("NFC", _text(name, what)).strip()
    if any(_is_control(c) for c in name):
        raise BadInput(f"The name of a {what} must be one line without control characters.")
    if not name:
        raise BadInput(f"A {what} needs a name.")
    if len(name) > LONGEST_NAME:
        raise BadInput(f"The name of a {what} has at most {LONGEST_NAME} characters, not {len(name)}.")
    return name


def clean_image_name(name: str) -> str:
    """Return a relative path with forward slashes; control characters become ``_``.

    Raises BadInput for an absolute path, one that climbs with ``..``, NUL, or one too long for a file system.
    """
    name = unicodedata.normalize("NFC", _text(name, "image")).replace("\\", "/").strip()
    shown = name[:80].replace("\0", "␀")
    if "\0" in name:
        raise BadInput(f"The image name “{shown}” holds a NUL character. Rename the file.")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise BadInput(f"The image name “{shown}” is an absolute path. Give a name or a relative folder.")
    parts = [part.strip() for part in name.split("/")]
    parts = [part for part in parts if part not in ("", ".")]
    if ".." in parts:
        raise BadInput(f"The image name “{shown}” leaves its folder with “..”. Rename the file.")
    if not parts:
        raise BadInput("An image needs a name.")
    parts = ["".join("_" if _is_control(c) else c for c in part) for part in parts]
    longest = max(len(part.encode("utf-8")) for part in parts)
    whole = len(name.encode("utf-8"))
    if longest > LONGEST_FILE_NAME or whole > LONGEST_PATH:
        raise BadInput(
            f"The image name “{shown}…” is too long: {whole} bytes, {longest} of them in one part. At most "
            f"{LONGEST_PATH} bytes, and {LONGEST_FILE_NAME} in a part, can be stored. Rename the file."
        )
    return "/".join(parts)


def numbered(name: str, number: int) -> str:
    """Return ``a/b (2).jpg`` for ``a/b.jpg``, shortened where a file system would not take it."""
    stem, ending = split_ending(name)
    folder, slash, stem = stem.rpartition("/")
    tail = f" ({number}){ending}"
    while len((stem + tail).encode("utf-8")) > LONGEST_FILE_NAME and len(stem) > 1:
        stem = stem[:-1]
    return folder + slash + stem + tail


def split_ending(name: str) -> tuple[str, str]:
    """Split ``a/b.jpg`` into ``a/b`` and ``.jpg``; a name that only begins with a dot has no ending."""
    dot = name.rfind(".")
    if dot <= name.rfind("/") + 1 or len(name) - dot > 10:
        return name, ""
    return name[:dot], name[dot:]


def fold(text: str) -> str:
    """Return text as search compares it: without case."""
    return unicodedata.normalize("NFC", storable(text)).casefold()


def storable(text: str) -> str:
    """Return text without what no database takes: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def asked_id(value: str) -> str:
    """Return an id somebody asks for; one that cannot be an id becomes "", which nothing has."""
    return value if isinstance(value, str) and value.isascii() and "\0" not in value else ""


def order_key(name: str) -> str:
    """Return a string that sorts as people count: ``img2`` before ``img10``."""
    return re.sub(r"[0-9]+", lambda digits: digits[0].lstrip("0").rjust(12, "0"), fold(name))[:_ORDER_LENGTH]


def check_person(person: str) -> str:
    if not isinstance(person, str) or not 1 <= len(person) <= 200 or "\0" in person or not _encodes(person):
        raise BadInput("A person's id is a text of 1 to 200 characters.")
    return person


def check_annotation_id(annotation_id: str) -> str:
    if not isinstance(annotation_id, str) or not _ID.fullmatch(annotation_id):
        raise BadInput("An annotation's id has 1 to 64 letters, digits or signs, without spaces.")
    return annotation_id


def check_colour(colour: str) -> str:
    if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
        raise BadInput(f"A colour is written like #3b82f6, not “{str(colour)[:20]}”.")
    return colour.lower()


def check_hotkey(hotkey: str | None) -> str | None:
    """Return the key in lower case, None where there is none."""
    if hotkey is None or hotkey == "":
        return None
    if not isinstance(hotkey, str) or not _KEY.fullmatch(hotkey.lower()):
        raise BadInput(f"A hotkey is one of 1 to 9 or a to z, not “{str(hotkey)[:10]}”.")
    return hotkey.lower()


def next_colour(used: Collection[str]) -> str:
    """Return a colour that no class of the project has yet."""
    for colour in PALETTE:
        if colour not in used:
            return colour
    # Steps of the golden ratio around the colour wheel keep later hues apart however many come.
    count = len(used)
    while True:
        red, green, blue = colorsys.hsv_to_rgb(count * 0.618034 % 1, 0.55 + 0.4 * (count % 2), 0.95)
        colour = f"#{int(red * 255):02x}{int(green * 255):02x}{int(blue * 255):02x}"
        if colour not in used:
            return colour
        count += 1


def next_hotkey(used: Collection[str | None]) -> str | None:
    return next((key for key in DIGITS if key not in used), None)


def _text(value: str, what: str) -> str:
    if not isinstance(value, str):
        raise BadInput(f"The name of a {what} must be a text.")
    if not _encodes(value):
        raise BadInput(f"The name of a {what} holds characters that are not valid Unicode.")
    return value


def _encodes(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_control(character: str) -> bool:
    # Line and paragraph separators and the signs that turn the direction of text fool readers likewise.
    return unicodedata.category(character) in ("Cc", "Zl", "Zp") or "\u202a" <= character <= "\u202e"
