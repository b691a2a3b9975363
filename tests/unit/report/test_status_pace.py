"""How far a cell is and how fast, with numbers that can be worked out by hand."""

import pytest

from erase_ray.report.status.pace import pace_of


def requests(*times, first=0):
    return [{"event": "request", "request": first + n, "time": t} for n, t in enumerate(times)]


def epochs(*times, first=0):
    return [{"event": "epoch", "epoch": first + n, "time": t} for n, t in enumerate(times)]


BEGIN = {"event": "begin", "pid": 1, "time": 0.0}


def test_nothing_told_yet():
    for told in ([], [BEGIN]):
        pace = pace_of(told, 10.0, 5, 8)
        assert (pace.unit, pace.position, pace.left_s) == ("", 0, None)


def test_requests_a_second_and_what_the_rest_takes():
    # three requests, two gaps in one second; of the 7 left the first was begun 0.25 s ago
    pace = pace_of([BEGIN, *requests(10.0, 10.5, 11.0)], 11.25, None, 10)
    assert (pace.unit, pace.position, pace.total) == ("request", 3, 10)
    assert pace.per_second == 2.0
    assert pace.left_s == 7 * 0.5 - 0.25


def test_a_chain_that_was_resumed_goes_on_counting():
    pace = pace_of([BEGIN, *requests(10.0, 12.0, first=40)], 12.0, None, 50)
    assert (pace.position, pace.left_s) == (42, 16.0)


def test_a_long_silence_counts_as_one_request_at_most():
    pace = pace_of(requests(10.0, 12.0), 1000.0, None, 5)
    assert pace.left_s == 3 * 2.0 - 2.0


def test_a_clock_that_is_behind_does_no_harm():
    assert pace_of(requests(10.0, 12.0), 5.0, None, 5).left_s == 6.0


def test_the_rate_is_that_of_the_last_requests():
    slow = [10.0 * n for n in range(200)]
    fast = [slow[-1] + 0.5 * n for n in range(1, 201)]
    pace = pace_of(requests(*slow, *fast), fast[-1], None, 400)
    assert pace.per_second == pytest.approx(2.0)
    assert pace.left_s == 0.0


def test_without_a_total_there_is_a_rate_and_no_end():
    pace = pace_of(requests(10.0, 12.0), 12.0, None, None)
    assert (pace.per_second, pace.total, pace.left_s) == (0.5, None, None)


def test_one_request_has_no_rate():
    assert pace_of(requests(10.0), 12.0, None, 4).per_second is None


def test_epochs_that_another_process_ran_do_not_count_as_fast():
    # ten epochs were loaded at once, then two were run in 3 s each
    told = [*epochs(*[5.0 + n / 10_000 for n in range(10)]), *epochs(8.0, 11.0, first=10)]
    pace = pace_of(told, 11.0, 20, None)
    assert (pace.unit, pace.position, pace.total) == ("epoch", 12, 20)
    assert pace.per_second == pytest.approx(1 / 3.0, rel=1e-3)
    assert pace.left_s == pytest.approx(8 * 3.0, abs=0.01)


def test_a_second_training_begins_anew():
    pace = pace_of([*epochs(1.0, 2.0, 3.0), *epochs(10.0, 14.0)], 14.0, 10, None)
    assert (pace.position, pace.per_second, pace.left_s) == (2, 0.25, 32.0)


def test_after_a_training_the_requests_count():
    pace = pace_of([*epochs(1.0, 2.0), *requests(3.0, 4.0)], 4.0, 10, 5)
    assert (pace.unit, pace.position, pace.left_s) == ("request", 2, 3.0)
