"""Weights of RecBole's models as weights of ours, with a report of every tensor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from erase_ray.data.names import Names
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.experiment.cell import Part
from erase_ray.experiment.plain_weights import write_plain
from erase_ray.imports._mapping import Found, ModelMap, Take, Told
from erase_ray.imports._rows import PADDING, Rows
from erase_ray.imports.checkpoints import Checkpoint
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.ids import OuterIds
from erase_ray.imports.maps import model_map
from erase_ray.models import MODELS, Shape


@dataclass(frozen=True)
class Moved:
    """What became of one tensor."""

    theirs: str
    their_shape: tuple[int, ...]
    ours: str
    our_shape: tuple[int, ...]
    done: str


@dataclass(frozen=True, eq=False)
class Imported:
    """Weights of one of our models.

    Args:
        model: Its name.
        settings: Its settings, complete.
        shape: Sizes of its tables.
        state: Its ``state_dict``.
        vocabulary: Outer ids by kind; None if not known.
        report: What became of each tensor.
        notes: What was assumed or left out.
    """

    model: str
    settings: dict[str, Any]
    shape: Shape
    state: dict[str, Tensor]
    vocabulary: dict[str, Names] | None
    report: list[Moved]
    notes: list[str]

    def write(self, folder: Path, source: dict[str, Any]) -> Path:
        """Write a folder of plain weights; see :func:`write_plain`."""
        return write_plain(
            folder, self.model, self.settings, self.shape, self.state, source, self.vocabulary
        )


@dataclass(frozen=True)
class Choices:
    """What a user may say besides the file.

    Args:
        ids: Outer ids in RecBole's order.
        onto: The vocabulary of a dataset prepared here, which gives the order of our rows.
        settings: Settings of our model, before all that is recorded or inferred.
        names: Their modules or tensors by ours, where names are not known.
    """

    ids: OuterIds | None = None
    onto: Vocabulary | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def import_weights(
    checkpoint: Checkpoint, model: str = "", choices: Choices | None = None
) -> Imported:
    """The weights of a checkpoint under the names of our model.

    Args:
        checkpoint: What was read.
        model: Name of our model; what the checkpoint records, if empty.
        choices: See :class:`Choices`.

    Raises:
        ForeignFileError: A tensor is missing, too many or of another shape; the recorded model is
            another, or has settings that ours has not; ids do not fit the tables.
        UnknownNameError: No weights of such a model can be imported.
        SettingsError: A setting is unknown or out of range.
    """
    choices = choices or Choices()
    known = model_map(model or _recorded_model(checkpoint))
    _check_config(known, checkpoint)
    found = _found(known, checkpoint, choices)
    notes = list(found.notes)
    settings = _settings(known, checkpoint, found, choices, notes)
    rows = Rows.of(checkpoint.shapes, found, choices.ids, choices.onto, notes)
    state, report = _moved(known, checkpoint, found, settings, rows)
    _check_unused(known, checkpoint, found)
    for name, value in known.optional:
        if name not in state:
            state[name] = torch.full((rows.shape.num_items,), value)
            report.append(Moved("-", (), name, tuple(state[name].shape), f"not there: {value:g}"))
    return Imported(known.model, settings, rows.shape, state, rows.vocabulary, report, notes)


def _recorded_model(checkpoint: Checkpoint) -> str:
    name = checkpoint.config.get("model")
    if not isinstance(name, str):
        raise ForeignFileError(f"{checkpoint.path.name} does not record its model; say --model")
    return name.lower()


def _check_config(known: ModelMap, checkpoint: Checkpoint) -> None:
    config, name = checkpoint.config, checkpoint.path.name
    recorded = config.get("model", known.theirs)
    if str(recorded).lower() != known.theirs.lower():
        raise ForeignFileError(f"{name} records the model {recorded}, not {known.theirs}")
    for must in known.musts:
        if must.key in config and config[must.key] != must.value:
            raise ForeignFileError(
                f"{name} has {must.key}: {config[must.key]}; our {known.model} is {must.value} "
                "always"
            )


def _found(known: ModelMap, checkpoint: Checkpoint, choices: Choices) -> Found:
    shapes = checkpoint.shapes
    if known.search:
        return known.search(shapes, choices.names)
    if choices.names:
        raise ForeignFileError(
            f"names of tensors of {known.theirs} are known; --name is for others"
        )
    missing = [take.theirs for take in known.tensors(shapes) if take.theirs not in shapes]
    if missing:
        raise ForeignFileError(
            f"{checkpoint.path.name} lacks {', '.join(missing[:5])} of {known.theirs}; it has "
            f"{', '.join(list(shapes)[:5])}"
        )
    sizes = {size.setting: shapes[size.theirs][size.dimension] for size in known.sizes}
    return Found(known.tensors(shapes), sizes)


def _settings(
    known: ModelMap, checkpoint: Checkpoint, found: Found, choices: Choices, notes: list[str]
) -> dict[str, Any]:
    values: dict[str, Any] = dict(found.sizes) | dict(known.always)
    for told in known.told:
        if told.setting not in choices.settings:
            values |= _told(told, checkpoint, notes)
    given = values | dict(choices.settings)
    return Part.resolved(MODELS, known.model, given).settings


def _told(told: Told, checkpoint: Checkpoint, notes: list[str]) -> dict[str, Any]:
    value = checkpoint.config.get(told.key)
    if value is None:
        why = "scores depend on it" if told.scores else "it matters to training alone"
        notes.append(f"{told.setting}: not recorded, our default is taken; {why}")
        return {}
    try:
        return {told.setting: told.change(value)}
    except (TypeError, IndexError, KeyError) as error:
        raise ForeignFileError(
            f"{checkpoint.path.name} has {told.key}: {str(value)[:60]}, which is not understood"
        ) from error


def _moved(
    known: ModelMap,
    checkpoint: Checkpoint,
    found: Found,
    settings: dict[str, Any],
    rows: Rows,
) -> tuple[dict[str, Tensor], list[Moved]]:
    expected = _expected(known, settings, rows.shape)
    state: dict[str, Tensor] = {}
    report: list[Moved] = []
    for take in found.tensors:
        theirs = checkpoint.state.get(take.theirs)
        if theirs is None or take.ours not in expected:
            lacking = take.theirs if theirs is None else take.ours
            raise ForeignFileError(f"{checkpoint.path.name}: there is no tensor '{lacking}'")
        rows.check(take, theirs)
        target = expected[take.ours]
        tensor, done = _one(take, theirs, rows, target)
        if tensor.shape != target.shape:
            raise ForeignFileError(
                f"{checkpoint.path.name}: {take.theirs} has the shape {list(theirs.shape)}, which "
                f"gives {list(tensor.shape)}; our {take.ours} has {list(target.shape)}"
            )
        if target.is_floating_point() and not torch.isfinite(tensor).all():
            raise ForeignFileError(f"{checkpoint.path.name}: {take.theirs} holds NaN or infinity")
        state[take.ours] = tensor.to(target.dtype).contiguous()
        shapes = tuple(theirs.shape), tuple(tensor.shape)
        report.append(Moved(take.theirs, shapes[0], take.ours, shapes[1], done))
    return state, report


def _one(take: Take, theirs: Tensor, rows: Rows, target: Tensor) -> tuple[Tensor, str]:
    """What our tensor becomes, and what was done for that."""
    if take.form == "same":
        return theirs, ""
    if take.form == "first rows":
        return theirs[: len(target)], f"rows 0 to {len(target) - 1}"
    places = torch.from_numpy(rows.users if take.form == "users" else rows.items) + PADDING
    done = "padding row left out" + (", rows in our order" if rows.is_ordered else "")
    taken = theirs.index_select(0, places)
    if take.form == "item pairs":
        return taken.index_select(1, places), f"{done}; columns alike"
    if take.form == "item column":
        return taken.reshape(-1), f"{done}; as a vector"
    return taken, done


def _expected(known: ModelMap, settings: dict[str, Any], shape: Shape) -> dict[str, Tensor]:
    """The tensors that our model has, without memory for them."""
    with torch.device("meta"):
        part = Part.resolved(MODELS, known.model, settings)
        return dict(part.build(MODELS, shape).state_dict())


def _check_unused(known: ModelMap, checkpoint: Checkpoint, found: Found) -> None:
    used = {take.theirs for take in found.tensors}
    unused = [name for name in checkpoint.state if name not in used]
    if unused:
        shown = ", ".join(f"{n} {list(checkpoint.shapes[n])}" for n in unused[:5])
        raise ForeignFileError(
            f"{checkpoint.path.name} has tensors that our {known.model} does not know: {shown}"
        )
