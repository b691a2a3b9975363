"""Which cells a cell reads."""

from functools import cache

from erase_ray.audits import AUDITS, ObservationAudit
from erase_ray.experiment.cell import NO_METHOD, Cell, Part, Shadow
from erase_ray.experiment.results import BASE, ORIGINAL, RETRAIN
from erase_ray.methods import METHODS
from erase_ray.scenarios._base import NUM_MARKS


def parents(cell: Cell) -> list[Cell]:
    """The cells whose results ``cell`` reads; those that they read in turn are not among them."""
    if cell.audit is not None:
        kind = AUDITS.get(cell.audit.name)
        return shadows(cell) if issubclass(kind, ObservationAudit) else subjects(cell)
    return [cell.base] if _needs_base(cell) else []


def shadows(cell: Cell) -> list[Cell]:
    """The shadow models of an audit: all as they were trained, then all after the method."""
    assert cell.audit is not None
    count = cell.audit.settings["shadows"]
    mark = NUM_MARKS if _per_mark(cell) else None
    found = [
        cell.model_copy(
            update={"audit": None, "mark": mark, "shadow": Shadow(index=index, count=count)}
        )
        for index in range(count)
    ]
    after = [] if cell.method.name == ORIGINAL else found
    return [one.base for one in found] + after


def subjects(cell: Cell) -> list[Cell]:
    """The base cell, the retrained models at the marks that matter, and the audited cells."""
    marks = marks_of(cell)
    found = [cell.base, *(retrained(cell, mark) for mark in marks)]
    if cell.method.name not in (ORIGINAL, RETRAIN):
        found += [audited(cell, mark) for mark in (marks if _per_mark(cell) else marks[:1])]
    return found


def marks_of(cell: Cell) -> tuple[int, ...]:
    """The marks that the audit of a cell looks at."""
    assert cell.audit is not None
    return getattr(AUDITS.get(cell.audit.name), "marks", (NUM_MARKS,))


def retrained(cell: Cell, mark: int) -> Cell:
    """The cell that trains without what ``cell`` forgets up to ``mark``."""
    if cell.method.name == RETRAIN:
        return audited(cell, mark)
    changes = {"audit": None, "limit_s": None, "mark": mark, "method": _retrain()}
    return cell.model_copy(update=changes)


def audited(cell: Cell, mark: int) -> Cell:
    """The cell that left the audited model at ``mark``."""
    changes = {"audit": None, "mark": mark if _per_mark(cell) else None}
    return cell.model_copy(update=changes)


@cache
def _retrain() -> Part:
    """One object for all cells: plans remember what they know of a part by its identity."""
    return Part.resolved(METHODS, RETRAIN, {})


def _per_mark(cell: Cell) -> bool:
    return cell.method.name not in NO_METHOD and cell.method.kind(METHODS).per_mark


def _needs_base(cell: Cell) -> bool:
    name = cell.method.name
    return name == ORIGINAL or (name != BASE and cell.method.kind(METHODS).needs_base)
