"""What every dataset must do."""

from erase_ray.contract._candidate import Candidate
from erase_ray.contract._check import Check, NotApplicableError, expect
from erase_ray.contract._saying import SAYING
from erase_ray.contract.planted import CPU, scratch, shuffle_generators
from erase_ray.data.files import to_files
from erase_ray.data.prepare import prepare
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Part
from erase_ray.datasets import Dataset
from erase_ray.datasets._own_files import described, find_files, missing_files
from erase_ray.datasets._page import has_own_files
from erase_ray.tasks import TASKS, Cut

HEX = 64
"""Letters of a SHA-256."""


def says_where_it_is_from(candidate: Candidate) -> None:
    """Task, rough size, and checksums of what is fetched."""
    kind = candidate.cls
    dataset, known = candidate.make(), TASKS.names()
    expect(
        dataset.task in known,
        f"task must be one of {', '.join(known)}, got '{dataset.task}'",
    )
    sizes = getattr(kind, "rough_size", ())
    expect(
        len(sizes) == 3 and all(size > 0 for size in sizes),
        f"set rough_size to about how many interactions, users and items there are, got {sizes}",
    )
    for source in kind.sources:
        expect(
            len(source.sha256) == HEX,
            f"the SHA-256 of {source.address} must have {HEX} letters, got '{source.sha256}'",
        )
        expect(bool(source.members), f"name the files of {source.address} that are needed")


def read_twice_it_is_the_same(candidate: Candidate) -> None:
    """The same files give the same bytes, whatever the global generators do."""
    first, second = (_prepared(candidate, shuffled) for shuffled in (1, 2))
    files = to_files(first), to_files(second)
    differing = [name for name in files[0] if files[0][name] != files[1][name]]
    expect(
        not differing,
        f"read twice, it differs in {', '.join(differing)}: draw from erase_ray.seeds alone, and "
        "iterate over nothing whose order is by chance, such as a set",
    )
    expect(first.counts == second.counts, f"counts differ: {first.counts} and {second.counts}")


def can_be_asked(candidate: Candidate) -> None:
    """Prepared and split, there is something to learn, to select on and to ask."""
    data = _prepared(candidate, shuffled=1)
    task, cut = TASKS.get(data.task)(), Cut(10, CPU)
    marks = {int(mark) for mark in data.split.marks}
    expect(
        marks == {int(part) for part in (Part.TRAIN, Part.VALID, Part.TEST)},
        f"the split of the task {data.task} must leave no part empty, got the marks {marks}: "
        "sequences are too few or too short",
    )
    examples = task.examples(data.interactions, data.split, cut)
    expect(len(examples) > 0, "there are no training examples: sequences are too short")
    for part in (Part.VALID, Part.TEST):
        queries = task.queries(data.interactions, data.split, part, cut)
        expect(len(queries) > 0, f"there are no {part.name.lower()} queries to answer")


def _prepared(candidate: Candidate, shuffled: int) -> Prepared:
    dataset: Dataset = candidate.make()
    wanted = dataset.own_files or (dataset.about.files if dataset.about else ())
    if has_own_files(type(dataset)) and not wanted:
        raise NotApplicableError("its settings name its files: say which with --set KEY=VALUE")
    if (wanted or dataset.sources) and candidate.raw is None:
        raise NotApplicableError("it reads raw files: say where they are with --raw DIR")
    found = find_files(wanted, candidate.raw) if candidate.raw else {}
    missing = missing_files(wanted, found)
    if missing:
        raise NotApplicableError(
            f"{candidate.raw} lacks {', '.join(described(file) for file in missing)}"
        )
    shuffle_generators(shuffled)
    raw = dataset.read(found, scratch())
    return prepare(dataset, raw, TASKS.get(dataset.task)().split)


CHECKS: tuple[Check, ...] = (
    *SAYING,
    Check(
        "says where it is from",
        "Task, rough size and checksums of what is fetched are there.",
        says_where_it_is_from,
    ),
    Check(
        "read twice it is the same",
        "The same files give the same bytes.",
        read_twice_it_is_the_same,
    ),
    Check("can be asked", "Every part of the split has something in it.", can_be_asked),
)
