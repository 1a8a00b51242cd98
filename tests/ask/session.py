"""Works on a job that asks until it is done or killed: python -m tests.ask.session FOLDER JOB"""

from __future__ import annotations

import sys
from pathlib import Path

from studio.operations import jobs
from tests.ask.world import Teller, studio_of_answers

if __name__ == "__main__":
    studio, _, _ = studio_of_answers(Path(sys.argv[1]), Teller(seconds=0.01))
    job = jobs.go_on(studio, "ann", sys.argv[2])
    print("begun", flush=True)
    jobs.runs(studio).get(job.id).wait()
    print(studio.store.job(job.id).state, flush=True)
