"""`--cluster` with data in an object store: workers read their own ranges, and one of them dies."""

import io

import boto3
import numpy as np
import pyarrow as pa
import pytest
from clustered import cluster_in
from moto.server import ThreadedMotoServer
from pyarrow import parquet

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}
ROWS = 3_000_000
SHARDS = 3


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster beside a server that speaks S3, in which there are arrays and shards of a table."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (SETTINGS | {"AWS_ENDPOINT_URL": endpoint}).items():
                patch.setenv(name, value)
            fill(boto3.client("s3"))
        with cluster_in(tmp_path_factory.mktemp("s3"), **SETTINGS, AWS_ENDPOINT_URL=endpoint) as found:
            yield found
    finally:
        server.stop()


def fill(store):
    """Put an array of each role, and a table in shards, into a bucket."""
    store.create_bucket(Bucket="bucket")
    numbers = np.random.default_rng(0).normal(size=(2, ROWS)).astype(np.float32)
    for role, column in zip(("pred", "target"), numbers, strict=True):
        file = io.BytesIO()
        np.save(file, column)
        store.put_object(Bucket="bucket", Key=f"{role}.npy", Body=file.getvalue())
    for number, part in enumerate(np.array_split(numbers[:, : ROWS // 5], SHARDS, axis=1)):
        file = io.BytesIO()
        parquet.write_table(pa.table({"p": part[0], "t": part[1]}), file, row_group_size=30_000)
        store.put_object(Bucket="bucket", Key=f"shards/{number}.parquet", Body=file.getvalue())
    store.close()


def test_shards_of_a_table(cluster):
    words = ["compute", "mse,huber", "s3://bucket/shards/*.parquet:p", "s3://bucket/shards/:t"]
    here = cluster.run(*words)
    assert here[0] == 0, here[2]
    assert cluster.run(*words, "--cluster", cluster.address) == here


def test_a_killed_worker_changes_no_bit(cluster):
    words = ["compute", "mse", "s3://bucket/pred.npy", "s3://bucket/target.npy", "-b"]
    code, here, _ = cluster.run(*words)
    run = cluster.start(*words, "--cluster", cluster.address)
    killed, done, left = cluster.ask("kill").split()
    out, err = run.communicate(timeout=120)
    assert (code, run.returncode, err) == (0, 0, "")
    assert killed == "killed"
    assert int(done) > 0 < int(left)
    assert out == here
