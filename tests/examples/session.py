"""Works on a job by example until it is done or killed: python -m tests.examples.session FOLDER JOB"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from studio.operations import jobs
from tests.examples.world import Matcher, Models, studio_of_colours


class Slow(Matcher):
    def detect_encoded(self, images, encoded, *, floor=0.05):
        time.sleep(0.02)
        return super().detect_encoded(images, encoded, floor=floor)


if __name__ == "__main__":
    studio, _ = studio_of_colours(Path(sys.argv[1]), Models(matcher=Slow()))
    job = jobs.go_on(studio, "ann", sys.argv[2])
    print("begun", flush=True)
    jobs.runs(studio).get(job.id).wait()
    print(studio.store.job(job.id).state, flush=True)
