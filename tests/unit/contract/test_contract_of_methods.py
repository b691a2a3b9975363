"""Each check of the contract of methods finds the method that breaks it, and says what to do."""

import pytest
import toy_methods

from erase_ray.contract import Candidate, ContractError, check, checks_of, verdicts
from erase_ray.errors import UnknownNameError
from erase_ray.methods import METHODS

BROKEN = [
    ("Careless", "is repeatable", "draw from request.generator"),
    ("Elsewhere", "changes only what it says", "item_embedding.weight changed, and changes()"),
    ("Silent", "changes only what it says", "request.undo knows of 0"),
    ("Silent", "leaves no trace unless applied", "call request.undo.keep before each change"),
    ("Editing", "leaves the world alone", "edited in place: examples.users"),
    ("Always", "changes only what it says", "no weight moved; return 'skipped' with a reason"),
    ("Always", "says what happened", "details are finite floats by name, got 'numbers': "),
    ("Always", "nothing to forget changes nothing", r"Outcome('empty', reason), got 'applied'"),
    ("Vague", "says what it is", "must have a line 'Paper: ...'"),
    ("Vague", "settings are explained", "setting 'scale' has no docstring"),
    ("Named", "settings are explained", "'edition' is a reserved name"),
    ("Lax", "settings are strict", "take model_config out"),
    ("Lax", "names a family", "family must be one of recommender-specific,"),
]


@pytest.fixture
def known(monkeypatch):
    """Make a toy known under its name in small letters."""

    def known(name: str) -> Candidate:
        cls = getattr(toy_methods, name)
        monkeypatch.setattr(cls, "name", name.lower(), raising=False)
        monkeypatch.setitem(METHODS._classes, name.lower(), cls)
        return Candidate("method", name.lower())

    return known


def of(name: str):
    return next(check for check in checks_of("method") if check.name == name)


@pytest.mark.parametrize(("toy", "name", "text"), BROKEN)
def test_a_broken_promise_is_found(known, toy, name, text):
    candidate = known(toy)
    case = of(name).cases(candidate, True)[0]
    with pytest.raises(ContractError) as caught:
        of(name).on(candidate, case)
    assert text in str(caught.value)
    where = f"method '{candidate.name}'{' on bpr' if case else ''}: "
    assert str(caught.value).startswith(where)


def test_all_that_is_wrong_comes_at_once(known, monkeypatch):
    known("Vague")
    with pytest.raises(ContractError) as caught:
        check("method", "vague", quick=True)
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines][:2] == [
        "says what it is",
        "settings are explained",
    ]


def test_noise_forgets_at_everybodys_expense_and_keeps_all_other_promises(known):
    # what a method with a sound implementation and a bad idea looks like
    found = {one.check: one.result for one in verdicts(known("Blur"), quick=True)}
    assert {name for name, result in found.items() if result == "failed"} <= {
        "forgets without ruining the rest"
    }
    assert sum(result == "ok" for result in found.values()) >= len(found) - 1


def test_an_unknown_kind_offers_the_closest():
    with pytest.raises(
        UnknownNameError, match=r"no kind is called 'methods'\. Did you mean 'method'"
    ):
        checks_of("methods")
