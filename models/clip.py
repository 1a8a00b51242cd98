"""CLIP, SigLIP 2 and MobileCLIP 2: images and sentences as vectors of one space.

Pixels and words are treated as each checkpoint's own processor and tokenizer treat them (Radford et al., Learning
Transferable Visual Models From Natural Language Supervision, 2021; Tschannen et al., SigLIP 2, 2025; Faghri et al.,
MobileCLIP2, 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models._demo import demo_cards
from models._hub import hub_card
from models._images import check_image
from models._precision import bfloat16_helps, precision
from studio.adapters import Card, Download, HubKind, NoOptions
from studio.errors import BadInput

IMAGE_BATCH = 32  # images that go through the network together
TEXT_BATCH = 256  # sentences that go through the network together
LONGEST = 8  # an image this many times as long as wide is cut to its middle before a square is cut out of it


class VectorModel:
    """An embedder over two functions: pixels (n, 3, h, w) → (n, d), and token numbers (n, length) → (n, d).

    ``prepare`` makes the network's input, (3, h, w) on the processor, from an image; ``tokenize`` makes token
    numbers from sentences. On a graphics card the network computes in bfloat16. ``side`` is the shorter side of what
    ``prepare`` makes, and ``scale`` what cosines were multiplied by before the softmax when the model learnt.
    """

    def __init__(
        self,
        model: Any,
        device: str,
        *,
        prepare: Callable[[np.ndarray], Any],
        tokenize: Callable[[list[str]], Any],
        see: Callable[[Any], Any],
        read: Callable[[Any], Any],
        side: int,
        scale: float,
    ) -> None:
        import torch

        self._model = model.to(device).eval()
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device)
        self._prepare, self._tokenize, self._see, self._read = prepare, tokenize, see, read
        self.side = side
        self.scale = scale
        self._length = self._run(self._read, self._tokenize(["a photo"])).shape[1]

    def embed_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return unit vectors, float32 of shape (n, d).

        Raises BadInput where an image is not uint8 of shape (height, width, 3).
        """
        for image in images:
            check_image(image)
        found = [np.zeros((0, self._length), np.float32)]
        for start in range(0, len(images), IMAGE_BATCH):
            found.append(
                self.embed_prepared([self.prepare(image) for image in images[start : start + IMAGE_BATCH]])
            )
        return np.concatenate(found)

    def prepare(self, image: np.ndarray) -> Any:
        """Return the network's input of an image, on the processor. Raises BadInput as ``embed_images`` does."""
        check_image(image)
        return self._prepare(image)

    def embed_prepared(self, prepared: Sequence[Any]) -> np.ndarray:
        """Return unit vectors, float32 of shape (n, d), of images that ``prepare`` readied."""
        import torch

        if not len(prepared):
            return np.zeros((0, self._length), np.float32)
        return self._run(self._see, torch.stack(list(prepared)))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return unit vectors, float32 of shape (n, d); a sentence too long for the model is cut short."""
        found = [np.zeros((0, self._length), np.float32)]
        for start in range(0, len(texts), TEXT_BATCH):
            tokens = self._tokenize(list(texts[start : start + TEXT_BATCH]))
            found.append(self._run(self._read, tokens))
        return np.concatenate(found)

    def _run(self, tower: Callable[[Any], Any], given: Any) -> np.ndarray:
        import torch

        with torch.inference_mode(), precision(self._device, self._bf16):
            vectors = tower(given.to(self._device)).float()
            return torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()


def _middle(image: np.ndarray) -> np.ndarray:
    """Return the middle of a very long image, all that is looked at, before it is enlarged to a gigabyte."""
    height, width = image.shape[:2]
    limit = LONGEST * min(height, width)
    if max(height, width) <= limit:
        return image
    top, left = max(0, (height - limit) // 2), max(0, (width - limit) // 2)
    return image[top : top + limit, left : left + limit]


def load_transformers(folder: str | None, device: str, options: NoOptions) -> VectorModel:
    """Load a CLIP or SigLIP of transformers with its processor and tokenizer from a folder."""
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    model.requires_grad_(False)
    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    longest = int(model.config.text_config.max_position_embeddings)
    siglip = model.config.model_type.startswith("siglip")

    shortest = "shortest_edge" in dict(processor.size)

    def prepare(image: np.ndarray) -> Any:
        image = _middle(image) if shortest else image
        made = processor(image, return_tensors="pt", input_data_format="channels_last")
        return made["pixel_values"][0]

    def tokenize(texts: list[str]) -> Any:
        # SigLIP saw sentences in small letters, filled up to the full length, and without an attention mask.
        # CLIP looks back only, and reads its answer at the end of the sentence: what fills up does not matter.
        if siglip:
            texts = [text.lower() for text in texts]
        padding = "max_length" if siglip else True
        made = tokenizer(texts, padding=padding, truncation=True, max_length=longest, return_tensors="pt")
        return made["input_ids"]

    def pooled(answer: Any) -> Any:
        return answer if isinstance(answer, torch.Tensor) else answer.pooler_output

    return VectorModel(
        model,
        device,
        prepare=prepare,
        tokenize=tokenize,
        see=lambda pixels: pooled(model.get_image_features(pixel_values=pixels)),
        read=lambda tokens: pooled(model.get_text_features(input_ids=tokens)),
        side=max(
            int(value) for key, value in dict(processor.size).items() if value and key != "longest_edge"
        ),
        scale=float(model.logit_scale.exp()),
    )


def load_open_clip(folder: str | None, device: str, options: NoOptions) -> VectorModel:
    """Load a model of open_clip from a folder with ``open_clip_config.json`` and safetensors."""
    import open_clip
    from PIL import Image

    weights = Path(folder or "") / "open_clip_model.safetensors"
    if not weights.is_file():  # open_clip would look for a pickle next
        raise BadInput(f"There is no {weights.name} in {weights.parent}.")
    name = f"local-dir:{folder}"
    model, _, transform = open_clip.create_model_and_transforms(name)
    model.requires_grad_(False)
    return VectorModel(
        model,
        device,
        prepare=lambda image: transform(Image.fromarray(_middle(image))),
        tokenize=open_clip.get_tokenizer(name),
        see=model.encode_image,
        read=model.encode_text,
        side=_side(model.visual.image_size),
        scale=float(model.logit_scale.exp()),
    )


def _side(size: Any) -> int:
    return int(size if isinstance(size, int) else max(size))


def _card(
    id: str,
    title: str,
    hub_id: str,
    parameters: int,
    rank: int,
    note: str,
    licence: str,
    extra: int = 4_000_000,
) -> Card:
    """Return a card; ``extra`` is what the tokenizer's files take beside the weights."""
    return Card(
        id=id,
        title=title,
        family="CLIP",
        roles=("embedder",),
        prompts=("text", "reference"),
        licence=licence,
        load=load_transformers,
        memory_bytes=4 * parameters + 400_000_000,
        download=Download(
            hub_id, 4 * parameters + extra, patterns=("*.json", "model.safetensors", "merges.txt")
        ),
        note=note,
        rank=rank,
    )


def _mobile(size: str, parameters: int, rank: int, note: str) -> Card:
    return Card(
        id=f"mobileclip2-{size.lower()}",
        title=f"MobileCLIP 2 {size}",
        family="CLIP",
        roles=("embedder",),
        prompts=("text", "reference"),
        licence="Apple AMLR (research only)",
        load=load_open_clip,
        memory_bytes=4 * parameters + 300_000_000,
        download=Download(
            f"timm/MobileCLIP2-{size}-OpenCLIP",
            4 * parameters + 4_000_000,
            patterns=("*.json", "open_clip_model.safetensors"),
        ),
        packages=("open_clip_torch", "timm"),
        commercial=False,
        note=note,
        rank=rank,
    )


CLIP_B32 = _card(
    "clip-vit-b-32",
    "CLIP ViT-B/32 (LAION-2B)",
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    151_277_313,
    10,
    "The quickest of the free ones: about 20 images a second on a processor.",
    "MIT",
)

CARDS = [
    CLIP_B32,
    _card(
        "siglip2-base",
        "SigLIP 2 base",
        "google/siglip2-base-patch16-224",
        375_187_970,
        11,
        "Understands sentences better than CLIP of its size, in many languages.",
        "Apache-2.0",
        extra=40_000_000,
    ),
    _card(
        "clip-vit-l-14",
        "CLIP ViT-L/14 (OpenAI)",
        "openai/clip-vit-large-patch14",
        427_616_513,
        12,
        "Sharper than ViT-B/32; best with a graphics card.",
        "MIT",
    ),
    _mobile("S0", 74_800_000, 13, "Small and quick, for research only."),
    _mobile("S2", 99_100_000, 14, "A little better than S0, for research only."),
    *demo_cards("clip", CLIP_B32, title="Demo CLIP"),
]


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    """Say whether a config.json is of a CLIP or a SigLIP, or an open_clip_config.json of a model of open_clip."""
    if config.get("model_type") in ("clip", "siglip"):
        if config.get("auto_map"):
            raise BadInput("It wants code of its own to be run.")
        return "transformers"
    if config.get("model_type") == "siglip2":
        raise BadInput("It takes pictures of any shape, cut in patches. Choose a SigLIP 2 of a fixed size.")
    described = config.get("model_cfg")
    if not isinstance(described, Mapping) or "vision_cfg" not in described:
        return None
    read = described.get("text_cfg")
    if isinstance(read, Mapping) and read.get("hf_model_name"):
        raise BadInput(f"Its half that reads is another model, {str(read['hf_model_name'])[:80]}.")
    return "open_clip"


def describe(variant: str, size: int) -> Card:
    """Describe a model of the hub by its variant and the bytes of its weights."""
    note = "Places pictures and sentences in one space."
    like = CLIP_B32 if variant == "transformers" else _mobile("S0", 0, 0, "")
    found = hub_card(like, size, "*.txt", "*.model")
    return replace(found, note=note)


HUB = [HubKind("clip", "pictures by words (CLIP, SigLIP, open_clip)", examine, describe)]
