"""Cells grouped to panels (dataset × model) and, inside, to one series a method."""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from erase_ray.experiment.results import ORIGINAL, RETRAIN
from erase_ray.registry import part_title
from erase_ray.report.choose import task_of
from erase_ray.report.numbers import TIMES
from erase_ray.report.read import CellInfo

REFERENCES = (ORIGINAL, RETRAIN)

_PANEL = ("dataset", "model", "training", "scenario")


@dataclass(frozen=True, eq=False)
class Series:
    """The cells of one method with one choice of settings, over all seeds.

    Args:
        name: The method; numbered (``scif-2``) where a panel holds it with several settings.
        method: Name of the method.
        variant: The settings in which it differs from its namesakes; empty without any.
        cells: Finished and missing ones.
        audits: Cells that audit it, finished and missing ones.
    """

    name: str
    method: str
    variant: str
    cells: tuple[CellInfo, ...]
    audits: tuple[CellInfo, ...] = ()

    @property
    def seeds(self) -> list[int]:
        """All seeds, also those of cells that are missing."""
        return sorted({cell.settings["seed"] for cell in self.cells})


@dataclass(frozen=True, eq=False)
class Panel:
    """Everything about one dataset, model, training and scenario.

    Args:
        id: Unique in the report, fit for an HTML id.
        title: Dataset × model, with what tells it from namesakes.
        settings: Dataset, model, training and scenario as plain values.
        series: Original and retrained first, then by name.
    """

    id: str
    title: str
    settings: dict[str, Any]
    series: tuple[Series, ...]

    @property
    def cells(self) -> list[CellInfo]:
        """All cells of the panel but audits."""
        return [cell for series in self.series for cell in series.cells]

    @property
    def task(self) -> str:
        """Name of the task; empty if nobody knows it."""
        return next((task for cell in self.cells if (task := task_of(cell))), "")

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.settings["dataset"]["name"]

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.settings["model"]["name"]

    @property
    def scenario(self) -> str:
        """Scenario and category, such as ``sensitive: health``."""
        name = self.scenario_title or "no scenario"
        return f"{name}: {self.category}" if self.category else name

    @property
    def scenario_title(self) -> str:
        """Title of the scenario; empty without one."""
        scenario = self.settings["scenario"]
        return part_title(**scenario) if scenario else ""

    @property
    def category(self) -> str:
        """What is to be forgotten; empty where there is no word for it."""
        found = {cell.facts.get("category") for cell in self.cells if cell.done} - {None, ""}
        stated = _scenario_settings(self.settings).get("category", "")
        return ", ".join(sorted(map(str, found))) or str(stated)

    @property
    def fraction(self) -> float:
        """How much is to be forgotten, as a share; NaN where no setting says so."""
        settings = _scenario_settings(self.settings)
        value = settings.get("fraction", settings.get("ratio"))
        return math.nan if value is None else float(value)


def make_panels(cells: Iterable[CellInfo]) -> list[Panel]:
    """The panels of all cells of methods whose settings are known, sorted by title.

    Base models and shadow models are in none of them.
    """
    groups: dict[str, list[CellInfo]] = defaultdict(list)
    for cell in cells:
        if cell.is_measured:
            groups[_identity(cell, _PANEL)].append(cell)
    titles = _titles(groups)
    variants = _variants(groups.values())
    ordered = sorted(groups, key=lambda group: (titles[group], group))
    ids = _ids([titles[group] for group in ordered])
    return [
        Panel(
            ids[place],
            titles[group],
            {part: groups[group][0].settings[part] for part in _PANEL},
            _series(groups[group], variants),
        )
        for place, group in enumerate(ordered)
    ]


def slug(text: str, most: int = 60) -> str:
    """``text`` as a name for files and places on a page."""
    return re.sub(r"[^a-z0-9_.]+", "-", text.lower()).strip("-.")[:most] or "unnamed"


def _ids(titles: Sequence[str]) -> list[str]:
    found: list[str] = []
    for title in titles:
        name = slug(title)
        found.append(name if name not in found else f"{name}-{len(found) + 1}")
    return found


def flat(settings: Any, path: str = "") -> dict[str, Any]:
    """Nested settings as one level, keys joined by dots."""
    if not isinstance(settings, dict):
        return {path: settings}
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{path}.{key}" if path else str(key))
    return found


def differences(settings: Sequence[Any]) -> list[str]:
    """For each of several settings, the values in which they are not all the same."""
    levels = [flat(each) for each in settings]
    keys = sorted({key for level in levels for key in level})
    differing = [key for key in keys if len({json.dumps(level.get(key)) for level in levels}) > 1]
    return [
        ", ".join(f"{_short(key)}={level[key]}" for key in differing if key in level)
        for level in levels
    ]


def _short(key: str) -> str:
    return key.replace(".settings", "").removeprefix("settings.")


def _identity(cell: CellInfo, parts: Sequence[str]) -> str:
    return json.dumps([cell.settings[part] for part in parts], sort_keys=True)


def _titles(groups: dict[str, list[CellInfo]]) -> dict[str, str]:
    """Dataset × model; with the scenario, then all that differs, where that is not enough."""
    named = {group: _name(cells[0].settings) for group, cells in groups.items()}
    for longer in (_with_scenario, _with_differences):
        counts = Counter(named.values())
        same: dict[str, list[str]] = defaultdict(list)
        for group, title in named.items():
            if counts[title] > 1:
                same[title].append(group)
        for title, several in same.items():
            named |= longer(title, {group: groups[group][0].settings for group in several})
    return named


def _name(settings: dict[str, Any]) -> str:
    return f"{settings['dataset']['name']} {TIMES} {settings['model']['name']}"


def _with_scenario(title: str, several: dict[str, dict[str, Any]]) -> dict[str, str]:
    texts = {group: _scenario_text(settings) for group, settings in several.items()}
    if len(set(texts.values())) == 1:
        return {}
    return {group: f"{title}, {text}" for group, text in texts.items()}


def _with_differences(title: str, several: dict[str, dict[str, Any]]) -> dict[str, str]:
    parts = [{part: settings[part] for part in _PANEL} for settings in several.values()]
    texts = zip(several, differences(parts), strict=True)
    return {group: f"{title} ({text})" if text else title for group, text in texts}


def _scenario_text(settings: dict[str, Any]) -> str:
    """Scenario, category and how much, such as ``sensitive: health 0.0001``."""
    scenario, known = settings["scenario"], _scenario_settings(settings)
    if not scenario:
        return "no scenario"
    category, share = known.get("category"), known.get("fraction", known.get("ratio"))
    name = part_title(**scenario)
    text = f"{name}: {category}" if category else name
    return text if share is None else f"{text} {share:g}"


def _scenario_settings(settings: dict[str, Any]) -> dict[str, Any]:
    return (settings["scenario"] or {}).get("settings", {})


def _variants(groups: Iterable[list[CellInfo]]) -> dict[str, tuple[str, str]]:
    """Name and difference by identity of a method; numbered over the whole report."""
    by_method: dict[str, set[str]] = defaultdict(set)
    several: set[str] = set()
    for cells in groups:
        here = {(cell.method, _identity(cell, ["method"])) for cell in cells}
        several |= {method for method, count in Counter(m for m, _ in here).items() if count > 1}
        for method, identity in here:
            by_method[method].add(identity)
    found: dict[str, tuple[str, str]] = {}
    for method, identities in by_method.items():
        ordered = sorted(identities)
        texts = differences([json.loads(identity)[0] for identity in ordered])
        for number, (identity, text) in enumerate(zip(ordered, texts, strict=True), 1):
            numbered = (f"{method}-{number}", text)
            found[identity] = numbered if method in several else (method, "")
    return found


def _series(cells: list[CellInfo], variants: dict[str, tuple[str, str]]) -> tuple[Series, ...]:
    groups: dict[str, list[CellInfo]] = defaultdict(list)
    for cell in cells:
        groups[_identity(cell, ["method"])].append(cell)
    series = [
        Series(
            *(variants[identity][0], same[0].method, variants[identity][1]),
            tuple(cell for cell in same if not cell.audit),
            tuple(cell for cell in same if cell.audit),
        )
        for identity, same in groups.items()
    ]
    return tuple(sorted(series, key=_order))


def _order(series: Series) -> tuple[int, str]:
    known = series.method in REFERENCES
    return (REFERENCES.index(series.method) if known else len(REFERENCES), series.name)
