"""Log slow imports. Python imports this module at start-up if it is on the path.

Only the outermost of imports within imports counts, so that no second is counted twice.
"""

import builtins
import logging
import threading
import time
from typing import Any

LEAST_S = 0.01
_import = builtins.__import__
_here = threading.local()


def _timed(*words: Any, **named: Any) -> Any:
    if getattr(_here, "importing", False):
        return _import(*words, **named)
    _here.importing = True
    began = time.monotonic()
    try:
        return _import(*words, **named)
    finally:
        _here.importing = False
        if (took := time.monotonic() - began) >= LEAST_S:
            logging.getLogger("timed").info("imported %s in %.3f s", words[0], took)


builtins.__import__ = _timed
