"""Works on a job until it is done or killed: python -m tests.predict.session FOLDER JOB"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from studio.operations.running import Run
from studio.project import Store
from tests.predict.squares import Squares


class Slow(Squares):
    def annotate(self, records, pictures):
        time.sleep(0.004)
        return super().annotate(records, pictures)


if __name__ == "__main__":
    store = Store(Path(sys.argv[1]))
    run = Run(store, store.job(sys.argv[2]), Slow())
    print("begun", flush=True)
    run.wait()
    print(store.job(sys.argv[2]).state, flush=True)
