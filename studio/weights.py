"""Opening a checkpoint file of torch without running anything that is in it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

from studio.errors import BadInput

MOST_PICKLED = 64 << 20  # bytes of what describes the tensors; those of the largest networks stay below 1 MB
_ASKED = re.compile(r"GLOBAL ([\w.]+)")


def open_weights(path: Path, name: str | None = None) -> Any:
    """Return what a file saved by torch.save holds; its tensors stay on the disk until they are read.

    ``name`` is what the person calls the file. Raises BadInput, which names what the file asked to run, or says
    what is wrong with it.
    """
    import torch

    name = name or path.name
    try:
        zipped = _is_sound_zip(path, name)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # a file made to do harm may break the reader in any way
        raise _refused(name, str(error)) from None


def _is_sound_zip(path: Path, name: str) -> bool:
    """Say whether the file is a zip as torch writes it; older files are not. Raises BadInput for another zip."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise BadInput(
                    f"{name} is a packed zip, which torch does not write. Give the checkpoint itself."
                )
            if entry.filename.endswith(".pkl") and entry.file_size > MOST_PICKLED:
                raise BadInput(f"{name} describes more than any network needs, and was not opened.")
    return True


def _refused(name: str, reason: str) -> BadInput:
    asked = _ASKED.search(reason)
    if asked:
        return BadInput(
            f"{name} was not opened: it asks to run {asked[1][:100]}, and weights ask to run nothing. Take the file "
            "from its authors, or, where it is your own, save its weights alone: torch.save(model.state_dict(), …)."
        )
    first = " ".join(reason.split())[:120] or "no reason is given"
    return BadInput(f"{name} is no checkpoint of torch, or is damaged. ({first})")
