"""Addresses: read by ranges or whole, refused in one sentence that gives no secret away."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import golden
import numpy as np
import pytest
from serving import serving

from lossctl.errors import MissingExtra, UsageError
from lossctl.sources import remote
from lossctl.sources.files import Files
from lossctl.sources.source import Given

ROWS = b"pred,target\n1,2\n3,4\n"
BIG = np.arange(600_000.0).reshape(-1, 3)


def saved(save, *arrays, **named):
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


@pytest.fixture(scope="module")
def contents():
    return {
        "t.csv": ROWS,
        "t.csv.gz": gzip.compress(ROWS),
        "a.npy": saved(np.save, np.arange(5)),
        "mask.npy": saved(np.save, np.array([1, 1])),
        "big.npy": saved(np.save, BIG),
        "big.npz": saved(np.savez, a=BIG, b=np.arange(3)),
        "packed.npz": saved(np.savez_compressed, a=BIG, b=np.arange(3)),
        "cut.csv.gz": gzip.compress(ROWS * 100)[:-9],
        "empty.csv": b"",
        "login.csv": b"\n <!DOCTYPE html><title>Who are you?</title>",
        "odd name é.csv": ROWS,
    }


@pytest.fixture
def site(contents, monkeypatch):
    # Whatever proxy there is, this machine does not ask it about itself.
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(dict(contents)) as found:
        yield found


@pytest.mark.parametrize("way", ["range", "plain", "chunked"])
def test_every_format_and_compression(folder, site, way):
    base = f"{site.address}/{way}"
    assert folder.array(f"{base}/a.npy").tolist() == [0, 1, 2, 3, 4]
    assert folder.array(f"{base}/t.csv:target").tolist() == [2, 4]
    assert folder.array(f"{base}/t.csv.gz::pred").tolist() == [1, 3]
    for archive in ("big.npz", "packed.npz"):
        np.testing.assert_array_equal(folder.array(f"{base}/{archive}:b"), np.arange(3))
        np.testing.assert_array_equal(folder.reader(f"{base}/{archive}:a").read(70_000, 150_000), BIG[70_000:150_000])


def test_only_what_is_needed_is_read(folder, site):
    reader = folder.reader(f"{site.address}/range/big.npy")
    np.testing.assert_array_equal(reader.read(100_000, 100_100), BIG[100_000:100_100])
    assert site.sent() < 3 << 20 < BIG.nbytes
    before = len(site.asked)
    np.testing.assert_array_equal(reader.read(100_100, 100_200), BIG[100_100:100_200])
    assert len(site.asked) == before
    np.testing.assert_array_equal(reader.read(0, 200_000), BIG)
    assert len(site.asked) == before + 1


def test_other_axes_and_paths_take_one_copy(folder, site):
    reader = folder.reader(f"{site.address}/range/big.npy")
    for column in range(3):
        np.testing.assert_array_equal(reader.read(column, column + 1, 1)[:, 0], BIG[:, column])
    assert sum(not span for _, span, _ in site.asked) == 1
    assert reader.stored.remote
    assert Path(reader.stored.openable).read_bytes() == site.files["big.npy"]


def test_readers_work_from_several_threads_and_processes(folder, site):
    part = folder.reader(f"{site.address}/range/big.npy?key=s3cret").part
    sent = pickle.dumps(part)
    assert len(sent) < 2000
    again = pickle.loads(sent)  # noqa: S301 - our own
    with ThreadPoolExecutor(4) as pool:
        pieces = list(pool.map(lambda i: again.read(i, i + 20_000), range(0, 200_000, 20_000)))
    np.testing.assert_array_equal(np.concatenate(pieces), BIG)


def test_the_hash_is_that_of_the_file(folder, site, contents):
    for name in ("t.csv.gz", "big.npz"):
        facts = folder.reader(f"{site.address}/range/{name}:{'pred' if 'csv' in name else 'b'}").facts()
        assert facts["sha256"] == hashlib.sha256(contents[name]).hexdigest()


def test_secrets_are_not_repeated(folder, site):
    secret = site.address.replace("http://", "http://me:s3cret@")
    reader = folder.reader(f"{secret}/range/t.csv?sig=s3cret::pred")
    bare = f"{site.address}/range/t.csv"
    assert (reader.name, reader.facts()["path"], reader.facts()["key"]) == (f"{bare}:pred", bare, "pred")
    faults = [f"{secret}/{way}?sig=s3cret" for way in ("range/none.csv", "deny/t.csv", "broken/t.csv", "short/big.npy")]
    faults += [
        f"{secret}/range/t.csv?sig=s3cret::none",
        f"{secret}/range/cut.csv.gz?sig=s3cret",
        f"{secret}/range/t.csv?s3cret::",
    ]
    for text in faults:
        fault = folder.fault(text)
        assert "s3cret" not in fault
        assert site.address in fault


def test_faults_are_one_sentence(folder, site, monkeypatch):
    base = site.address
    assert folder.fault(f"{base}/range/none.csv") == f"MissingFile: There is no file {base}/range/none.csv. Check the address."
    assert f"{base}/deny/t.csv may not be read: the server answers 403." in folder.fault(f"{base}/deny/t.csv")
    assert f"{base}/broken/t.csv could not be read: the server answers 500." in folder.fault(f"{base}/broken/t.csv")
    assert "Connection refused (127.0.0.1)" in folder.fault("http://127.0.0.1:1/t.csv")
    assert "cut.csv.gz, compressed by gzip, is cut short" in folder.fault(f"{base}/range/cut.csv.gz")
    assert f"{base}/range/login.csv is a web page, not data." in folder.fault(f"{base}/range/login.csv:pred")
    assert "Web servers have no patterns" in folder.fault(f"{base}/range/*.csv")
    assert "empty.csv is empty" in folder.fault(f"{base}/plain/empty.csv")
    assert folder.fault(f"{base}/short/big.npy").startswith(f"UnreadableFile: {base}/short/big.npy could not be read")
    assert "no longer gives the bytes that it is asked for" in folder.fault(f"{base}/fickle/big.npy")
    monkeypatch.setattr(remote, "SILENCE", 0.3)
    remote.opened.cache_clear()
    assert "127.0.0.1 did not answer in time" in folder.fault(f"{base}/silent/t.csv")
    remote.opened.cache_clear()


def test_a_busy_server_is_asked_again(folder, site, monkeypatch):
    monkeypatch.setattr(remote, "PAUSES", (0.01, 0.01))
    site.busy = 2
    assert folder.array(f"{site.address}/range/t.csv:pred").tolist() == [1, 3]


def test_odd_names_and_queries(folder, site):
    assert folder.array(f"{site.address}/range/t.csv?a=b:c&d=%2F::pred").tolist() == [1, 3]
    assert site.asked[-1][0] == "/range/t.csv?a=b:c&d=%2F"
    site.files["odd%20name%20%C3%A9.csv"] = ROWS
    assert folder.array(f"{site.address}/range/odd name é.csv:pred").tolist() == [1, 3]


def test_an_address_is_never_relative(site, tmp_path):
    from lossctl.request.arguments import _from_here

    files = Files(str(tmp_path / "nowhere"))
    assert files.open(Given(f"{site.address}/range/a.npy"), "pred").shape == (5,)
    assert _from_here(f"{site.address}/range/a.npy", str(tmp_path)) == f"{site.address}/range/a.npy"
    assert _from_here("file:///a.npy", str(tmp_path)) == "/a.npy"


@pytest.mark.parametrize(("module", "install"), [("fsspec", "'lossctl[remote]'"), ("aiohttp", "'lossctl[remote]'")])
def test_what_is_not_installed_is_named(folder, monkeypatch, module, install):
    for name in [name for name in sys.modules if name.partition(".")[0] in {"fsspec", "aiohttp"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    remote.opened.cache_clear()
    with pytest.raises(MissingExtra) as caught:
        folder.reader("http://127.0.0.1:1/a.npy")
    assert caught.value.paragraph() == (
        f"Reading http:// addresses needs the package '{module}', which is not installed. Run: pip install {install}"
    )
    remote.opened.cache_clear()


def test_protocols_that_lead_elsewhere_are_none(folder):
    for text in ("zip://a.npy", "reference://x", "simplecache://x", "nothing://x"):
        with pytest.raises(UsageError, match="is no protocol that lossctl reads"):
            folder.reader(text)
    with pytest.raises(UsageError, match="is no protocol"):
        folder.reader("zip://a.npy::https://example.org/a.zip")


def test_every_kind_of_source_of_a_command(site, tmp_path):
    base = f"{site.address}/range"
    spec = {"loss": "mse", "inputs": {"pred": {"file": f"{base}/t.csv.gz", "column": "pred"}, "target": f"{base}/t.csv:target"}}
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "spec.yaml").write_text(json.dumps(spec))
    by_hand = f"mse {base}/t.csv.gz:pred {base}/t.csv:target"
    for words in (
        "sub/spec.yaml",
        f"sub/spec.yaml -i pred={base}/t.csv::pred",
        f"{by_hand} --weights {base}/t.csv:pred --mask {base}/mask.npy",
        f"mse {base}/t.csv.gz:pred {base}/t.csv:pred --on target",
    ):
        outcome = golden.run({"argv": f"compute {words} -b"}, tmp_path)
        assert (outcome.code, outcome.stderr) == (0, ""), outcome
        assert outcome.stdout == ("0.0\n" if "--on" in words else "1.0\n")


def test_a_spec_is_a_file_here():
    from lossctl.request.arguments import _is_spec

    with pytest.raises(UsageError, match="is an address, and a spec is a file here"):
        _is_spec(["https://example.org/spec.yaml"])
    assert not _is_spec(["ce:weight=@https://example.org/w.yaml", "a.npy", "b.npy"])


def test_results_are_not_written_to_addresses(capsys):
    from lossctl.cli.program import _run

    for flag in ("-o", "--summary", "--partial"):
        assert _run(["compute", "mse", "[1]", "[2]", flag, "s3://bucket/r.json?x=1"]) == 2
        said = f"{flag} s3://bucket/r.json is an address, and results are written to files"
        assert said in capsys.readouterr().err
