"""One stack for all tests of this folder: building it takes minutes, so it is started once, and ended at the end."""

import os
import secrets
from collections.abc import Iterator

import pytest

from benchmarks.stack.compose import Stack, engine
from tests.distributed.whole import require_whole

IN_CI = os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with two workers on the packaged sample; skipped where there is no Docker engine."""
    why_not = engine()
    if why_not:
        pytest.skip(f"there is no Docker engine: {why_not}")
    settings = {
        "PIPELINE_SOURCE": "sample",
        "PIPELINE_SYMBOLS": "",
        "HEARTBEAT_TIMEOUT_S": "30",
        "PIPELINE_TRAINING_STEPS": "150",
        # Nothing listens there, and nothing is in a bucket: these are to be found nowhere.
        "PIPELINE_YAHOO_URL": f"http://someone:{secrets.token_hex(24)}@127.0.0.1:9",
        **{name: secrets.token_hex(24) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")},
    }
    stack = Stack(tmp_path_factory.mktemp("stack"), settings)
    try:
        stack.compose("build", "--quiet")
        stack.up()
        yield stack
    finally:
        if os.environ.get("KEEP_STACK"):
            print(f"left: docker compose -p {stack.name} --env-file {stack.env_file}")
        else:
            stack.down(volumes=True)


@pytest.fixture(scope="session")
def first_run(stack: Stack) -> str:
    """The id of a daily run as of 2013-01-11 that has ended well: there is something to hide and to lose."""
    run_id = stack.trigger({"as_of": "2013-01-11"})
    assert stack.finish(run_id) == "success"
    require_whole(stack, run_id, "2013-01-11")
    return run_id
