"""Pascal VOC XML: one file an image, boxes only.

VOC counts pixels from 1 and its last pixel belongs to the box, so ``xmin = x0 + 1`` and ``xmax = x1``: the
whole of a 640-pixel row is 1 to 640. Files by tools that count from 0 come out a pixel to the left at most
and are cut at the edge without a word. supervision's reader stops at the first unsound object, so the files
are read here, with defusedxml, which refuses entities.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from studio.annotations import Box
from studio.errors import BadInput
from studio.formats.base import (
    Dataset,
    DatasetImage,
    Imported,
    Notes,
    Sizes,
    Written,
    clean,
    file_names,
    masks_for_alphas,
)
from studio.formats.files import Found, find, read_text, sniff
from studio.formats.importing import Import, text_number
from studio.geometry import shape_box

TITLE = "Pascal VOC (XML)"
ORDER = 30
IMAGES = "JPEGImages/{name}"
_MOST_BYTES = 256 * 1024 * 1024


def recognise(path: Path) -> bool:
    """Say whether a file or folder holds VOC annotations."""
    return any(sniff(file, "<annotation")[0] for file in find(path, ".xml")[:50])


# ---- reading ----------------------------------------------------------------------------------------


def read(path: Path, images: Sizes) -> Imported:
    """Read one XML file, or every one below a folder."""
    into = Import(images)
    files = find(path, ".xml")
    if not files:
        raise BadInput(f"“{path.name}” holds no VOC files (.xml).")
    for file in files:
        try:
            root = _parse(file, into)
        except BadInput as error:
            into.problem(file.name, f"left out: {error}")
            continue
        if root.tag != "annotation":
            into.problem(file.name, f"left out: it is XML, but not VOC (<{clean(root.tag, 40)}>).")
            continue
        _read_file(root, file, into)
    return into.done()


def _parse(file: Found, into: Import) -> ElementTree.Element:
    text, guessed = read_text(file, _MOST_BYTES)
    if guessed:
        into.problem(file.name, guessed)
    try:
        # As text, so that a declared encoding that is not the true one does no harm.
        return fromstring(text, forbid_dtd=False)
    except DefusedXmlException:
        raise BadInput("it defines XML entities, which no VOC file needs and which can be a bomb.") from None
    except ElementTree.ParseError as error:
        raise BadInput(f"it is not whole XML ({error}).") from None
    except (ValueError, LookupError, RecursionError):
        raise BadInput("it is not XML that can be read.") from None


def _read_file(root: ElementTree.Element, file: Found, into: Import) -> None:
    named = clean((root.findtext("filename") or "").replace("\\", "/"), 1000)
    name = into.choose(named, file.name.rpartition(".")[0])
    objects = root.findall("object")
    size = into.size(root.findtext("size/width"), root.findtext("size/height"), file.name)
    frame = into.frame(name, size, file.name)
    if frame is None:
        into.missed(name, len(objects))
        return
    for index, entry in enumerate(objects, 1):
        where = f"{file.name}, object {index}"
        try:
            class_name = into.add_class(entry.findtext("name") or "")
            into.add(frame, class_name, _read_box(entry), where)
        except BadInput as error:
            into.problem(where, f"left out: {error}")


def _read_box(entry: ElementTree.Element) -> Box:
    bounds = entry.find("bndbox")
    if bounds is None:
        raise BadInput("it has no bndbox.")
    x0, y0, x1, y1 = (
        text_number(bounds.findtext(key), f"its {key}") for key in ("xmin", "ymin", "xmax", "ymax")
    )
    if x1 < x0 or y1 < y0:
        raise BadInput(f"its box has a negative size ({x0:g}, {y0:g} to {x1:g}, {y1:g}).")
    return Box(x0 - 1, y0 - 1, x1, y1)


# ---- writing ----------------------------------------------------------------------------------------


def write(dataset: Dataset, folder: Path) -> Written:
    """Write Annotations/*.xml with boxes in whole pixels."""
    notes = Notes()
    dataset = masks_for_alphas(dataset, notes)
    names = file_names(image.name for image in dataset.images)
    files, count = [], 0
    for image in dataset.images:
        root, objects = _document(image, names[image.name], dataset.name, notes)
        ElementTree.indent(root)
        file = folder / "Annotations" / f"{PurePosixPath(names[image.name]).with_suffix('')}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(ElementTree.tostring(root, encoding="utf-8") + b"\n")
        files.append(file)
        count += objects
    return Written(files, count, notes.sentences())


def _document(image: DatasetImage, name: str, database: str, notes: Notes) -> tuple[ElementTree.Element, int]:
    root = ElementTree.Element("annotation")
    _text(root, "folder", "JPEGImages")
    _text(root, "filename", name)
    _text(ElementTree.SubElement(root, "source"), "database", database)
    size = ElementTree.SubElement(root, "size")
    for key, value in (("width", image.width), ("height", image.height), ("depth", 3)):
        _text(size, key, value)
    _text(root, "segmented", 0)
    count = 0
    for annotation in image.annotations:
        box = shape_box(annotation.shape, (image.height, image.width))
        if box is None or box.area == 0:
            notes.add("One annotation without a box was left out.", "{n} annotations without a box left out.")
            continue
        if not isinstance(annotation.shape, Box):
            notes.add(
                "One outline was written as the box around it.",
                "{n} outlines were written as the boxes around them.",
            )
        bounds = _whole_pixels(box, image)
        if (bounds[0] - 1, bounds[1] - 1, bounds[2], bounds[3]) != box.xyxy:
            notes.add("One box was rounded to whole pixels.", "{n} boxes were rounded to whole pixels.")
        entry = ElementTree.SubElement(root, "object")
        for key, value in (("name", annotation.class_name), ("pose", "Unspecified")):
            _text(entry, key, value)
        for key in ("truncated", "difficult"):
            _text(entry, key, 0)
        place = ElementTree.SubElement(entry, "bndbox")
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), bounds, strict=True):
            _text(place, key, value)
        count += 1
    return root, count


def _whole_pixels(box: Box, image: DatasetImage) -> tuple[int, int, int, int]:
    x0 = min(int(round(box.x0)), image.width - 1)
    y0 = min(int(round(box.y0)), image.height - 1)
    return x0 + 1, y0 + 1, max(x0 + 1, int(round(box.x1))), max(y0 + 1, int(round(box.y1)))


def _text(parent: ElementTree.Element, tag: str, value: str | int) -> None:
    ElementTree.SubElement(parent, tag).text = clean(str(value)) if isinstance(value, str) else str(value)
