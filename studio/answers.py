"""How the page's own components talk with the server: one dict in, one dict out, and never an exception.

A server function's exception would reach the browser as a null that says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from studio.errors import BadInput, StudioError
from studio.failures import sentence

Request = Mapping[str, Any]
Answer = dict[str, Any]


def answering(
    name: str,
    operations: Mapping[str, Callable[[Request], Answer]],
    more: Callable[[Request, str], Answer] = lambda request, kind: {},
) -> Callable[[dict], Answer]:
    """Return a server function called ``name`` that runs the operation a request names in ``op``.

    It answers ``{ok: True, seq, …}``, or ``{ok: False, seq, error, kind, …}`` with a sentence for the person and
    what ``more(request, kind)`` adds, where ``kind`` is the name of a StudioError, or "Bug".
    """

    def answer(request: dict) -> Answer:
        seq = request.get("seq") if isinstance(request, dict) else None
        try:
            if not isinstance(request, dict) or not isinstance(request.get("op"), str):
                raise BadInput("The page sent a request that cannot be read. Reload the page.")
            if request["op"] not in operations:
                raise BadInput(f"There is no operation “{request['op'][:40]}” here. Reload the page.")
            return {"ok": True, "seq": seq, **operations[request["op"]](request)}
        except Exception as error:
            kind = type(error).__name__ if isinstance(error, StudioError) else "Bug"
            return {"ok": False, "seq": seq, "error": sentence(error), "kind": kind, **more(request, kind)}

    answer.__name__ = name
    return answer
