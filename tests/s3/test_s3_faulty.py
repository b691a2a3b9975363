"""The proxy that makes faults: what passes unharmed, and each kind of harm."""

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from faulty import Chance, Fault, FaultyProxy, parse

BUCKET = "erase-ray"


@pytest.fixture
def proxy(s3_server):
    with FaultyProxy(s3_server["AWS_ENDPOINT_URL"]) as made:
        yield made


@pytest.fixture
def client(proxy, s3_server):
    """A client of the lowest level, which tries each request once."""
    from botocore.config import Config
    from botocore.session import Session

    return Session().create_client(
        "s3",
        endpoint_url=proxy.url,
        aws_access_key_id=s3_server["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=s3_server["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(
            retries={"total_max_attempts": 1},
            read_timeout=20,
            s3={"addressing_style": "path"},
        ),
    )


def put(client, key, data=b"x", **more):
    return client.put_object(Bucket=BUCKET, Key=key, Body=data, **more)


def get(client, key):
    return client.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def code(error):
    return error.value.response["Error"]["Code"]


def test_all_that_a_client_asks_passes(client, proxy):
    from botocore.exceptions import ClientError

    large = os.urandom(6 << 20)
    put(client, "proxy/a b+c/é", large)  # signed in chunks, after a 100 Continue
    assert get(client, "proxy/a b+c/é") == large
    assert client.head_object(Bucket=BUCKET, Key="proxy/a b+c/é")["ContentLength"] == len(large)
    put(client, "proxy/empty", b"")
    assert get(client, "proxy/empty") == b""
    with pytest.raises(ClientError) as missing:
        client.head_object(Bucket=BUCKET, Key="proxy/none")
    assert code(missing) == "404"
    with pytest.raises(ClientError) as taken:
        put(client, "proxy/empty", b"1", IfNoneMatch="*")
    assert code(taken) == "PreconditionFailed"
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="proxy/parts")["UploadId"]
    where = {"Bucket": BUCKET, "Key": "proxy/parts", "UploadId": upload}
    parts = []
    for number, piece in enumerate((large[: 5 << 20], large[5 << 20 :]), 1):
        tag = client.upload_part(**where, PartNumber=number, Body=piece)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert get(client, "proxy/parts") == large
    gone = [{"Key": f"proxy/{name}"} for name in ("a b+c/é", "empty", "parts")]
    client.delete_objects(Bucket=BUCKET, Delete={"Objects": gone})
    assert "Contents" not in client.list_objects_v2(Bucket=BUCKET, Prefix="proxy/")
    assert not proxy.struck()
    assert {seen.status for seen in proxy.log} <= {200, 204, 404, 412}


def test_s3fs_reads_and_writes_through_it(s3_server, proxy):
    import s3fs

    fs = s3fs.S3FileSystem(
        key=s3_server["AWS_ACCESS_KEY_ID"],
        secret=s3_server["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=proxy.url,
        skip_instance_cache=True,
    )
    data = {f"{BUCKET}/fs/{number}": os.urandom(100_000) for number in range(20)}
    fs.pipe(data)
    assert fs.cat(list(data)) == data
    assert len(fs.find(f"{BUCKET}/fs")) == 20
    large = os.urandom(101 << 20)  # several parts at once
    fs.pipe_file(f"{BUCKET}/fs/large", large)
    assert fs.cat_file(f"{BUCKET}/fs/large") == large
    fs.rm(f"{BUCKET}/fs", recursive=True)


def test_a_status_is_told_and_nothing_forwarded(client, proxy):
    from botocore.exceptions import ClientError

    proxy.faults.append(Fault("status", times=2, method="PUT"))
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            put(client, "status", bytes(3 << 20))
        assert code(error) == "SlowDown"
    put(client, "status", b"third")
    assert get(client, "status") == b"third"
    assert [(seen.status, seen.told) for seen in proxy.log] == [
        (503, 0),
        (503, 0),
        (200, 200),
        (200, 200),
    ]


def test_forbidden_once_for_one_path(client, proxy):
    from botocore.exceptions import ClientError

    proxy.faults.append(Fault("forbid", path=r"/secret$", skip=1))
    put(client, "secret", b"1")
    with pytest.raises(ClientError) as error:
        get(client, "secret")
    assert code(error) == "AccessDenied"
    assert get(client, "secret") == b"1"
    assert len(proxy.struck("forbid")) == 1


def test_dropped_before_the_server_knows_and_after(client, proxy):
    from botocore.exceptions import ClientError, HTTPClientError

    proxy.faults += [Fault("drop_request"), Fault("drop_reply", path="after")]
    with pytest.raises(HTTPClientError):
        put(client, "before", bytes(1 << 20))
    with pytest.raises(HTTPClientError):
        put(client, "after", b"2")
    with pytest.raises(ClientError) as missing:
        get(client, "before")
    assert code(missing) == "NoSuchKey"
    assert get(client, "after") == b"2"
    assert [seen.told for seen in proxy.struck()] == [0, 200]


def test_slow_and_cut_answers(client, proxy):
    from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError

    put(client, "slow", bytes(1000))
    proxy.faults += [
        Fault("slow", seconds=0.2),
        Fault("trickle", seconds=0.2),
        Fault("cut_reply"),
    ]
    assert get(client, "slow") == bytes(1000)
    assert get(client, "slow") == bytes(1000)
    with pytest.raises((HTTPClientError, IncompleteReadError, ResponseStreamingError)):
        get(client, "slow")
    assert get(client, "slow") == bytes(1000)
    times = [seen.time for seen in proxy.log[1:]]
    assert times[1] - times[0] >= 0.2
    assert times[2] - times[1] >= 0.2


def test_a_connection_serves_many_requests(proxy):
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=20)
    proxy.faults.append(Fault("status", method="POST", status=500, code="InternalError"))
    sock = None
    for method, body in (("GET", None), ("POST", b"ignored"), ("HEAD", None), ("GET", None)):
        connection.request(method, f"/{BUCKET}", body)
        assert sock in (None, connection.sock)
        sock = connection.sock
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == (500 if method == "POST" else 403)
        assert (b"<Code>" in text) == (method != "HEAD")
    connection.close()


def test_chances_follow_their_seed():
    def drawn(seed):
        chance = Chance("status", probability=0.3, seed=seed, method="PUT")
        return [chance.strikes("PUT", "/a") for _ in range(200)]

    assert drawn(7) == drawn(7) != drawn(8)
    assert 40 < sum(drawn(7)) < 80
    bounded = Chance("status", probability=0.5, seed=1, times=3)
    assert sum(bounded.strikes("GET", "/") for _ in range(100)) == 3


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="no fault is called 'flood'; known: status, forbid, "):
        Fault("flood")


def test_faults_from_text():
    first, second = parse('[{"kind": "forbid"}, {"kind": "slow", "probability": 0.5}]')
    assert (first.status, first.code, first.times) == (403, "AccessDenied", 1)
    assert isinstance(second, Chance)


def test_as_a_process_of_its_own(s3_server):
    command = [sys.executable, Path(__file__).with_name("faulty.py"), s3_server["AWS_ENDPOINT_URL"]]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().strip()
        for faults, status in (([{"kind": "status"}], 503), ([], 403)):
            process.stdin.write(json.dumps(faults) + "\n")
            process.stdin.flush()
            process.stdout.readline()
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
            connection.request("GET", f"/{BUCKET}")
            assert connection.getresponse().status == status
            connection.close()
        process.stdin.write("[]\n")
        process.stdin.flush()
        assert process.stdout.readline() == "1\n"
        process.stdin.close()
        assert process.wait(20) == 0
