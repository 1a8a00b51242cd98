"""What became of a job's images: how many annotations came of it, and which images failed and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from studio.operations.jobs import job_for
from studio.project import Job
from studio.studio import Studio

PAGE = 1000
ASKS = "ask"  # the kind of jobs that ask
COMMONEST = 12  # answers that a report names


@dataclass(frozen=True)
class Report:
    """``failed`` has the name of each image that could not be done, with the reason, in the job's order.

    ``answers`` are the commonest of a job that asks, with how many images gave each, of so many ``different`` ones.
    """

    job: Job
    added: int
    merged: int
    dropped: int
    failed: tuple[tuple[str, str], ...]
    answers: tuple[tuple[str, int], ...] = ()
    different: int = 0

    def sentence(self) -> str:
        job = self.job
        left = job.total - job.done - job.failed
        done = f"{job.done:,} of {job.total:,} images done"
        if job.kind == "embed":
            parts = [done]
        elif job.kind == ASKS:
            parts = [
                f"{done}: {self.added:,} answers written, {self.merged:,} there already, "
                f"{self.dropped:,} earlier ones replaced"
            ]
        else:
            parts = [
                f"{done}: {self.added:,} annotations added, {self.merged:,} merged into what was there, "
                f"{self.dropped:,} deleted"
            ]
        parts += [f"{job.failed:,} images failed"] if job.failed else []
        parts += [f"{left:,} images left"] if left else []
        return "; ".join(parts) + "."


def report(studio: Studio, person: str, job_id: str) -> Report:
    """Return what became of a job's images so far. Raises NotFound."""
    job = job_for(studio, job_id, person)
    counts: Counter[str] = Counter()
    failed: list[tuple[str, str]] = []
    after = -1
    while page := studio.store.job_report(job_id, failed_only=False, after=after, limit=PAGE):
        for entry in page:
            counts.update(entry.counts)
            if entry.state == "failed":
                failed.append((entry.image.name, entry.problem or ""))
        after = page[-1].position
    answers, different = studio.store.job_answers(job.id, limit=COMMONEST) if job.kind == ASKS else ([], 0)
    counted = counts["added"], counts["merged"], counts["dropped"]
    return Report(job, *counted, tuple(failed), tuple(answers), different)
