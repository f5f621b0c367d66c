"""The same stack with everything that is kept in a bucket: a server of this machine that speaks S3."""

import ipaddress
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from benchmarks.stack.compose import Stack, engine
from tests.distributed.whole import require_whole

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def gateway() -> str:
    """This machine's address as containers see it."""
    if why_not := engine():
        pytest.skip(f"there is no Docker engine: {why_not}")
    words = ["docker", "network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}"]
    (network, *_) = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    # What an engine does not name is the first address of the network.
    return str(network.get("Gateway") or next(ipaddress.ip_network(network["Subnet"]).hosts()))


@pytest.fixture(scope="module")
def secret() -> str:
    return secrets.token_hex(24)


@pytest.fixture(scope="module")
def s3_for_containers(gateway: str, s3: str) -> Iterator[str]:
    """The address of a server that shows containers the buckets of `s3`."""
    server = ThreadedMotoServer(ip_address=gateway, port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def files(s3: str, secret: str) -> S3FileSystem:
    requests.post(f"{s3}/moto-api/reset", timeout=10).raise_for_status()
    files = S3FileSystem(key="bell", secret=secret, endpoint_url=s3)
    files.mkdir("bell")
    return files


@pytest.fixture(scope="module")
def bucket_stack(
    s3_for_containers: str, files: S3FileSystem, secret: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    settings = {
        "PIPELINE_SOURCE": "sample",
        "PIPELINE_SYMBOLS": "",
        "PIPELINE_TRAINING_STEPS": "150",
        "PIPELINE_STORE_URI": "s3://bell/store",
        "PIPELINE_PUBLISH_URI": "s3://bell/published",
        "MLFLOW_ARTIFACTS": "s3://bell/mlflow",
        "AWS_ACCESS_KEY_ID": "bell",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_for_containers,
    }
    stack = Stack(tmp_path_factory.mktemp("bucket"), settings, workers=1)
    try:
        stack.compose("build", "--quiet")
        stack.up()
        yield stack
    finally:
        stack.down(volumes=True)


def test_a_daily_run_keeps_everything_in_the_bucket(bucket_stack: Stack, files: S3FileSystem, secret: str) -> None:
    run_id = bucket_stack.trigger({"as_of": "2013-01-14"})
    assert bucket_stack.finish(run_id) == "success"
    manifest = require_whole(bucket_stack, run_id, "2013-01-14")

    published = {Path(name).name for name in files.find("bell/published/as_of=2013-01-14")}
    assert {Path(name).name for name in manifest["files"]} <= published
    assert files.find("bell/store/snapshots")
    assert any(name.endswith("MLmodel") for name in files.find("bell/mlflow"))
    for service, folder in (("mlflow", "/var/lib/mlflow"), ("worker", "/var/lib/closing-bell")):
        kept = bucket_stack.compose("exec", "-T", service, "find", folder, "-type", "f").split()
        assert [name for name in kept if not name.startswith(f"{folder}/cache/")] == [], service
    assert secret not in bucket_stack.compose("logs", "--no-color")
    found = bucket_stack.run(
        "exec", "-T", "worker", "grep", "-rlaF", secret, "/var/lib/closing-bell", "/var/log/closing-bell"
    )
    assert found.returncode == 1, found.stdout
