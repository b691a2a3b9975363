"""How close an unlearned model is to the retrained one, in what it says and in its weights."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from erase_ray.audits._base import AUDITS, Finding, ModelAudit, Subjects
from erase_ray.audits._distance import distance, num_parameters, share
from erase_ray.audits._divergence import js, kl
from erase_ray.audits._overlap import rank_biased_overlap
from erase_ray.audits._tiles import fitting, look_at
from erase_ray.evaluation import top, without_masked
from erase_ray.models import Model
from erase_ray.settings import Frozen
from erase_ray.tasks import Queries

CACHED = 1 << 18
"""Scores whose distributions are compared at once: what fits a cache, for a third of the time."""
SUFFIXES = {"test": "", "probe": ".requesters"}


@AUDITS.register
class Similarity(ModelAudit):
    """Ranked lists, distributions over the items, and weights, all beside the retrained model's.

    Papers: Webber, Moffat, Zobel, "A similarity measure for indefinite rankings", ACM TOIS 2010
    (rank-biased overlap); Golatkar, Achille, Soatto, "Eternal Sunshine of the Spotless Net", CVPR
    2020 (divergence from the retrained model); Thudi et al., "Unrolling SGD", EuroS&P 2022
    (distance of the weights).
    Looks at: all marks; test queries and, with the suffix ``.requesters``, probe queries.
    """

    class Settings(Frozen):
        """Settings of `Similarity`."""

        top: int = Field(default=20, ge=1)
        """Length of the ranked lists."""
        persistence: float = Field(default=0.9, gt=0, lt=1)
        """Probability that somebody who has seen an item of the list looks at the next one."""

    def findings(self, subjects: Subjects) -> dict[int, list[Finding]]:
        """What can be told, by mark; of weights only where all models have the same parameters."""
        return {mark: self._at(subjects, mark) for mark in subjects.marks}

    def _at(self, subjects: Subjects, mark: int) -> list[Finding]:
        trio = Trio(subjects.retrained(mark), subjects.audited(mark), subjects.original())
        found = _weights(trio)
        for kind, queries in subjects.queries(mark).items():
            told = self.compare(trio, queries)
            found += [replace(finding, name=finding.name + SUFFIXES[kind]) for finding in told]
        return found

    def compare(self, trio: "Trio", queries: Queries, block_size: int = 0) -> list[Finding]:
        """What the models say of the same queries; NaN where there are none.

        Masked items are left out of lists and distributions of all models.

        Args:
            trio: The models.
            queries: May be none.
            block_size: Queries that are scored at once; 0 takes what fits the usual memory.
        """

        def look(start: int, stop: int, scores: list[Tensor]) -> np.ndarray:
            masked = queries.masked.take(start, stop)
            return self._columns([without_masked(each, masked) for each in scores])

        size = block_size or fitting(trio.retrained, queries, 3)
        tiles = look_at(trio.models, queries, look, size)
        rbo_Q, kl_Q, js_Q, original_Q = np.concatenate([np.zeros((0, 4)), *tiles]).T
        before = _mean(original_Q)
        return [
            Finding("rbo", _mean(rbo_Q), len(rbo_Q), "overlap", "up"),
            Finding("kl", _mean(kl_Q), len(kl_Q), "nats", "down"),
            Finding("js", _mean(js_Q), len(js_Q), "nats", "down"),
            Finding("completeness", 1 - share(_mean(kl_Q), before), len(kl_Q), "share", "up"),
        ]

    def _columns(self, scores: list[Tensor]) -> np.ndarray:
        """Overlap, both divergences and the original's divergence of each query, ``(B, 4)``."""
        ranked = [top(each, self.settings.top).cpu().numpy() for each in scores[:2]]
        overlap_B = rank_biased_overlap(*ranked, p=self.settings.persistence)
        rows = max(CACHED // scores[0].shape[1], 1)
        parts = zip(*(each.split(rows) for each in scores), strict=True)
        apart_B3 = torch.cat([_divergences(*part) for part in parts]).cpu().numpy()
        return np.column_stack([overlap_B, apart_B3])


@dataclass(frozen=True, eq=False)
class Trio:
    """The models that are compared.

    Args:
        retrained: Trained without the forgotten rows.
        audited: What the audited method left.
        original: Trained on everything.
    """

    retrained: Model
    audited: Model
    original: Model

    @property
    def models(self) -> list[Model]:
        """All three, in this order."""
        return [self.retrained, self.audited, self.original]


def _divergences(retrained_BI: Tensor, audited_BI: Tensor, original_BI: Tensor) -> Tensor:
    """Both divergences of the audited model, and the first one of the original, ``(B, 3)``."""
    all_scores = (retrained_BI, audited_BI, original_BI)
    retrained, audited, original = (each.double().log_softmax(dim=1) for each in all_scores)
    apart = [kl(retrained, audited), js(retrained, audited), kl(retrained, original)]
    return torch.stack(apart, dim=1)


def _weights(trio: Trio) -> list[Finding]:
    whole = distance(trio.original, trio.retrained)
    to_retrained = distance(trio.audited, trio.retrained)
    from_original = distance(trio.audited, trio.original)
    if math.isnan(to_retrained):
        return []
    n = num_parameters(trio.audited)
    return [
        Finding("parameter_distance", share(to_retrained, whole), n, "ratio", "down"),
        Finding("drift", share(from_original, whole), n, "ratio", "down"),
    ]


def _mean(values_Q: np.ndarray) -> float:
    counted = values_Q[~np.isnan(values_Q)]
    return math.fsum(counted) / len(counted) if len(counted) else math.nan
