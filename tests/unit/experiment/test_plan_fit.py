"""Seconds by what was measured."""

import math

import pandas as pd
import pytest

from erase_ray.experiment.cost import CUDA_MB
from erase_ray.experiment.fit import MARGIN, Fit, measured
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.prices import Machine

GPU = Machine(slots=8, gpus=1)


@pytest.fixture
def plan():
    common = {
        "scenarios": {"sensitive": {"category": "sensitive", "fraction": 0.01}},
        "methods": ["original", "retrain", "scif", "seif"],
        "seeds": [2, 3, 5, 7],
    }
    cf = Block(datasets={"planted": {"task": "cf"}}, models=["bpr", "lightgcn"], **common)
    baskets = Block(datasets={"planted": {"task": "next_basket"}}, models="sets2sets", **common)
    return build(expand([cf, baskets]))


def nodes(plan, model, *kinds):
    return [
        node
        for node in plan.nodes.values()
        if node.kind in kinds and node.payload["cell"]["model"]["name"] == model
    ]


def factor(fit, node):
    return fit.seconds(node) / node.cost.prior


def test_without_measurements_size_counts(plan):
    fit = Fit()
    assert all(fit.seconds(node) == node.cost.prior for node in plan.nodes.values())
    assert fit.report() == []


def test_like_cells_take_as_long(plan):
    fit = Fit()
    some = nodes(plan, "bpr", "scif")
    for node in some[:3]:
        fit.observe(node, {"seconds": 8 * node.cost.prior})
    assert factor(fit, some[3]) == pytest.approx(8, rel=0.15)


def test_other_models_and_methods_learn_a_part(plan):
    fit = Fit()
    for model, times in (("bpr", 8), ("sets2sets", 2)):
        for node in nodes(plan, model, "scif"):
            fit.observe(node, {"seconds": times * node.cost.prior})
    of_bpr, of_baskets = (factor(fit, nodes(plan, m, "seif")[0]) for m in ("bpr", "sets2sets"))
    assert 1.5 < of_baskets < of_bpr < 8
    # a model that nobody has seen yet, by what the two others say
    assert 1.5 < factor(fit, nodes(plan, "lightgcn", "scif")[0]) < 8


def test_one_outlier_does_not_matter(plan):
    fit = Fit()
    some = nodes(plan, "bpr", "retrain")
    for node in some[:9]:
        fit.observe(node, {"seconds": 2 * node.cost.prior})
    fit.observe(some[9], {"seconds": 1e6 * node.cost.prior})
    assert factor(fit, some[10]) == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"seconds": 0.0},
        {"seconds": 9.0, "status": "cached"},
        {"seconds": 9.0, "status": "busy"},
        {"seconds": 9.0, "device": "cuda"},
    ],
)
def test_what_tells_nothing(plan, facts):
    fit = Fit()
    fit.observe(nodes(plan, "bpr", "scif")[0], facts)
    assert fit.errors()["cells"] == 0


def test_gpus_are_told_apart(plan):
    fit, node = Fit(GPU), nodes(plan, "bpr", "scif")[0]
    fit.observe(node, {"seconds": 9.0, "device": "cpu"})
    assert fit.errors()["cells"] == 0
    fit.observe(node, {"seconds": 9.0, "device": "cuda"})
    assert fit.errors()["cells"] == 1


def test_memory_by_what_was_measured(plan):
    fit = Fit(GPU)
    first, second = nodes(plan, "bpr", "scif")[:2]
    for peak, gpu in ((3000, 5000), (2000, 6000)):
        facts = {"seconds": 1.0, "peak_memory_mb": peak, "gpu_memory_mb": gpu}
        fit.observe(first, facts)
    found = fit.estimate(second)
    # the process may have been larger before; the GPU is counted anew for each cell
    assert found.memory_mb == int(2000 * MARGIN)
    assert found.gpu_mb == int(6000 * MARGIN) + CUDA_MB
    # two of them fit into 16 GB
    assert found.gpu_share == 0.5
    assert first.cost.gpu_share == 0.125


def test_a_plan_is_estimated_anew(plan):
    fit = Fit()
    before, chain = plan.critical_path, nodes(plan, "bpr", "scif")[0]
    assert plan.makespan(1) == pytest.approx(sum(n.cost.seconds for n in plan.pending()))
    for node in plan.pending():
        fit.observe(node, {"seconds": 10 * node.cost.prior})
    plan.refresh(fit)
    assert plan.critical_path == pytest.approx(10 * before, rel=0.1)
    assert plan.nodes[chain.key].cost.prior == chain.cost.seconds
    assert plan.makespan(1) == pytest.approx(sum(n.cost.seconds for n in plan.pending()))
    # again does not multiply
    path = plan.critical_path
    plan.refresh(fit)
    assert plan.critical_path == path


def test_errors_before_and_after(plan):
    fit = Fit()
    for node in nodes(plan, "bpr", "retrain"):
        fit.observe(node, {"seconds": 4 * node.cost.prior})
    off = fit.errors()
    assert off["cells"] == 16
    assert off["rough_median"] == off["rough_p90"] == pytest.approx(4)
    assert 1 <= off["refined_median"] < 1.2
    assert fit.report() == [
        f"seconds of 16 nodes were estimated by size within a factor of 4.00 (half of them) and "
        f"4.00 (nine of ten), and by what was measured before within {off['refined_median']:.2f} "
        f"and {off['refined_p90']:.2f}"
    ]


class FakeStore:
    """Every cell took three times what was estimated."""

    def __init__(self, plan):
        self.plan, self.asked = plan, []

    def manifest(self, key):
        self.asked.append(key)
        node = self.plan.nodes[key]
        return {"facts": {"seconds": 3 * node.cost.prior, "method": node.kind}}

    def done_cells(self):
        return {node.key for node in self.plan.requested}

    def has_data(self, dataset, key):
        return True


def test_a_store_is_asked_for_a_few_cells_of_a_kind(plan):
    store = FakeStore(plan)
    cells = [node.key for node in plan.requested]
    for node in plan.nodes.values():
        object.__setattr__(node, "done", node.key in cells)
    fit = Fit.of_store(store, plan)
    # 3 models x (original, retrain, scif, seif), three of each
    assert len(store.asked) == 3 * 4 * 3
    assert set(store.asked) <= set(cells)
    assert factor(fit, nodes(plan, "bpr", "base")[0]) > 2
    # these are no estimates of this run
    assert fit.report() == []


def costs(*rows):
    return pd.DataFrame(rows, columns=["mark", "metric", "value", "n"])


def test_seconds_from_tables_where_the_manifest_has_none():
    table = costs(
        (1, "seconds_algorithm", 9.0, 2),
        (4, "seconds_data", 0.5, 10),
        (4, "seconds_algorithm", 1.0, 10),
        (4, "seconds_request", 1.5, 10),
        (4, "seconds_save", 0.1, 10),
    )

    class Old:
        def __init__(self, facts):
            self.facts = facts

        def manifest(self, key):
            return {"facts": self.facts}

        def table(self, key, name):
            return table if self.facts["method"] == "scif" else costs((1, "seconds_train", 7.0, 1))

    assert measured(Old({"method": "scif", "seconds_begin": 2.0}), "k")["seconds"] == 18.0
    assert measured(Old({"method": "retrain"}), "k")["seconds"] == 7.0
    assert measured(Old({"method": "base", "seconds_train": 5.0}), "k")["seconds"] == 5.0
    # the costs of an original model are those of its base
    assert "seconds" not in measured(Old({"method": "original"}), "k")
    assert not math.isnan(measured(Old({"method": "scif", "seconds": 1.0}), "k")["seconds"])
