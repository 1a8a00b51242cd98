"""The process that decodes uploads: bytes in, size and small copies out, within limits of memory.

It is started by ``studio.intake.guard`` and speaks lines of JSON, each followed by the bytes it announces.
It never sends anything that its reader would have to execute, so taking it over gains little.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

from studio import images
from studio.errors import StudioError
from studio.images import Derived
from studio.intake.guard import READY

try:
    import resource
except ImportError:  # Windows has no such limits; there the time limit alone guards
    resource = None


Derive = Callable[[bytes, str], Derived]


def serve(derive: Derive, asked: BinaryIO, answers: BinaryIO, megabytes: int) -> None:
    """Answer requests until the other end closes."""
    while line := asked.readline():
        request = json.loads(line)
        data = asked.read(request["bytes"])
        _answer(answers, _derived(derive, data, request["name"], megabytes))
        del data


def _derived(derive: Derive, data: bytes, name: str, megabytes: int) -> Derived | dict[str, str]:
    try:
        return derive(data, name)
    except StudioError as error:
        return {"error": str(error), "kind": type(error).__name__}
    except MemoryError:
        who = f"“{name[:200]}”" if name else "The file"
        said = f"{who} needs more than {megabytes} MB of memory to decode. Scale it down or save it as JPEG."
        return {"error": said, "kind": "BadInput"}
    except Exception as error:  # a bug of ours, or a damage no plugin foresaw; it must not end the process
        return {"error": f"{type(error).__name__}: {error}"[:300], "kind": "bug"}


def _answer(answers: BinaryIO, result: Derived | dict[str, str]) -> None:
    if isinstance(result, Derived):
        display = result.display or b""
        head = {
            "width": result.width,
            "height": result.height,
            "format": result.format,
            "display": len(display),
            "thumbnail": len(result.thumbnail),
        }
        answers.write(json.dumps(head).encode() + b"\n" + display + result.thumbnail)
    else:
        answers.write(json.dumps(result).encode() + b"\n")
    answers.flush()


def limit_memory(megabytes: int) -> None:
    """Bound this process's own memory, where the system can: Linux counts it in RLIMIT_DATA."""
    if resource is not None and sys.platform == "linux":
        limit = megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def use_one_thread() -> None:
    """Keep decoders to one thread each: the guard already runs one process a core."""
    images.AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    if images.pillow_heif is not None:
        images.pillow_heif.options.DECODE_THREADS = 1


def main(derive: Derive = images.derive) -> None:
    """Serve on standard input and output; the argument is the memory limit in MB."""
    megabytes = int(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the studio, which then closes our input
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a C library prints must not get between the answers
    use_one_thread()
    limit_memory(megabytes)
    answers.write(READY)
    answers.flush()
    serve(derive, sys.stdin.buffer, answers, megabytes)


if __name__ == "__main__":
    main()
