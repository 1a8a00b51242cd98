"""What a run over many pictures proposed, as the person sees it: small pictures to accept or reject."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from studio.operations.propagate import Outcome, Proposed
from tabs._pictures import BUTTONS, source
from tabs._work import Progress, many, report, time_left

SHOWN = 60  # proposals with a picture; the others wait as drafts on their images, and in "all"

STYLE = (
    BUTTONS
    + """
.carried { display: grid; grid-template-columns: repeat(auto-fill, minmax(152px, 1fr)); gap: 12px; max-height: 55vh;
  overflow-y: auto; color: var(--body-text-color); }
figure { margin: 0; min-width: 0; }
img { display: block; width: 100%; height: 130px; object-fit: contain; border-radius: 8px;
  background: var(--background-fill-secondary); }
figcaption { font-size: 12px; margin: 4px 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
figcaption small { color: var(--body-text-color-subdued); }
.settled { opacity: .55; }
.acts { display: flex; gap: 4px; min-height: 28px; align-items: center; font-size: 13px; }
button { padding: 3px 8px; }
"""
)
PRESSED = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (!button || button.disabled) return;
  if (button.dataset.act !== 'open') {
    button.parentElement.querySelectorAll('button').forEach((other) => { other.disabled = true; });
  } else document.getElementById('canvas')?.scrollIntoView({behavior: 'smooth', block: 'nearest'});
  trigger('judge', {act: button.dataset.act, id: button.dataset.id});
});
"""


@dataclass
class Review:
    """What one run proposed, as it grows, and what became of it: annotation ids to "accepted" or "rejected"."""

    proposed: list[Proposed] = field(default_factory=list)
    settled: dict[str, str] = field(default_factory=dict)
    outcome: Outcome | None = None

    @property
    def open(self) -> list[Proposed]:
        return [p for p in self.proposed if p.annotation.id not in self.settled]


def paced(progress: Progress) -> Progress:
    """Return a progress that adds about how long the rest will take; the first image, slower, is not counted."""
    began: list[float] = []

    def told(done: int, total: int, what: str = "") -> None:
        now = time.monotonic()
        if done >= 1 and not began:
            began.append(now)
        if done >= 2 and done < total:
            left = (now - began[0]) / (done - 1) * (total - done)
            what = f"{what} · {time_left(left)}"
        progress(done, total, what)

    return told


def outcome(review: Review) -> str:
    """Return what a finished run came to, as HTML."""
    ended = review.outcome
    pictures = len({p.image.id for p in ended.proposed})
    if ended.proposed:
        headline = (
            f"{many(len(ended.proposed), 'draft')} proposed on {many(pictures, 'picture')}, "
            f"of {ended.looked} looked at. They wait on their pictures, too."
        )
    else:
        headline = f"Nothing to propose on the {many(ended.looked, 'picture')} looked at."
    return report(headline, ended.notes, heading=many(len(ended.notes), "note"))


def settled(review: Review, troubles: Sequence[str]) -> str:
    """Return how many proposals were accepted and rejected by now, as HTML."""
    words = list(review.settled.values())
    parts = [
        f"{words.count(word)} {word}" for word in ("accepted", "rejected", "taken back") if word in words
    ]
    text = f"{', '.join(parts) or 'Nothing changed'}; {len(review.open)} left."
    return report(text[0].upper() + text[1:], troubles, heading=many(len(troubles), "note"))


def listed(review: Review, judging: bool = True) -> str:
    """Return the proposals with their small pictures, as HTML."""
    if not review.proposed:
        return ""
    figures = "".join(
        _figure(p, review.settled.get(p.annotation.id), judging) for p in review.proposed[:SHOWN]
    )
    rest = len(review.proposed) - SHOWN
    more = (
        f"<p>… and {rest:,} more, as drafts on their pictures; the buttons below mean them, too.</p>"
        if rest > 0
        else ""
    )
    return f'<div class="carried">{figures}</div>{more}'


def _figure(proposed: Proposed, became: str | None, judging: bool) -> str:
    name = html.escape(proposed.image.name)
    label = html.escape(proposed.annotation.class_name)
    what = f"{label} on {name}"
    judge = html.escape(became) if became else _button(proposed, "Accept") + _button(proposed, "Reject")
    acts = f"{judge}{_button(proposed, 'Open')}" if judging else ""
    state = ' class="settled"' if became else ""
    return (
        f'<figure{state} title="{what}"><img src="{source(proposed.picture)}" alt="{what}">'
        f"<figcaption>{label} <small>{proposed.annotation.score:.2f} · {name}</small></figcaption>"
        f'<div class="acts">{acts}</div></figure>'
    )


def _button(proposed: Proposed, text: str) -> str:
    what = html.escape(f"{text} {proposed.annotation.class_name} on {proposed.image.name}")
    return (
        f'<button type="button" data-act="{text.lower()}" data-id="{proposed.annotation.id}" '
        f'aria-label="{what}">{text}</button>'
    )
