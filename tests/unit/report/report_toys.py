"""Stores with answers of single people, whose differences are known."""

from fake_report_store import FakeStore, answers, curves, toy_chain

from erase_ray.report.evidence import Evidence, gather
from erase_ray.report.options import Options

SETTINGS = {
    "dataset": {"name": "planted", "settings": {}},
    "model": {"name": "bpr", "settings": {}},
    "training": {},
    "scenario": {"name": "sensitive", "settings": {"category": "sensitive", "fraction": 0.01}},
}


def add_answers(store: FakeStore, seed: int, shown: dict[str, int], found: dict[str, int]) -> None:
    """Of each method: how many of eight people see item 0, and how many find item 9.

    ``retrain`` gets its last mark alone; one that finds item 9 does so at the first rank.
    """
    store.chain = toy_chain()
    for method in shown:
        mark = 4 if method == "retrain" else None
        share, utility = shown[method] / 8, found[method] / 8
        marks = [None] if mark else range(4)
        each = [[value] * len(marks) for value in (utility, utility, share, share)]
        key = store.add("planted", "bpr", method, curves(*each), seed=seed, mark=mark)
        store.cells[key]["settings"] |= SETTINGS
        store.cells[key]["manifest"]["facts"]["probe_hash"] = "c" * 64
        store.cells[key]["tables"]["ranked"] = answers(
            [user < shown[method] for user in range(8)], [user < found[method] for user in range(8)]
        )


def evidence_of(store: FakeStore, **options: object) -> Evidence:
    """The evidence on all cells, those that are missing among them."""
    known = Options(**{"resamples": 200, **options})  # type: ignore[arg-type]
    return gather(store, store.keys(), known, planned=store.planned())


def row_of(evidence: Evidence, method: str) -> dict:
    """The only row of a method in the leaderboard."""
    board = evidence.frames["leaderboard"]
    (row,) = board[board["method"] == method].to_dict("records")
    return row
