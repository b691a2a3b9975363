"""What is repeated, for how long, and with which keys."""

import errno
import pickle
import threading

import pytest
from botocore import exceptions
from fsspec.implementations.memory import MemoryFileSystem
from s3fs.errors import translate_boto_error

from erase_ray.errors import StoreError
from erase_ray.experiment import _faults, _open, _retry, _s3
from erase_ray.experiment._commit import commit, read_file, read_manifest
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment._retry import Connection, GivenUp, StorageDownError
from erase_ray.experiment.blobs import Blobs


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(_retry, "FIRST_WAIT_S", 0.0)


def answer(status, code):
    """The error of s3fs for an answer of the server."""
    details = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return translate_boto_error(exceptions.ClientError(details, "PutObject"))


def reset():
    return exceptions.ConnectionClosedError(endpoint_url="http://x", error="reset")


TRANSIENT = [
    answer(503, "SlowDown"),
    answer(503, "ServiceUnavailable"),
    answer(500, "InternalError"),
    answer(429, "TooManyRequests"),
    answer(400, "RequestTimeout"),
    answer(404, "NoSuchUpload"),
    answer(409, "ConditionalRequestConflict"),
    answer(502, "502"),
    reset(),
    exceptions.ReadTimeoutError(endpoint_url="http://x"),
    exceptions.EndpointConnectionError(endpoint_url="http://x"),
    exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ConnectionResetError(104, "reset"),
    TimeoutError(),
]
PERMANENT = [
    answer(404, "NoSuchKey"),
    answer(404, "NoSuchBucket"),
    answer(412, "PreconditionFailed"),
    answer(400, "InvalidArgument"),
    OSError(errno.ENOSPC, "No space left on device"),
    ValueError("a mistake of ours"),
]
FORBIDDEN = [
    answer(403, "AccessDenied"),
    answer(403, "403"),
    answer(400, "ExpiredToken"),
    answer(403, "InvalidAccessKeyId"),
    exceptions.NoCredentialsError(),
]


class Failing:
    """An operation that fails with each of these errors in turn, then succeeds."""

    def __init__(self, *errors):
        self.errors, self.seen = list(errors), []

    def __call__(self, fs):
        self.seen.append(fs)
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_what_may_pass_is_repeated(error):
    operation = Failing(error, error, error)
    assert Connection("fs").call(operation) == "done"
    assert len(operation.seen) == 4


@pytest.mark.parametrize("error", PERMANENT, ids=repr)
def test_what_stays_is_not(error):
    operation = Failing(error)
    with pytest.raises(type(error)):
        Connection("fs", lambda: "new").call(operation)
    assert operation.seen == ["fs"]


def test_a_cause_behind_a_failed_clean_up_counts():
    def operation(fs):
        try:
            raise answer(503, "SlowDown")
        except OSError:
            raise FileNotFoundError("no such upload")  # noqa: B904

    with pytest.raises(FileNotFoundError) as caught:
        operation("fs")
    assert _faults.is_transient(caught.value)


@pytest.mark.parametrize("error", FORBIDDEN, ids=repr)
def test_refused_keys_are_looked_up_again(error):
    operation = Failing(error, error)
    connection = Connection("old", iter(["new", "newest"]).__next__)
    assert connection.call(operation) == "done"
    assert operation.seen == ["old", "new", "newest"]
    assert connection.fs == "newest"


def test_keys_that_are_really_wrong_end_it_soon():
    operation = Failing(*[answer(403, "AccessDenied")] * 10)
    with pytest.raises(PermissionError):
        Connection("old", lambda: "new").call(operation)
    assert len(operation.seen) == 1 + _retry.RENEWALS


def test_threads_that_fail_together_renew_the_keys_once():
    made, together = [], threading.Barrier(4, timeout=20)
    connection = Connection("old", lambda: made.append(1) or "new")

    def operation(fs):
        if fs == "old":
            together.wait()
            raise answer(403, "ExpiredToken")

    threads = [threading.Thread(target=connection.call, args=(operation,)) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert made == [1]


def test_patience_ends_and_the_last_error_is_told():
    connection = Connection("fs")
    connection.patience_s = 0.0
    with pytest.raises(GivenUp, match=r"^given up after \d+ attempts$") as caught:
        connection.call(Failing(*[answer(503, "SlowDown")] * 10_000))
    assert isinstance(caught.value.__cause__, OSError)


def test_waits_grow_to_a_bound_and_differ(monkeypatch):
    monkeypatch.setattr(_retry, "FIRST_WAIT_S", 0.2)
    monkeypatch.setattr(_retry._jitter, "uniform", lambda low, high: (low, high))
    bounds = [_retry._wait_s(tries) for tries in (1, 2, 3, 100)]
    assert bounds == [(0, 0.4), (0, 0.8), (0, 1.6), (0, _retry.LONGEST_WAIT_S)]


class Server(MemoryFileSystem):
    """An in-memory storage that does things wrong before or after it does them."""

    cachable = False
    protocol = "gs"

    def __init__(self):
        super().__init__()
        self.store, self.before, self.after = {}, [], []
        self.pseudo_dirs = [""]

    def pipe_file(self, path, value, mode="overwrite", **_):
        self._fail(self.before)
        super().pipe_file(path, value, mode=mode)
        self._fail(self.after)

    def cat_file(self, path, **options):
        self._fail(self.before)
        return super().cat_file(path, **options)

    def _fail(self, errors):
        error = errors.pop(0) if errors else None
        if error:
            raise error


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def blobs(server):
    return Blobs(server, "/x", "gs://x")


def test_a_put_whose_answer_was_lost_is_ours(server, blobs):
    server.after = [reset()]
    assert blobs.create("claim", b"ours")
    assert not blobs.create("claim", b"them")
    assert not blobs.create("claim", b"others")
    assert blobs.read("claim") == b"ours"


def test_a_put_that_another_won_meanwhile_is_not(server, blobs):
    assert blobs.create("claim", b"them")
    server.before = [reset()]
    assert not blobs.create("claim", b"ours")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_is_ours_whichever_put_fails_and_whether_it_was_done(server, blobs, when):
    files = {"a": b"1", "b": b"2"}
    # pending, the two files, the manifest
    for n in range(4):
        getattr(server, when)[:] = [None] * n + [reset()]
        assert commit(blobs, f"cells/{n}", files, {})
        assert read_file(blobs, f"cells/{n}", "b", read_manifest(blobs, f"cells/{n}")) == b"2"
        assert blobs.names(f"cells/{n}") == [f"cells/{n}/{x}" for x in ("a", "b", "manifest.json")]
        assert not commit(blobs, f"cells/{n}", files, {})


def test_a_conflict_is_a_no_if_the_name_is_taken_and_else_tried_again(server, blobs):
    server.before = [answer(409, "ConditionalRequestConflict")]
    assert blobs.create("claim", b"ours")
    server.before = [answer(409, "ConditionalRequestConflict")]
    assert not blobs.create("claim", b"them")


def test_reads_go_on_through_a_busy_server(server, blobs):
    blobs.write("a", b"1")
    server.before = [answer(503, "SlowDown"), reset(), answer(500, "InternalError")]
    assert blobs.read("a") == b"1"


def test_an_outage_is_one_clear_line(server, blobs):
    blobs.connection.patience_s = 0.0
    server.before = [answer(503, "SlowDown")] * 10_000
    message = (
        r"^cannot read a at gs://x: .*\(given up after \d+ attempts\)\. "
        "Check the address, the network and, for S3, AWS_ENDPOINT_URL$"
    )
    with pytest.raises(StorageDownError, match=message):
        blobs.read("a")


def test_a_wrong_clock_is_told(server, blobs):
    server.before = [answer(403, "RequestTimeTooSkewed")]
    with pytest.raises(StoreError, match=r"Set the clock of this machine right$"):
        blobs.read("a")


def test_blobs_travel_to_other_processes(tmp_path):
    blobs = open_blobs(f"memory://travel{tmp_path}")
    blobs.write("a", b"1")
    again = pickle.loads(pickle.dumps(blobs))
    assert again.read("a") == b"1"


def test_a_process_tests_once_whether_it_can_write(tmp_path, monkeypatch):
    tests = []
    write = Blobs.write
    monkeypatch.setattr(Blobs, "write", lambda *args: tests.append(args[1]) or write(*args))
    address = f"memory://once{tmp_path}"
    for _ in range(3):
        open_blobs(address)
    assert len(tests) == 1
    monkeypatch.setattr(_open, "_tested", {})
    open_blobs(address)
    assert len(tests) == 2


@pytest.mark.parametrize("style", ["path", "virtual", "auto"])
def test_the_style_of_addresses_comes_from_the_environment(style, monkeypatch):
    monkeypatch.setenv("ERASE_RAY_S3_ADDRESSING", style)
    assert _s3.options()["config_kwargs"]["s3"] == {"addressing_style": style}
    monkeypatch.delenv("ERASE_RAY_S3_ADDRESSING")
    assert "s3" not in _s3.options()["config_kwargs"]


def test_an_unknown_style_of_addresses_is_named(monkeypatch):
    monkeypatch.setenv("ERASE_RAY_S3_ADDRESSING", "dns")
    message = r"^ERASE_RAY_S3_ADDRESSING is 'dns'; expected one of auto, path, virtual$"
    with pytest.raises(StoreError, match=message):
        open_blobs("s3://bucket/x")


def test_parts_are_large_enough_for_their_number():
    assert _s3.part_options(1)["chunksize"] == 32 * 2**20
    huge = 5 * 2**40
    assert huge / _s3.part_options(huge)["chunksize"] <= 10_000
