"""Checks of chains, on honest scenarios and on ones that break each promise."""

from dataclasses import replace

import numpy as np
import pytest

from erase_ray.data.split import Part as SplitPart
from erase_ray.experiment.cell import Part
from erase_ray.experiment.chain_checks import chain_checks, usual_scenarios
from erase_ray.scenarios import SCENARIOS
from erase_ray.scenarios.account import Account
from erase_ray.scenarios.spam import Spam
from erase_ray.tasks import TASKS
from tests.conftest import planted

ALL_TASKS = ("cf", "session_based", "next_basket")
SENSITIVE = Part.resolved(SCENARIOS, "sensitive", {"category": "sensitive", "fraction": 0.01})


def found(task: str, scenario: Part, status: str) -> dict[str, str]:
    checks = chain_checks(planted(task), scenario, 2)
    return {c.name.partition(": ")[2]: c.figures for c in checks if c.status == status}


@pytest.mark.parametrize("task", ALL_TASKS)
def test_honest_scenarios_pass(task):
    scenarios = usual_scenarios(planted(task))
    assert [part.name for part in scenarios] == ["sensitive", "account", "item", "spam"]
    for scenario in scenarios:
        assert not found(task, scenario, "fail")
        assert len(found(task, scenario, "ok")) == 4


def test_figures():
    assert found("cf", SENSITIVE, "ok") == {
        "each row is asked for once, by its owner": "20 requests, 48 rows, marks 5, 10, 15, 20",
        "retained + removed = full at every mark": (
            "4,798 + 10, 4,785 + 23, 4,772 + 36, 4,760 + 48 of 4,808"
        ),
        "no test query shows a forgotten row": (
            "299 queries, 0 forgotten items shown, 0 forgotten targets"
        ),
        "no probe shows a forgotten row": "20 of 20 users probed, 0 forgotten items shown",
    }


def test_an_impossible_scenario_is_skipped():
    tiny = Part.resolved(SCENARIOS, "sensitive", {"category": "nothing", "fraction": 0.5})
    assert found("cf", tiny, "skipped") == {
        "requests": "category 'nothing' is empty: no item of the dataset is in it"
    }


def broken(monkeypatch, change) -> Part:
    """The account scenario with its chain changed."""
    honest = Account.build

    def build(self, *arguments):
        return change(honest(self, *arguments))

    monkeypatch.setattr(Account, "build", build)
    return Part.resolved(SCENARIOS, "account", {})


def test_rows_that_are_asked_for_twice(monkeypatch):
    def change(chain):
        first, second, *rest = chain.requests
        both = replace(
            second,
            rows=np.union1d(first.rows[:1], second.rows),
            users=np.union1d(first.users, second.users),
        )
        return replace(chain, requests=(first, both, *rest))

    text = found("cf", broken(monkeypatch, change), "fail")
    assert text["each row is asked for once, by its owner"].endswith(", 1 rows twice")


def test_rows_of_others_and_rows_that_are_not_there(monkeypatch):
    def change(chain):
        first, *rest = chain.requests
        wrong = replace(first, rows=np.append(first.rows, 10**6), users=first.users + 1)
        return replace(chain, requests=(wrong, *rest))

    failed = found("cf", broken(monkeypatch, change), "fail")
    text = failed["each row is asked for once, by its owner"]
    assert "rows of others, 1 rows that are not there" in text
    assert "retained + removed = full at every mark" in failed


def test_requests_without_rows(monkeypatch):
    def change(chain):
        first, *rest = chain.requests
        empty = replace(first, rows=first.rows[:0])
        return replace(chain, requests=(empty, *rest))

    failed = found("cf", broken(monkeypatch, change), "fail")
    text = failed["each row is asked for once, by its owner"]
    assert text.endswith(", 1 requests without rows")


@pytest.mark.parametrize("task", ALL_TASKS)
def test_tasks_that_show_forgotten_rows(monkeypatch, task):
    """Queries and probes from the full table instead of the cleaned one."""
    data, kind = planted(task), TASKS.get(task)
    queries, probe = kind.queries, kind.probe
    full = data.interactions
    monkeypatch.setattr(
        kind, "queries", lambda self, table, split, part, cut: queries(self, full, split, part, cut)
    )
    monkeypatch.setattr(
        kind, "probe", lambda self, table, split, users, cut: probe(self, full, split, users, cut)
    )
    failed = found(task, SENSITIVE, "fail")
    assert set(failed) == {"no test query shows a forgotten row", "no probe shows a forgotten row"}
    assert ", 0 forgotten items shown" not in failed["no probe shows a forgotten row"]


def test_fakes_among_the_queries(monkeypatch):
    data = planted("cf")
    kind = TASKS.get("cf")
    queries = kind.queries
    spam = Part.resolved(SCENARIOS, "spam", {})
    poison = (
        Spam(Spam.Settings(), "cf").build(data.interactions, data.split, data.catalogue, 2).poison
    )
    assert poison is not None
    table = data.interactions.appended(poison)
    marks = np.append(data.split.marks, np.full(len(poison), SplitPart.TEST, np.int8))
    split = replace(data.split, marks=marks)
    monkeypatch.setattr(
        kind, "queries", lambda self, _, __, part, cut: queries(self, table, split, part, cut)
    )
    text = found("cf", spam, "fail")["no test query shows a forgotten row"]
    assert text.endswith("4 queries of fakes")
