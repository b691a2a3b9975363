"""Checks of the other kinds find what breaks them."""

import dataclasses

import numpy as np
import pytest
import torch

from erase_ray.audits import AUDITS, Finding
from erase_ray.audits.similarity import Similarity
from erase_ray.contract import KINDS, Candidate, ContractError, checks_of
from erase_ray.datasets import RawData
from erase_ray.datasets.planted import Planted
from erase_ray.metrics.coverage import Coverage
from erase_ray.metrics.recall import Recall
from erase_ray.models.bpr import Bpr
from erase_ray.scenarios.account import Account

DOC = "A toy.\n\nPaper: none.\n"


class Mixing(Recall):
    __doc__ = DOC

    def per_query(self, answers, k):
        values = super().per_query(answers, k)
        return values - np.nanmean(values) if len(values) else values


class Single(Recall):
    __doc__ = DOC

    def per_query(self, answers, k):
        return super().per_query(answers, k).astype(np.float32)


class Sided(Coverage):
    __doc__ = DOC

    def merged(self, one, other):
        return one


class MeanLoss(Bpr):
    __doc__ = DOC

    def loss(self, batch):
        return super().loss(batch).mean()


class Crowded(Bpr):
    __doc__ = DOC

    def loss(self, batch):
        loss_B = super().loss(batch)
        return loss_B - loss_B.mean().detach() / 2


class Drawn(Bpr):
    __doc__ = DOC

    def reset(self, generator):
        torch.nn.init.normal_(self.user_embedding.weight)


class Shuffled(Planted):
    __doc__ = DOC

    def read(self, files, scratch):
        frame = super().read(files, scratch).frame()
        keep = np.random.permutation(len(frame))[: len(frame) // 2]
        return RawData.of_frame(frame.iloc[keep], {i: i for i in frame["item"]}, {})


class Doubled(Account):
    __doc__ = DOC

    def build(self, interactions, split, catalogue, seed):
        chain = super().build(interactions, split, catalogue, seed)
        first, second, *others = chain.requests
        twice = dataclasses.replace(second, rows=np.union1d(first.rows, second.rows))
        return dataclasses.replace(chain, requests=(first, twice, *others))


class Fixed(Account):
    __doc__ = DOC

    def build(self, interactions, split, catalogue, seed):
        return super().build(interactions, split, catalogue, 0)


class Loud(Similarity):
    __doc__ = DOC

    def findings(self, subjects):
        return {mark: [Finding("What it is", 0.5, 1)] for mark in subjects.marks}


class Random(Similarity):
    __doc__ = DOC

    def findings(self, subjects):
        return {mark: [Finding("drawn", torch.rand(()).item(), 1)] for mark in subjects.marks}


BROKEN = [
    ("metric", Mixing, "queries are judged one by one", "derive from Aggregate"),
    ("metric", Single, "queries are judged one by one", "must give float64"),
    ("metric", Sided, "summaries can be merged", "merged(other, one) differ"),
    ("model", MeanLoss, "loss is one number an example", "must have the shape (7,), got ()"),
    ("model", Crowded, "loss ignores neighbours", "depends on the others of its batch"),
    ("model", Drawn, "reset follows its generator", "pass generator=generator"),
    ("dataset", Shuffled, "read twice it is the same", "draw from erase_ray.seeds alone"),
    ("scenario", Doubled, "requests are well formed", "has rows of the people"),
    ("scenario", Fixed, "makes the same chain again", "another seed gave the same chain"),
    ("audit", Loud, "tells of marks", "'What it is' is no name of a finding"),
    ("audit", Random, "tells of marks", "draw from the seed that it is given"),
]


@pytest.mark.parametrize(("kind", "cls", "name", "text"), BROKEN)
def test_a_broken_promise_is_found(kind, cls, name, text, monkeypatch):
    known = cls.__name__.lower()
    monkeypatch.setattr(cls, "name", known, raising=False)
    monkeypatch.setitem(KINDS[kind]._classes, known, cls)
    check = next(check for check in checks_of(kind) if check.name == name)
    with pytest.raises(ContractError) as caught:
        check.run(Candidate(kind, known), quick=True)
    assert text in str(caught.value)


def test_an_audit_is_known_as_long_as_it_is_here():
    assert "loud" not in AUDITS.names()
