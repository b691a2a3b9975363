"""``erase-ray check``: one line a check, and an exit code."""

import json

import pytest

from erase_ray.contract import checks_of
from erase_ray.metrics import METRICS, Metric
from erase_ray.registry import Origin, Registry


class Wild(Metric):
    """A metric that is no share.

    Paper: none.
    """

    def per_query(self, answers, k):
        return answers.num_hits(k).astype(float) * 100


@pytest.fixture
def wild(monkeypatch):
    monkeypatch.setattr(Wild, "name", "wild", raising=False)
    monkeypatch.setitem(METRICS._classes, "wild", Wild)


def test_a_part_of_ours_passes(run):
    code, out, err = run("check", "recall")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "metric recall"
    assert len(lines) == len(checks_of("metric")) + 2
    assert lines[-1] == f"{len(checks_of('metric')) - 1} checks passed, 0 failed, 1 skipped"


def test_what_does_not_hold_is_told_with_the_way_out(run, wild):
    code, out, _ = run("check", "metric", "wild")
    assert code == 1
    assert "  FAILED  values keep to their unit" in out
    assert "its unit 'share' goes from 0 to 1; name another unit or mend the number" in out
    assert ", 1 failed, 1 skipped" in out


def test_machines_read_the_same(run, wild):
    code, out, _ = run("check", "wild", "--json")
    told = json.loads(out)
    assert (code, told["failed"]) == (1, 1)
    assert {one["result"] for one in told["checks"]} == {"ok", "failed", "skipped"}
    assert {one["kind"] for one in told["checks"]} == {"metric"}
    assert all(one["holds"] for one in told["checks"])


def test_settings_and_tasks_are_chosen(run):
    code, out, _ = run("check", "scenario", "account", "--quick", "--set", "fraction=0.001")
    assert code == 1
    assert "raise the fraction to" in out
    code, out, _ = run("check", "account", "--quick", "--set", "fraction=0.1")
    assert code == 0, out


def test_all_parts_of_a_package_are_checked(run, wild, monkeypatch):
    mine = {"wild": Origin("erase-ray-wild", "1.0")}
    monkeypatch.setattr(Registry, "outside", lambda self: mine if self is METRICS else {})
    code, out, _ = run("check", "Erase_Ray.wild")
    assert code == 1
    assert out.startswith("metric wild\n")


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["recal"], "no part and no installed package is called 'recal'. Did you mean 'recall'?"),
        (["metric", "recal"], "no metric is called 'recal'. Did you mean 'recall'? Known: cov"),
        (["metrics", "recall"], "no kind is called 'metrics'. Did you mean 'metric'? Known: data"),
        (["metric", "recall", "ndcg"], "check takes NAME or KIND NAME, got 3 words"),
    ],
)
def test_unknown_names_are_a_mistake_of_the_user(run, names, text):
    code, _, err = run("check", *names)
    assert code == 2
    assert text in err


def test_a_setting_that_does_not_exist_is_told(run):
    code, out, _ = run("check", "scenario", "account", "--quick", "--set", "fractoin=0.1")
    assert code == 1
    assert "fractoin: Extra inputs are not permitted" in out
