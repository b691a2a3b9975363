"""Names of ERASE's files: the grammar of its stages, in both directions.

The names are the only place where ERASE records what a file is about. Each form below is one line;
the same line reads a name and writes it. Fractions are printed as Python prints floats (``0.0001``,
``1e-05``).
"""

import re
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

WORD = r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*?"
NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"
FIELDS: dict[str, tuple[str, type]] = {
    "dataset": (WORD, str),
    "model": (r"[A-Za-z0-9]+", str),
    "category": (WORD, str),
    "algorithm": (WORD, str),
    "attack": (r"[a-z]+", str),
    "strategy": (r"[a-z]+", str),
    "ending": (r"inter|pkl|json", str),
    "kinds": (r"asins|products|tracks", str),
    "fraction": (NUMBER, float),
    "ratio": (NUMBER, float),
    "seed": (r"\d+", int),
    "checkpoint": (r"[0-3]", int),
    "request": (r"\d+", int),
    "num_targets": (r"\d+", int),
    "batch": (r"\d+", int),
}
"""Pattern and type of each part of a name."""

_MODEL = "model_{model}_seed_{seed}_dataset_{dataset}"
_SENSITIVE = "_unlearning_sample_selection_method_sensitive_category_{category}"
_SPAM = "_n_target_items_{num_targets}"
_RETRAIN = _MODEL + "_retrain_checkpoint_idx_to_match_{checkpoint}_unlearning_fraction_{fraction}"
_UNLEARNED = _MODEL + "_unlearning_algorithm_{algorithm}_unlearning_fraction_{fraction}"
_SERVED = "_unlearn_epoch_{request}_retrain_checkpoint_idx_to_match_{checkpoint}"
_ATTACK = "{attack}_{strategy}_ratio_{ratio}_seed_{seed}"

BASE, RETRAINED, UNLEARNED = "base model", "retrained model", "unlearned model"
FORGET, ITEMS, ROWS, BASKETS = "forget set", "sensitive items", "interactions", "baskets"
FAKE_SESSIONS, FAKE_BASKETS = "fraud sessions", "fraud baskets"
METADATA, EXPOSURE = "fraud metadata", "exposure"
MOST_CHARACTERS = 400
CHECKPOINTS = (BASE, RETRAINED, UNLEARNED)

FORMS: tuple[tuple[str, str], ...] = (
    (UNLEARNED, _UNLEARNED + _SENSITIVE + _SERVED + "_bs{batch}.pth"),
    (UNLEARNED, _UNLEARNED + _SENSITIVE + _SERVED + ".pth"),
    (UNLEARNED, _UNLEARNED + _SPAM + _SERVED + "_bs{batch}.pth"),
    (UNLEARNED, _UNLEARNED + _SPAM + _SERVED + ".pth"),
    (RETRAINED, _RETRAIN + _SENSITIVE + ".pth"),
    (RETRAINED, _RETRAIN + _SPAM + ".pth"),
    (BASE, _MODEL + "_unlearning_fraction_{fraction}" + _SPAM + "_best.pth"),
    (BASE, _MODEL + "_best.pth"),
    (EXPOSURE, "model_interaction_probabilities.pkl"),
    (
        FORGET,
        "{dataset}_unlearn_pairs_sensitive_category_{category}_seed_{seed}"
        "_unlearning_fraction_{fraction}.{ending}",
    ),
    (METADATA, "{dataset}_fraud_metadata_" + _ATTACK + ".json"),
    (FAKE_SESSIONS, "{dataset}_fraud_sessions_" + _ATTACK + ".inter"),
    (FAKE_BASKETS, "{dataset}_fraud_baskets_" + _ATTACK + ".json"),
    (ITEMS, "sensitive_{kinds}_{category}.txt"),
    (BASKETS, "{dataset}_merged.json"),
    (ROWS, "{dataset}.inter"),
)
"""Kind and form of each name, the more particular ones first."""

DATASETS = {
    "movielens": "movielens",
    "goodreads": "goodreads",
    "amazon_reviews_grocery_and_gourmet_food": "amazon_grocery",
    "amazon_reviews_books": "amazon_books",
    "30music": "thirty_music",
    "nowp": "nowplaying",
    "instacart": "instacart",
    "tafeng": "tafeng",
    "dunnhumby": "dunnhumby",
}
"""Our names of ERASE's datasets."""


@dataclass(frozen=True)
class Artefact:
    """What the name of a file says.

    Args:
        kind: One of the kinds of ``FORMS``.
        dataset: ERASE's name of it.
        model: ERASE's name of it.
        category: Of sensitive items; empty in the spam scenario.
        algorithm: Of an unlearned model.
        seed: Of everything; None where the name has none.
        fraction: Share of the rows to forget; of fakes in the spam scenario.
        checkpoint: 0 to 3; our mark is one more.
        request: Index of the last request served.
        num_targets: Items that fakes push.
        batch: Requests served at once.
        attack: How fakes are made.
        strategy: How their items are chosen.
        ratio: Share of fakes.
        kinds: What a list of items calls them.
        ending: Of a forget set.
    """

    kind: str
    dataset: str = ""
    model: str = ""
    category: str = ""
    algorithm: str = ""
    seed: int | None = None
    fraction: float | None = None
    checkpoint: int | None = None
    request: int | None = None
    num_targets: int | None = None
    batch: int | None = None
    attack: str = ""
    strategy: str = ""
    ratio: float | None = None
    kinds: str = ""
    ending: str = ""

    @property
    def file_name(self) -> str:
        """The name that says this.

        Raises:
            ValueError: No form has just these parts.
        """
        known = {k: v for k, v in asdict(self).items() if k != "kind" and v not in ("", None)}
        for kind, form in FORMS:
            if kind == self.kind and set(_parts(form)) == set(known):
                return form.format(**known)
        raise ValueError(f"no name of a {self.kind} has the parts {', '.join(sorted(known))}")

    @property
    def our_dataset(self) -> str:
        """Our name of the dataset; theirs where we have no such."""
        return DATASETS.get(self.dataset, self.dataset)

    @property
    def our_model(self) -> str:
        """Our name of the model."""
        return self.model.lower()

    @property
    def scenario(self) -> str:
        """Our name of the scenario; empty for a model that none plays a part in."""
        if self.category:
            return "sensitive"
        is_spam = self.num_targets is not None or self.attack
        return "spam" if is_spam else ""


def parse(name: str) -> Artefact | None:
    """What the name of a file says; None if it is none of ERASE's."""
    if len(name) > MOST_CHARACTERS:
        return None
    for kind, form in FORMS:
        match = _pattern(form).fullmatch(name)
        if match:
            found: dict[str, Any] = {k: FIELDS[k][1](v) for k, v in match.groupdict().items()}
            return Artefact(kind, **found)
    return None


def _parts(form: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", form)


@cache
def _pattern(form: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", form)
    texts = [re.escape(piece) for piece in pieces[::2]]
    groups = [f"(?P<{name}>{FIELDS[name][0]})" for name in pieces[1::2]]
    return re.compile("".join(a + b for a, b in zip(texts, [*groups, ""], strict=True)))
