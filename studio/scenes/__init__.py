"""Still lifes drawn by a program with exact truth: the sample project, and what the demo models learn from."""

from studio.scenes.light import STYLES
from studio.scenes.still_life import KEYPOINTS, Scene, Thing, still_life
from studio.scenes.stream import stream
from studio.scenes.words import CLASSES, PHRASES, Question

__all__ = ["CLASSES", "KEYPOINTS", "PHRASES", "STYLES", "Question", "Scene", "Thing", "still_life", "stream"]
