"""The published detectors of the DETR kind: where they lie, how large they are, under which licence."""

from __future__ import annotations

from dataclasses import dataclass

COCO = "80 classes."


@dataclass(frozen=True)
class Published:
    """A checkpoint on the hub under Apache-2.0; ``bytes`` is what travels, ``memory`` a first guess when loaded."""

    id: str
    title: str
    family: str
    hub_id: str
    bytes: int
    rank: int
    note: str
    memory: int
    packages: tuple[str, ...] = ()


def _published(
    ident: str,
    title: str,
    family: str,
    hub_id: str,
    size: int,
    rank: int,
    note: str,
    *,
    memory: int = 0,
    packages: tuple[str, ...] = (),
) -> Published:
    return Published(
        ident, title, family, hub_id, size, rank, note, memory or 400_000_000 + 4 * size, packages
    )


def _dfine(size: str, download: int, memory: int, rank: int, note: str, taught: str = "coco") -> Published:
    seen = "" if taught == "coco" else f" ({taught})"
    return _published(
        f"dfine-{size}" + ("" if taught == "coco" else f"-{taught}"),
        f"D-FINE {size}{seen.replace('obj365', 'Objects365')}",
        "D-FINE",
        f"ustc-community/dfine-{size}-{taught}",
        download,
        rank,
        note,
        memory=memory,
    )


def _rfdetr(size: str, download: int, rank: int, note: str, masks: bool = False) -> Published:
    name = f"rf-detr-{'seg-' if masks else ''}{size}"
    title = f"RF-DETR {size}{' with masks' if masks else ''}"
    return _published(name, title, "RF-DETR", f"Roboflow/{name}", download, rank, f"{COCO} {note}")


def _rtdetr(
    ident: str, title: str, hub_id: str, download: int, memory: int, rank: int, note: str
) -> Published:
    return _published(
        ident, title, "RT-DETR", f"PekingU/{hub_id}", download, rank, f"{COCO} {note}", memory=memory
    )


NANO = _dfine(
    "nano", 15_300_000, 300_000_000, 29, f"{COCO} The quickest; for a processor without a graphics card."
)
DETECTORS = [
    _dfine("medium", 78_700_000, 700_000_000, 10, f"{COCO} A good balance of speed and accuracy."),
    _dfine("small", 41_500_000, 500_000_000, 11, f"{COCO} Nearly as good as medium, and quicker."),
    _dfine("large", 126_000_000, 900_000_000, 12, f"{COCO} More accurate; best with a graphics card."),
    _dfine(
        "xlarge",
        252_000_000,
        1_300_000_000,
        13,
        f"{COCO} The most accurate of the family; slow on a processor.",
    ),
    _dfine(
        "medium",
        79_900_000,
        700_000_000,
        14,
        "The 365 classes of Objects365: furniture, food, tools, clothes and more.",
        "obj365",
    ),
    _dfine(
        "xlarge",
        254_000_000,
        1_300_000_000,
        15,
        "The 365 classes of Objects365, the most accurate; slow on a processor.",
        "obj365",
    ),
    _rfdetr("medium", 135_000_000, 16, "A newer family, in its usual size."),
    _rfdetr("nano", 122_000_000, 17, "The quickest of the family: it looks at 384 pixels a side."),
    _rfdetr("small", 128_500_000, 18, "Between nano and medium."),
    _rfdetr("large", 136_000_000, 19, "The most accurate of the family: it looks at 704 pixels a side."),
    _rtdetr(
        "rtdetr-v2-r18",
        "RT-DETR v2 R18",
        "rtdetr_v2_r18vd",
        81_000_000,
        700_000_000,
        20,
        "An older family; quick on a graphics card.",
    ),
    _rtdetr(
        "rtdetr-v2-r50",
        "RT-DETR v2 R50",
        "rtdetr_v2_r50vd",
        172_000_000,
        1_000_000_000,
        21,
        "An older family, in its usual size.",
    ),
    _rtdetr(
        "rtdetr-v2-r101",
        "RT-DETR v2 R101",
        "rtdetr_v2_r101vd",
        307_000_000,
        1_500_000_000,
        22,
        "An older family, in its largest size.",
    ),
    _rtdetr(
        "rtdetr-r18",
        "RT-DETR R18",
        "rtdetr_r18vd_coco_o365",
        81_000_000,
        700_000_000,
        23,
        "The first version, taught on Objects365 too.",
    ),
    _rtdetr(
        "rtdetr-r50",
        "RT-DETR R50",
        "rtdetr_r50vd_coco_o365",
        172_000_000,
        1_000_000_000,
        24,
        "The first version, taught on Objects365 too.",
    ),
    _published(
        "detr-r50",
        "DETR R50",
        "DETR",
        "facebook/detr-resnet-50",
        167_000_000,
        25,
        f"{COCO} The first of its kind; slow, and weak on small things.",
        packages=("timm",),
    ),
    _published(
        "deformable-detr-r50",
        "Deformable DETR R50",
        "DETR",
        "SenseTime/deformable-detr",
        161_000_000,
        26,
        f"{COCO} Better on small things than DETR; slow.",
        packages=("timm",),
    ),
    _published(
        "conditional-detr-r50",
        "Conditional DETR R50",
        "DETR",
        "microsoft/conditional-detr-resnet-50",
        174_000_000,
        27,
        f"{COCO} As DETR, a little more accurate.",
        packages=("timm",),
    ),
    _published(
        "yolos-tiny",
        "YOLOS tiny",
        "YOLOS",
        "hustvl/yolos-tiny",
        26_000_000,
        28,
        f"{COCO} A plain transformer, small and not very accurate.",
    ),
    NANO,
]
SEGMENTERS = [
    _rfdetr("medium", 143_000_000, 32, "Each thing with its mask, in the usual size.", masks=True),
    _rfdetr("nano", 134_500_000, 33, "Each thing with its mask; the quickest.", masks=True),
    _rfdetr("large", 145_000_000, 34, "Each thing with its mask, the most accurate.", masks=True),
]
