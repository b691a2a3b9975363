"""Ranked lists as run files of TREC, and what would have been right as qrels.

A line of a run is ``qid Q0 docid rank score tag``, one of a qrels ``qid 0 docid relevance``. Scores
are the depth of the list less the rank, plus one: they only keep the order.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from erase_ray.data.vocabulary import Vocabulary
from erase_ray.errors import StoreError
from erase_ray.experiment._placed import placed
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.secrets import clean
from erase_ray.report.exports._order import Order, cell_path
from erase_ray.report.exports._target import Exported
from erase_ray.report.read import CellInfo
from erase_ray.scenarios import Chain

ABOUT, QRELS = "about.json", "qrels"
NO_LISTS = "without ranked lists"
TEST, PROBE = "test", "probe"


def write(order: Order) -> Exported:
    """A folder for each cell and mark, with a run file for each kind of query.

    Qrels lie in a folder of their own, one for all runs that were asked the same.

    Raises:
        StoreError: Lists, data or chains are missing or damaged, or ``out`` cannot be written.
    """
    reader, counts, skipped = _Reader(order.store), Counter[str](), Counter[str]()
    for cell in order.cells:
        own = cell.settings.get("mark")
        folders = {n: order.out / cell_path(cell) / f"mark-{n}" for n in order.marks}
        todo = [n for n in order.marks if own in (None, n) and not (folders[n] / ABOUT).exists()]
        ranked = _ranked(order.store, cell, todo)
        if not cell.is_measured or (todo and not len(ranked)):
            skipped[NO_LISTS] += 1
            continue
        found: dict[int, list[_Lists]] = {}
        for one in reader.lists(cell, ranked):
            found.setdefault(one.mark, []).append(one)
        for mark, lists in found.items():
            _put(order, cell, folders[mark], lists)
        counts["new" if found else "there"] += 1
    return Exported(counts["new"], counts["there"], 0, dict(skipped))


def _put(order: Order, cell: CellInfo, folder: Path, lists: "list[_Lists]") -> None:
    with placed(folder) as scratch:
        runs = [one.write(scratch, order.out / QRELS) for one in lists]
        about = {"cell": cell.key, "label": cell.label, "settings": cell.settings, "runs": runs}
        text = json.dumps(clean(about, Counter()), indent=1, sort_keys=True)
        (scratch / ABOUT).write_text(text + "\n")


@dataclass(frozen=True, eq=False)
class _Lists:
    """The answers of a cell to one kind of query at a mark.

    Args:
        mark: Of the chain.
        asks: ``test`` or ``probe``.
        tag: Last field of a run.
        qids: Name of each query.
        items: Best items of each, best first; -1 behind the last.
        relevant: Items that would have been right; for probes those listed whose exposure counts.
        docids: Name of each item.
    """

    mark: int
    asks: str
    tag: str
    qids: list[str]
    items: list[np.ndarray]
    relevant: list[np.ndarray]
    docids: list[str]

    def write(self, folder: Path, qrels: Path) -> dict[str, Any]:
        """Write the run and, unless they are there, the qrels; what they are called."""
        name = f"{self.asks}.run"
        with (folder / name).open("w") as file:
            file.writelines(self._run())
        text = "".join(self._qrels()).encode()
        judged = f"{self.asks}-{hashlib.sha256(text).hexdigest()[:12]}.qrels"
        if text and not (qrels / judged).exists():
            qrels.mkdir(parents=True, exist_ok=True)
            part = qrels / f".{judged}.part"
            part.write_bytes(text)
            part.rename(qrels / judged)
        told = f"{QRELS}/{judged}" if text else None
        return {"run": name, "mark": self.mark, "asks": self.asks, "tag": self.tag, "qrels": told}

    def _run(self) -> Iterator[str]:
        depth = max(map(len, self.items), default=0)
        for qid, items in zip(self.qids, self.items, strict=True):
            for rank, item in enumerate((n for n in items if n >= 0), 1):
                yield f"{qid} Q0 {self.docids[item]} {rank} {depth + 1 - rank} {self.tag}\n"

    def _qrels(self) -> Iterator[str]:
        for qid, items in zip(self.qids, self.relevant, strict=True):
            for item in items:
                yield f"{qid} 0 {self.docids[item]} 1\n"


class _Reader:
    """Turns stored answers into lists with outer ids; names of one dataset at a time are kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: tuple[str, list[str], list[str]] = ("", [], [])
        self._chain: tuple[str, Chain | None] = ("", None)

    def lists(self, cell: CellInfo, ranked: pa.Table) -> Iterator[_Lists]:
        """All kinds of queries of a cell, mark by mark."""
        users, items = self._outer(cell)
        tag = f"{cell.settings['model']['name']}.{cell.method}.s{cell.settings['seed']}"
        frame = ranked.to_pandas()
        for (mark, asks), part in frame.groupby(["mark", "asks"], sort=True):
            listed = [np.asarray(each) for each in part["items"]]
            right = [np.asarray(each) for each in part["relevant"]]
            if asks == PROBE:
                counts_I = self._served(cell).items_at(int(mark))
                right = [each[(each >= 0) & counts_I[each]] for each in listed]
            yield _Lists(
                mark=int(mark),
                asks=str(asks),
                tag=f"{tag}.m{mark}",
                qids=_qids(part["user"].to_numpy(), part["row"].to_numpy(), users),
                items=listed,
                relevant=right,
                docids=items,
            )

    def _outer(self, cell: CellInfo) -> tuple[list[str], list[str]]:
        key = cell.facts["data_key"]
        if self._names[0] != key:
            data = self._store.get_data(cell.settings["dataset"]["name"], key)
            self._names = (key, *_outer_names(data.vocabulary))
        return self._names[1], self._names[2]

    def _served(self, cell: CellInfo) -> Chain:
        """The requests that a cell served."""
        dataset, key, wanted = (cell.facts[name] for name in ("dataset", "data_key", "chain_hash"))
        if self._chain[0] == wanted and self._chain[1]:
            return self._chain[1]
        for chain in self._store.chain_keys(dataset, key):
            if self._store.chain_manifest(dataset, key, chain).get("hash") == wanted:
                found = self._store.get_chain(dataset, key, chain)
                self._chain = (wanted, found)
                return found
        raise StoreError(f"the requests of {cell.label} are not at {self._store.uri}")


def _ranked(store: Store, cell: CellInfo, marks: list[int]) -> pa.Table:
    names = ["mark", "asks", "user", "row", "items", "relevant"]
    data = io.BytesIO(store.cell_file(cell.key, "ranked.parquet"))
    return pq.read_table(data, columns=names, filters=[("mark", "in", marks)])


def _outer_names(vocabulary: Vocabulary) -> tuple[list[str], list[str]]:
    return [_encoded(n) for n in vocabulary.users], [_encoded(n) for n in vocabulary.items]


def _encoded(outer: str) -> str:
    """Without blanks: everything but letters, digits and ``_.-~`` percent-encoded in UTF-8."""
    return quote(outer, safe="")


def _qids(user_Q: np.ndarray, row_Q: np.ndarray, users: list[str]) -> list[str]:
    """The user, and the row too where a user asks more than once; the two are joined by ``:``."""
    if len(np.unique(user_Q)) == len(user_Q):
        return [_user(users, user) for user in user_Q]
    pairs = zip(user_Q, row_Q, strict=True)
    return [f"{_user(users, user)}:{row}" for user, row in pairs]


def _user(users: list[str], user: int) -> str:
    """Name of a user; those that a scenario makes up have none."""
    return users[user] if user < len(users) else f"made-up:{user}"
