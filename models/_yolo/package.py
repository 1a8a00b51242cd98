"""Importing ultralytics without what it does to the rest of the process."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

QUIET = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


def ultralytics() -> Any:
    """Return the package, with the modules the adapter calls imported.

    Raises ImportError where it is not installed.
    """
    if "ultralytics" in sys.modules:  # whoever imported it before chose his own settings
        return _imported()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with _undisturbed():
        return _imported()


def _imported() -> Any:
    import ultralytics
    import ultralytics.data.augment
    import ultralytics.nn.tasks
    import ultralytics.utils.nms
    import ultralytics.utils.ops

    return ultralytics


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put back what the import changes for everybody, and let its settings file go where nobody misses it.

    It sets OMP_NUM_THREADS for every child process, stops OpenCV's threads, replaces torch.save, and makes
    Pillow answer a file that is no picture by asking for one more package.
    """
    import cv2
    import numpy as np
    import torch
    from PIL import Image

    environment, threads = dict(os.environ), cv2.getNumThreads()
    replaced = [(torch, "save"), (Image, "open"), (cv2, "imread"), (cv2, "imwrite"), (cv2, "imshow")]
    before = [(module, name, getattr(module, name)) for module, name in replaced]
    with tempfile.TemporaryDirectory(prefix="studio-yolo-") as folder, np.printoptions():
        os.environ.setdefault("YOLO_CONFIG_DIR", folder)
        try:
            yield
        finally:
            for name in set(os.environ) - set(environment):
                del os.environ[name]
            os.environ.update(environment)
            cv2.setNumThreads(threads)
            for module, name, value in before:
                setattr(module, name, value)
