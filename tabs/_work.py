"""One long operation of one person, with how far it is, a way to stop it, and what to read afterwards."""

from __future__ import annotations

import asyncio
import html
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import gradio as gr

from studio.errors import Cancelled
from studio.failures import sentence

Progress = Callable[[int, int, str], None]
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
LONG: dict[str, Any] = {**QUIET, "concurrency_limit": 16}
LONGEST_LIST = 200


class Work:
    """Runs an operation in a thread of its own. Whoever holds it may watch it and stop it.

    ``run(progress, cancel)`` calls ``progress(done, total, what)`` as it goes, and stops soon after the event
    ``cancel`` is set. The work goes on when the page that started it is closed.
    """

    def __init__(self, title: str, run: Callable[[Progress, threading.Event], Any]) -> None:
        self.title = title
        self.done = 0
        self.total = 0
        self.what = ""
        self.result: Any = None
        self.error: BaseException | None = None
        self._run = run
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name=title, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self.result = self._run(self._progress, self._stopped)
        except BaseException as error:  # told to whoever watches
            self.error = error

    def _progress(self, done: int, total: int, what: str = "") -> None:
        self.done, self.total, self.what = done, total, what

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask the work to stop. What it has finished stays."""
        self._stopped.set()

    async def watch(self, every: float = 0.3) -> AsyncIterator[str]:
        """Yield a progress bar until the work has ended."""
        while self.running:
            yield self.bar()
            await asyncio.sleep(every)

    def bar(self) -> str:
        """Return how far the work is, as HTML."""
        stopping = self._stopped.is_set()
        title = "Stopping …" if stopping else f"{html.escape(self.title)} …"
        share = f' value="{min(self.done, self.total)}" max="{self.total}"' if self.total else ""
        far = f"{self.done:,} of {self.total:,}" if self.total else f"{self.done:,}" if self.done else ""
        line = f'<div class="work-line"><span>{title}</span><span>{far}</span></div>'
        what = f'<div class="work-what">{html.escape(self.what)}</div>' if self.what else ""
        return f'<div class="work" role="status">{line}<progress{share}></progress>{what}</div>'

    def failure(self) -> str | None:
        """Return why the work failed, as HTML, or None where it did not."""
        if self.error is None:
            return None
        if isinstance(self.error, Cancelled):
            return report(str(self.error) or "Stopped. What was finished is kept.")
        return trouble(sentence(self.error))


def stopping(work: Work | None) -> Any:
    """Stop a work, and return the update of the button that was pressed for it."""
    if work is not None:
        work.stop()
    return gr.Button("Stopping …", interactive=False)


def report(headline: str, details: Sequence[str] = (), *, heading: str = "") -> str:
    """Return a headline and, below it, a list that can be folded out. All of it is escaped."""
    lines = [f'<div class="work-report" role="status"><b>{html.escape(headline)}</b>']
    if details:
        items = "".join(f"<li>{html.escape(d)}</li>" for d in details[:LONGEST_LIST])
        if len(details) > LONGEST_LIST:
            items += f"<li>… and {len(details) - LONGEST_LIST:,} more</li>"
        open_ = " open" if len(details) <= 8 else ""
        lines.append(f"<details{open_}><summary>{html.escape(heading)}</summary><ul>{items}</ul></details>")
    return "".join(lines) + "</div>"


def trouble(text: str) -> str:
    """Return a sentence about what went wrong, as HTML."""
    return f'<div class="work-report work-trouble" role="alert">{html.escape(text)}</div>'


def time_left(seconds: float) -> str:
    """Return about how long something still takes, as people say it."""
    return f"about {f'{seconds:.0f} s' if seconds < 90 else f'{seconds / 60:.0f} min'} left"


def ticked() -> Any:
    """Return the update that makes one of our components ask the server anew."""
    return gr.HTML(tick=time.time_ns() // 1_000_000)


def many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
