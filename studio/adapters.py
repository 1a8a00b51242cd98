"""What a model must be able to do, as structural protocols; its card, from ``studio.cards``, says the rest.

An adapter is any class with the methods of a protocol; there is nothing to inherit. Images are uint8
RGB arrays of shape (height, width, 3), upright. Heavy imports belong inside ``Card.load``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from studio.annotations import Box, Keypoints, Mask, Prompt

# Whoever writes an adapter finds all that it takes here.
from studio.cards import (  # noqa: F401
    CHECKPOINT_FILE,
    Address,
    Card,
    CheckpointKind,
    Download,
    HubKind,
    NoOptions,
    PromptKind,
    Role,
    Task,
)


@dataclass(frozen=True)
class Embedding:
    """What a segmenter's encoder made of one image, with its true size in memory.

    ``data`` belongs to the adapter that made it; nobody else looks inside.
    """

    height: int
    width: int
    data: Any
    nbytes: int


@dataclass(frozen=True)
class Candidate:
    """One mask proposed for a prompt.

    ``score`` is the model's own estimate of quality, 0 to 1. ``state`` is what the model wants handed back
    as ``previous`` with the next click, None where it wants nothing. It belongs to the adapter that made it,
    is never changed once made, and nobody else looks inside. ``stability`` says how little the mask changes
    when the threshold it was cut at moves: the IoU of a stricter and a laxer cut, None where nobody worked it out.
    """

    mask: Mask
    score: float
    state: Any = None
    stability: float | None = None


@runtime_checkable
class Segmenter(Protocol):
    """Cuts out the object a person points at."""

    def embed(self, image: np.ndarray) -> Embedding:
        """Encode an image: dear, once an image."""
        ...

    def segment(self, embedding: Embedding, prompt: Prompt, previous: Any = None) -> list[Candidate]:
        """Return candidates, best first: cheap, every click, and stateless.

        ``previous`` is the state this model gave with the same object's mask a click earlier.
        """
        ...


@runtime_checkable
class BatchSegmenter(Segmenter, Protocol):
    """A segmenter that answers many prompts on one image at once, in less time than one by one."""

    def segment_many(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, floor: float = 0.0, steady: float = 0.0
    ) -> list[list[Candidate]]:
        """Return for each prompt what ``segment`` says of it, with each candidate's stability worked out.

        Candidates of a score below ``floor`` or a stability below ``steady`` are left out, before the work of
        giving them masks of the image's size.
        """
        ...


@runtime_checkable
class Follower(Segmenter, Protocol):
    """A segmenter that finds objects of one image again on the images that follow it.

    The memory it hands out belongs to it, is never changed once made, and nobody else looks inside.
    """

    def remember(self, embedding: Embedding, masks: Sequence[Mask], images: int) -> Any:
        """Return the memory of objects on an image where their masks are known.

        ``images`` is how many images there will be, this one counted.
        """
        ...

    def follow(self, embedding: Embedding, memory: Any) -> tuple[list[Candidate], Any]:
        """Return each object's candidate on the next image, and the memory to go on with.

        Here ``score`` says how likely the object is there at all; at 0.5 or less the mask may be empty.
        """
        ...


@dataclass(frozen=True)
class Detection:
    """One thing found in an image. ``name`` is one of the detector's classes, or the phrase asked for.

    ``keypoint_scores`` has a number, 0 to 1, for each of the keypoints.
    """

    name: str
    score: float
    box: Box
    mask: Mask | None = None
    keypoints: Keypoints | None = None
    keypoint_scores: tuple[float, ...] = ()


@runtime_checkable
class Detector(Protocol):
    """Finds the things of its own classes; ``names`` are these, in the order of the model's numbers."""

    names: tuple[str, ...]

    def detect(self, images: Sequence[np.ndarray], *, floor: float = 0.05) -> list[list[Detection]]:
        """Return the detections of each image, best first, of a score of at least ``floor``.

        The floor is low, so that a threshold can be moved afterwards without asking again.
        """
        ...


@runtime_checkable
class TextDetector(Protocol):
    """Finds what phrases name."""

    def detect_text(
        self, images: Sequence[np.ndarray], phrases: Sequence[str], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return the detections of each image, best first; each one's ``name`` is one of the phrases, whole."""
        ...


@dataclass(frozen=True)
class Example:
    """Something pointed out on an image, to find more like it; or, where not ``positive``, unlike it."""

    image: np.ndarray
    box: Box
    positive: bool = True


@runtime_checkable
class ExampleDetector(Protocol):
    """Finds what looks like an example."""

    def detect_like(
        self, images: Sequence[np.ndarray], examples: Sequence[Example], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return the detections of each image, best first; their ``name`` is empty.

        Raises BadInput where no example is positive.
        """
        ...


@runtime_checkable
class ExampleEncoder(ExampleDetector, Protocol):
    """A detector by example that encodes examples once for many images."""

    def encode_examples(self, examples: Sequence[Example]) -> Any:
        """Encode examples: dear, once a job. What it returns is the adapter's own, small, and never changed."""
        ...

    def detect_encoded(
        self, images: Sequence[np.ndarray], encoded: Sequence[Any], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return what ``detect_like`` does for the examples of all of ``encoded`` together."""
        ...


@runtime_checkable
class SemanticSegmenter(Protocol):
    """Gives every pixel one of its classes; ``names`` are these, in the order of the model's numbers."""

    names: tuple[str, ...]

    def classify_pixels(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return for each image its class numbers, uint16 of shape (height, width)."""
        ...


@dataclass(frozen=True)
class ClassScore:
    """How sure a classifier is of one of its classes; ``score`` is 0 to 1, and those of all classes sum to 1."""

    name: str
    score: float


@runtime_checkable
class Classifier(Protocol):
    """Says what a whole image shows; ``names`` are its classes, in the order of the model's numbers."""

    names: tuple[str, ...]

    def classify(self, images: Sequence[np.ndarray], *, most: int = 5) -> list[list[ClassScore]]:
        """Return for each image its ``most`` likely classes, best first; of fewer classes all."""
        ...


@runtime_checkable
class PoseEstimator(Protocol):
    """Places the keypoints of what is in a box; ``keypoint_names`` are these, in order."""

    keypoint_names: tuple[str, ...]

    def estimate(self, image: np.ndarray, boxes: Sequence[Box]) -> list[tuple[Keypoints, tuple[float, ...]]]:
        """Return for each box its keypoints, and the score of each of them."""
        ...


@runtime_checkable
class Matter(Protocol):
    """Says how much of each pixel belongs to the foreground."""

    def matte(self, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        """Return the alpha, float32 0 to 1 of shape (height, width).

        ``trimap`` is uint8 of the same size: 0 background, 255 foreground, anything between is to be found.
        """
        ...


@runtime_checkable
class SteadyMatter(Matter, Protocol):
    """A matter that tells how far it is, and can be left in the middle of a large image."""

    def matte_in_steps(self, image: np.ndarray, trimap: np.ndarray) -> Iterator[float | np.ndarray]:
        """Yield the share that is done, 0 to 1, after each step, and last what ``matte`` returns.

        The work for a step is done while it is asked for.
        """
        ...


@runtime_checkable
class Cutter(Protocol):
    """Says how much of each pixel belongs to what stands out in an image, without being shown what that is."""

    def cut(self, image: np.ndarray) -> np.ndarray:
        """Return the alpha, float32 0 to 1 of shape (height, width)."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Places images and sentences in one space, where what belongs together lies close."""

    def embed_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return unit vectors, float32 of shape (n, d)."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return unit vectors, float32 of shape (n, d)."""
        ...


@dataclass(frozen=True)
class Place:
    """Something that a text speaks of, and where it is in the image: a box, points, or an outline (in pixels).

    ``span`` says where its phrase stands in the text, as start and end; both the same where it does not stand there.
    """

    phrase: str
    box: Box | None = None
    points: tuple[tuple[float, float], ...] = ()
    outline: tuple[tuple[float, float], ...] = ()
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Reading:
    """What a model wrote, as people read it, and the places that it speaks of."""

    text: str
    places: tuple[Place, ...] = ()


@runtime_checkable
class Answerer(Protocol):
    """Answers questions about an image in words."""

    def answer(self, image: np.ndarray, question: str) -> Iterator[str]:
        """Yield pieces of the answer as they are written, tags and all. An empty question asks for a caption.

        Pieces may be empty. The work for a piece is done while it is asked for and not ahead of that, so that others
        get their turn in between.
        """
        ...

    def read(self, text: str, height: int, width: int) -> Reading:
        """Return an answer as people read it, with the places it speaks of in pixels of an image of this size.

        ``text`` is the pieces put together, or as far as they have come. Whatever cannot be read stays text.
        """
        ...


@runtime_checkable
class Describer(Protocol):
    """Says of an image what is in it, without being asked for anything; ``tasks`` are the ways it can do so.

    "things" are boxes with names, "regions" boxes with descriptions, and "written words" what is written in the
    image and where. A "grounded caption" is one whose phrases are tied to boxes.
    """

    tasks: tuple[Task, ...]

    def describe(self, image: np.ndarray, task: Task, text: str = "") -> Reading:
        """Return a description with its places in pixels.

        ``text`` is a caption of one's own, to be grounded rather than one that the model writes. Raises BadInput
        for a task that is none of ``tasks``, and for a text where the model takes none.
        """
        ...


PROTOCOLS: dict[Role, type] = {
    "segmenter": Segmenter,
    "follower": Follower,
    "detector": Detector,
    "text-detector": TextDetector,
    "example-detector": ExampleDetector,
    "semantic": SemanticSegmenter,
    "classifier": Classifier,
    "pose": PoseEstimator,
    "matter": Matter,
    "cutter": Cutter,
    "embedder": Embedder,
    "answerer": Answerer,
    "describer": Describer,
}
