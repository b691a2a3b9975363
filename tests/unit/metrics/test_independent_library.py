"""The same numbers as those of trec_eval, through ir-measures.

Where libraries differ, these are the definitions here:

- NDCG has gains of 0 and 1, and the best list is cut at k as well.
- Precision divides by k, also where fewer than k items could be ranked.
- MRR is cut at k; trec_eval's own ``recip_rank`` is not.
- A query with nothing relevant does not count. trec_eval leaves it out too, others count 0.
"""

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, P, R, Success, nDCG

from erase_ray.data.csr import Csr
from erase_ray.evaluation import measure
from erase_ray.metrics import METRICS, Answers

KS = (10, 20)
THEIRS = {"recall": R, "ndcg": nDCG, "hit": Success, "mrr": RR, "precision": P}
NUM_QUERIES, NUM_ITEMS, DEPTH = 300, 60, 20


def made_up(seed: int) -> Answers:
    """Lists of different lengths, and up to 30 relevant items; one query in ten has none."""
    rng = np.random.default_rng(seed)
    ranked = np.stack([rng.permutation(NUM_ITEMS)[:DEPTH] for _ in range(NUM_QUERIES)])
    lengths = np.where(rng.random(NUM_QUERIES) < 0.3, rng.integers(0, DEPTH, NUM_QUERIES), DEPTH)
    ranked[np.arange(DEPTH) >= lengths[:, None]] = -1
    wanted = np.where(rng.random(NUM_QUERIES) < 0.1, 0, rng.integers(1, 31, NUM_QUERIES))
    owners = np.repeat(np.arange(NUM_QUERIES), wanted)
    relevant = Csr.of_pairs(owners, rng.integers(0, NUM_ITEMS, len(owners)), NUM_QUERIES)
    return Answers(ranked.astype(np.int32), relevant, np.zeros(NUM_ITEMS, bool))


def judgements(answers: Answers) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    pairs = zip(answers.relevant.owners, answers.relevant.values, strict=True)
    for query, item in pairs:
        found.setdefault(str(query), {})[str(item)] = 1
    return found


def run(answers: Answers) -> dict[str, dict[str, float]]:
    """Scores that fall with the rank; what is far behind is not relevant to any measure."""
    lists = enumerate(answers.ranked_QK.tolist())
    return {
        str(query): {str(item): 1.0 / rank for rank, item in enumerate(items, 1) if item >= 0}
        for query, items in lists
    }


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("k", KS)
@pytest.mark.parametrize("seed", [0, 1])
def test_values_are_those_of_trec_eval(name, k, seed):
    answers, theirs = made_up(seed), THEIRS[name] @ k
    rows = ir_measures.iter_calc([theirs], judgements(answers), run(answers))
    known = {int(row.query_id): row.value for row in rows}
    values_Q = METRICS.get(name)().per_query(answers, k)
    expected_Q = [known.get(q, 0.0) for q in range(NUM_QUERIES)]
    is_counted_Q = answers.relevant.lengths > 0
    assert is_counted_Q.sum() < NUM_QUERIES
    assert np.isnan(values_Q[~is_counted_Q]).all()
    expected_Q = np.array(expected_Q)[is_counted_Q]
    np.testing.assert_allclose(values_Q[is_counted_Q], expected_Q, rtol=0, atol=1e-9)
    (found,) = measure(answers, [METRICS.get(name)()], [k])
    assert found.value == pytest.approx(expected_Q.mean(), abs=1e-9)
    assert 0 < found.value < 1
