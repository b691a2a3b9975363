"""What became of a job that was broken and resumed: what is equal, what was done twice."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from erase_ray.experiment.store import Store

WORKING = ("journal", "live", "lease")


@dataclass
class Verdict:
    """Counts of one job.

    Args:
        differing: Cells that are missing, or whose results, ranked lists or weights differ from
            those of the unbroken run.
        executed: How often cells were begun.
        repeated: Cells that were executed after they had been committed.
        beside: Cells that were begun while another live process was at them, one that was neither
            stopped nor lost its node or its driver.
        served_twice: Requests that were served more than once.
        lost: Cells that went on from before their last snapshot, with both positions.
        left: Working files of committed cells in the store.
        halves: Temporary files of writers that were killed, which ``store gc`` clears.
    """

    cells: int
    differing: list[str]
    executed: int
    repeated: list[str]
    beside: list[str]
    served_twice: int
    lost: list[str]
    left: list[str]
    halves: list[str]

    @property
    def is_clean(self):
        """Whether all that must hold does."""
        return not (self.differing or self.repeated or self.beside or self.lost or self.left)


def judge(arena, reference: Store, keys: set[str], store: Store | None = None) -> Verdict:
    """The verdict on what was done in an arena.

    Args:
        arena: Where the job was broken and resumed.
        reference: The store of an unbroken run.
        keys: Of the cells that the job was to run.
        store: That of the job, if it is not a folder.
    """
    store = store or Store(arena.storage, read_only=True)
    events = arena.diary()
    begun = [e for e in events if e["what"] == "execute"]
    names = [entry.name for entry in store._blobs.entries("")]
    served = Counter((e["key"], e["position"]) for e in events if e["what"] == "request")
    return Verdict(
        cells=len(store.done_cells()),
        differing=differing(store, reference, keys),
        executed=len(begun),
        repeated=_repeated(events),
        beside=[e["label"] for e in begun if _live(e["beside"], arena.doomed)],
        served_twice=sum(number - 1 for number in served.values()),
        lost=_lost(events),
        left=[n for n in names if _is_working(n)],
        halves=[n for n in names if _is_half(n)],
    )


def differing(store: Store, reference: Store, keys: set[str]) -> list[str]:
    """Those of ``keys`` that are not the same in both, and those that nobody asked for."""
    every = keys | store.done_cells()
    return sorted(
        key for key in every if key not in keys or _content(store, key) != _content(reference, key)
    )


def _is_working(name):
    first, *folders, _ = name.split("/")
    is_in_use = first in ("cells", "data") and any(folder in WORKING for folder in folders)
    return is_in_use and not _is_half(name)


def _is_half(name):
    return name.endswith(".tmp") or ".probe-" in name


def _content(store, key):
    if not store.has_cell(key):
        return None
    manifest = store.manifest(key)
    files = [manifest["files"][f"{name}.parquet"]["sha256"] for name in ("results", "ranked")]
    return files, manifest["weights"]


def _live(beside, doomed):
    return [pid for pid, state in beside.items() if state != "T" and int(pid) not in doomed]


def _repeated(events):
    committed, found = {}, []
    for event in events:
        if event["what"] == "committed":
            committed.setdefault(event["key"], event["time"])
        elif event["what"] == "execute" and event["key"] in committed:
            found.append(event["label"])
    return found


def _lost(events):
    """Each execution must go on from the newest snapshot that was there when it began."""
    newest, expected, found = defaultdict(int), {}, []
    for event in events:
        if event["what"] == "snapshot" and event["done"]:
            newest[event["key"]] = max(newest[event["key"]], event["position"])
        elif event["what"] == "execute":
            expected[event["key"], event["pid"]] = newest[event["key"]]
        elif event["what"] == "request":
            least = expected.pop((event["key"], event["pid"]), 0)
            if event["position"] < least:
                found.append(f"{event['label']}: {event['position']} < {least}")
    return found
