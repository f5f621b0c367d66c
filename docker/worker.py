"""Start a Celery worker that has imported what tasks import: it forks a process for each, which then begins at once.

`python docker/worker.py WORDS…`, the words of `airflow celery worker`.
"""

import gc
import sys

from airflow.__main__ import main

from pipeline.preload import preload

if __name__ == "__main__":
    preload()
    gc.freeze()  # nothing imported is garbage: a child that looked would make a copy of all of it
    sys.argv[1:1] = ["celery", "worker"]
    main()
