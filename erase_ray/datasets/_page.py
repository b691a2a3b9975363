"""The page of the documentation on datasets, from what each dataset says about itself."""

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._archives import base_name
from erase_ray.datasets._base import DATASETS, Dataset
from erase_ray.datasets._own_files import missing_files

BY_SETTINGS = "by settings"
MADE = "made"
_HEAD = """# Datasets

Made by `erase-ray datasets list --markdown`; change the dataset, not this page. Numbers of rows,
users and items are rough. Files are found in your folder by their path or base name, packed with
gzip or not.
"""


def known_datasets() -> dict[str, type[Dataset]]:
    """All datasets by name."""
    return {name: DATASETS.get(name) for name in DATASETS.names()}


def task_of(dataset: type[Dataset]) -> str:
    """Name of the task; :data:`BY_SETTINGS` where no default settings say so."""
    try:
        settings = dataset.Settings()
    except ValidationError:
        return BY_SETTINGS
    return dataset(settings).task


def way_of(dataset: type[Dataset]) -> str:
    """How its raw files come: ``automatic``, ``by hand``, ``your own`` or ``made``, for people."""
    if dataset.sources:
        return "automatic"
    if has_own_files(dataset):
        return "your own"
    if not dataset.about:
        return MADE
    needed = missing_files(dataset.about.files, {})
    with_address = sum(bool(file.address) for file in needed)
    if needed and with_address == len(needed):
        return "automatic, unverified"
    return "some by hand" if with_address else "by hand"


def has_own_files(dataset: type[Dataset]) -> bool:
    """True if the settings say which files it reads."""
    return dataset.own_files is not Dataset.own_files


def page() -> str:
    """The whole page as Markdown."""
    datasets = known_datasets()
    rows = [_overview(name, dataset) for name, dataset in datasets.items()]
    head = "| name | task | rows | users | items | raw files |\n|---|---|---|---|---|---|"
    sections = [_section(name, dataset) for name, dataset in datasets.items()]
    return "\n".join([_HEAD, head, *rows, "", *sections])


def _overview(name: str, dataset: type[Dataset]) -> str:
    sizes = [f"{size:,}" for size in getattr(dataset, "rough_size", ())] or ["-"] * 3
    return f"| [{name}](#{name}) | {task_of(dataset)} | {' | '.join(sizes)} | {way_of(dataset)} |"


def _section(name: str, dataset: type[Dataset]) -> str:
    lines = [f"## {name}", "", _first_line(dataset), ""]
    if dataset.about:
        lines += _about(dataset.about)
    for source in dataset.sources:
        lines += [f"- Fetched and verified from `{source.address}`"]
    lines += [f"- Settings: {_settings(dataset)}", ""]
    if dataset.about and dataset.about.files:
        lines += ["| file | holds | size | download |", "|---|---|---|---|"]
        fetched = {base_name(member) for source in dataset.sources for member in source.members}
        lines += [*(_file(file, file.name in fetched) for file in dataset.about.files), ""]
    return "\n".join(lines)


def _about(about: About) -> list[str]:
    return [
        f"- Source: {about.title}",
        f"- Licence: {about.licence}",
        f"- Citation: {about.citation}",
        f"- Download page: {about.address}",
    ]


def _settings(dataset: type[Dataset]) -> str:
    fields = dataset.Settings.model_fields
    return ", ".join(_setting(name, field) for name, field in fields.items()) or "none"


def _setting(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return f"`{name}`"
    return f"`{name}={field.get_default(call_default_factory=True)!r}`"


def _file(file: RawFile, is_fetched: bool) -> str:
    name = f"`{file.name}`{' (optional)' if file.optional else ''}"
    way = "automatic" if is_fetched else _link(file)
    return f"| {name} | {_cell(file.holds)} | {file.size or 'unknown'} | {way} |"


def _link(file: RawFile) -> str:
    return f"<{file.address}>" if file.address else "by hand"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _first_line(dataset: type[Dataset]) -> str:
    return (dataset.__doc__ or "").strip().partition("\n")[0]
