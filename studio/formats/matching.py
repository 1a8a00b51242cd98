"""Which image of the project a file means, and how its coordinates become that image's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from studio.formats.base import Sizes, safe_path


@dataclass(frozen=True)
class Frame:
    """An image of the project, and what the file's pixels are to be multiplied with to be its own."""

    name: str
    width: int
    height: int
    scale_x: float = 1.0
    scale_y: float = 1.0

    @property
    def scaled(self) -> bool:
        return self.scale_x != 1.0 or self.scale_y != 1.0


def _bare(name: str) -> str:
    return str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).name else name


def _last(name: str) -> str:
    return PurePosixPath(name).name


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _safe_bare(name: str) -> str:
    return _bare(safe_path(name))


# The way an image's name and the file's word for it are each cut before they are compared, strictest first.
# The later ones are for a label file, named as its image is but without an ending, or with one more,
# and for a name that was made fit for every file system.
_WAYS: tuple[tuple[Callable[[str], str], Callable[[str], str]], ...] = (
    (str, str),
    (_last, _last),
    (_bare, _bare),
    (_stem, _stem),
    (_bare, str),
    (_stem, _last),
    (str, _bare),
    (safe_path, str),
    (_safe_bare, str),
    (safe_path, _bare),
)


class Images:
    """Finds a project's images by the names a file uses: whole, last part, stem; then in any case."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self._tables: dict[tuple[Callable, bool], dict[str, str | None]] = {}
        self._answers: dict[str, tuple[str | None, bool]] = {}

    def match(self, name: str) -> tuple[str | None, bool]:
        """Return the image's name or None, and whether several images could have been meant."""
        if name not in self._answers:
            self._answers[name] = self._find(name.replace("\\", "/").removeprefix("./"))
        return self._answers[name]

    def _find(self, name: str) -> tuple[str | None, bool]:
        if name in self.sizes:
            return name, False
        several = False
        for fold in (False, True):
            for cut_ours, cut_theirs in _WAYS:
                key = cut_theirs(name)
                table = self._table(cut_ours, fold)
                key = key.casefold() if fold else key
                if key and table.get(key) is not None:
                    return table[key], False
                several = several or (bool(key) and key in table)
        return None, several

    def _table(self, cut: Callable[[str], str], fold: bool) -> dict[str, str | None]:
        table = self._tables.get((cut, fold))
        if table is None:
            table = self._tables[cut, fold] = {}
            for name in self.sizes:
                key = cut(name.replace("\\", "/"))
                key = key.casefold() if fold else key
                table[key] = None if key in table else name  # None: more than one, so none for certain
        return table


def frame_for(name: str, size: tuple[int, int], said: tuple[float, float] | None) -> Frame | str:
    """Return the frame, or a sentence where the file's size cannot be the image's at another scale."""
    width, height = size
    if said is None or said == size:
        return Frame(name, width, height)
    their_width, their_height = said
    off = min(
        abs(their_width * height / their_height - width), abs(their_height * width / their_width - height)
    )
    if off <= 1.0:
        return Frame(name, width, height, width / their_width, height / their_height)
    turned = " It may have been labelled before it was turned upright." if said == (height, width) else ""
    return (
        f"the file says {their_width:g} × {their_height:g} pixels, the image has {width} × {height}, "
        f"which is another shape.{turned}"
    )
