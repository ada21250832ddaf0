"""Object stores: fsspec's own in memory, and a server that speaks S3 on the loopback address."""

from __future__ import annotations

import gzip
import io
import pickle

import numpy as np
import pytest

from lossctl.sources import remote

ROWS = "yhat,y\n{0},1\n"
OBJECTS = {
    "preds/p1.csv": ROWS.format(1).encode(),
    "preds/p10.csv.gz": gzip.compress(ROWS.format(10).encode()),
    "preds/p2.csv": ROWS.format(2).encode(),
    "preds/part=0/q.csv": ROWS.format(6).encode(),
    "preds/_SUCCESS": b"",
    "preds/.p1.csv.crc": b"junk",
    "mixed/a.csv": b"a\n1\n",
    "mixed/b.tsv": b"a\n1\n",
}


def array():
    file = io.BytesIO()
    np.save(file, np.arange(400_000.0))
    return file.getvalue()


@pytest.fixture
def memory():
    import fsspec

    files = fsspec.filesystem("memory")
    for name, content in (OBJECTS | {"a.npy": array()}).items():
        files.pipe(f"/bucket/{name}", content)
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


@pytest.fixture(scope="module")
def bucket():
    """A bucket on a server of moto's, and nothing of the credentials and settings that are here."""
    import boto3
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        server.start()
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        settings = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        settings |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        for name, value in {**settings, "AWS_ENDPOINT_URL": endpoint, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}.items():
            patch.setenv(name, value)
        store = boto3.client("s3")
        store.create_bucket(Bucket="bucket")
        for name, content in (OBJECTS | {"a.npy": array()}).items():
            store.put_object(Bucket="bucket", Key=name, Body=content)
        remote.opened.cache_clear()
        yield "s3://bucket"
        remote.opened.cache_clear()
        s3fs.S3FileSystem.clear_instance_cache()
        store.close()
        server.stop()


@pytest.fixture(params=["memory", "bucket"])
def store(request):
    return request.getfixturevalue(request.param)


def test_files_and_ranges(folder, store):
    reader = folder.reader(f"{store}/a.npy")
    assert reader.read(300_000, 300_003).tolist() == [300_000, 300_001, 300_002]
    np.testing.assert_array_equal(reader.read(0, 400_000), np.arange(400_000.0))
    assert folder.array(f"{store}/preds/p10.csv.gz:yhat").tolist() == [10]
    part = pickle.loads(pickle.dumps(reader.part))  # noqa: S301 - our own
    assert part.read(7, 9).tolist() == [7, 8]


def test_folders(folder, store):
    for text in ("preds/:yhat", "preds:yhat", "preds::yhat"):
        assert folder.array(f"{store}/{text}").tolist() == [1, 10, 2, 6]
    reader = folder.reader(f"{store}/preds/:yhat")
    assert reader.facts()["path"] == f"{store}/preds/"
    assert "preds/part=0/q.csv, line 2, column 'yhat'" in reader.place((3,))
    fault = folder.fault(f"{store}/mixed/:a")
    assert f"The folder {store}/mixed/ holds files of several formats: csv (a.csv) and tsv (b.tsv)." in fault


def test_patterns(folder, store):
    assert folder.array(f"{store}/preds/p*.csv*:yhat").tolist() == [1, 10, 2]
    assert folder.array(f"{store}/preds/p?.csv:yhat").tolist() == [1, 2]
    assert folder.array(f"{store}/preds/**/q.csv:yhat").tolist() == [6]
    assert f"No file matches '{store}/none/*.csv'" in folder.fault(f"{store}/none/*.csv:yhat")


def test_what_is_not_there(folder, store):
    assert folder.fault(f"{store}/none.npy") == f"MissingFile: There is no file {store}/none.npy. Check the address."
    assert folder.fault(f"{store}/none/").startswith("MissingFile: ")


def test_credentials_that_are_missing(folder, bucket, monkeypatch):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    remote.opened.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()
    fault = folder.fault(f"{bucket}/a.npy")
    assert fault.startswith("MissingFile: s3://bucket/a.npy may not be read: there are no credentials.")
    assert "FSSPEC_S3_ANON=true" in fault
    monkeypatch.setattr("fsspec.config.conf", {"s3": {"anon": "true"}})
    remote.opened.cache_clear()
    assert folder.fault(f"{bucket}/a.npy").startswith("MissingFile: s3://bucket/a.npy may not be read: permission denied.")
    remote.opened.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()
