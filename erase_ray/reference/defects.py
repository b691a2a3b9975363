"""The defects of the published protocol, each with a name that switches it on."""

from dataclasses import dataclass

from erase_ray.registry import known_names

CF, SESSIONS, BASKETS = "cf", "session_based", "next_basket"
EVERY = frozenset((CF, SESSIONS, BASKETS))
SENSITIVE, SPAM = "sensitive", "spam"
ALL = "all"


@dataclass(frozen=True)
class Defect:
    """One departure of the published protocol from the corrected one.

    Args:
        what: What is computed.
        source: Where it is described: ``P`` is the protocol, ``U`` unlearning, ``M`` models.
        tasks: Where it has an influence; elsewhere it is ignored.
        scenarios: The same.
        trains: Whether the base model is trained in another way.
    """

    what: str
    source: str
    tasks: frozenset[str] = EVERY
    scenarios: frozenset[str] = frozenset((SENSITIVE, SPAM))
    trains: bool = False


DEFECTS = {
    "marks": Defect(
        "Marks after floor(n/4)+1, floor(n/2)+1, floor(3n/4)+1 and n of n requests",
        "P 2.4, U 1.5",
    ),
    "resplit": Defect(
        "Train, valid and test are cut anew from what is left at a mark: retrained models learn "
        "from that split, retrained and unlearned ones are tested on it, and the original is "
        "tested on the full data. Of baskets, retraining also drops people with fewer than four",
        "P 3.2, P 5, M 10.7",
    ),
    "split_fakes": Defect(
        "Fakes have valid and test rows, which select epochs and count in tests until their "
        "requests are served",
        "P 2.6, P 5",
        scenarios=frozenset((SPAM,)),
        trains=True,
    ),
    "leaking_graph": Defect(
        "Graph models forget, and are tested after it, with the edges of all parts of the split, "
        "of which none is ever removed; original and retrained models have the train edges",
        "U 1.7",
        tasks=frozenset((CF,)),
    ),
    "stale_embeddings": Defect(
        "At all four marks the probes of a graph model that forgets are answered with the "
        "propagated tables of the last one, that of mark 4",
        "P 6.1 (12)",
        tasks=frozenset((CF,)),
    ),
    "uncleaned_probes": Defect(
        "Original and unlearned models are probed with histories that hold the forgotten items, "
        "retrained ones with cleaned histories",
        "P 6.1 (11)",
        tasks=frozenset((SESSIONS, BASKETS)),
    ),
    "last_row_probes": Defect(
        "Probes ask for the last test row (or basket) that a person has, over what came before; "
        "people without one are not probed",
        "P 3.3",
        tasks=frozenset((SESSIONS, BASKETS)),
    ),
    "unmasked_probes": Defect(
        "The top k of probes includes items that the person has already",
        "P 3.3, P 6.1 (17)",
        tasks=frozenset((CF,)),
    ),
    "original_on_everybody": Defect(
        "The original model is probed for all people, the others for those who asked",
        "P 3.3",
        scenarios=frozenset((SENSITIVE,)),
    ),
    "uncleaned_baskets": Defect(
        "Unlearned models are tested on baskets that hold the forgotten items; a query is left out "
        "only if the first item of its target is forgotten",
        "P 4, P 6.1 (4)",
        tasks=frozenset((BASKETS,)),
    ),
    "spam_not_removed": Defect(
        "Retraining removes no fakes", "P 6.1 (9)", frozenset((BASKETS,)), frozenset((SPAM,))
    ),
    "recoded_lengths": Defect(
        "The lengths of histories, of their baskets and of target baskets are codes in the order "
        "in which lengths appear, and are used as lengths",
        "P 6.1 (1), M 2.3",
        tasks=frozenset((BASKETS,)),
        trains=True,
    ),
    "first_items": Defect(
        "Only first items of target baskets are known; others vanish from histories and targets, "
        "are never ranked, and count as not found",
        "P 6.1 (2), M 2.3",
        tasks=frozenset((BASKETS,)),
        trains=True,
    ),
    "rounding": Defect("Metrics of the test queries are rounded to four decimals", "P 3.1"),
    "tied_early_stopping": Defect(
        "The best epoch is the last of those with the highest value of four decimals, and training "
        "waits one epoch more than its patience",
        "M 10.1",
        trains=True,
    ),
}
"""In the order of the documentation."""


def checked(names: list[str]) -> list[str]:
    """The names in the order of :data:`DEFECTS`, each once.

    Raises:
        ValueError: One of them is not known.
    """
    for name in names:
        if name not in DEFECTS:
            raise ValueError(f"no defect is called '{name}'.{known_names(name, list(DEFECTS))}")
    return [name for name in DEFECTS if name in names]


def active(defects: str | list[str], task: str, scenario: str) -> frozenset[str]:
    """Those of ``defects`` (``all`` or names) that have an influence.

    Args:
        defects: As in the settings.
        task: Name of the task of the data.
        scenario: ``sensitive`` or ``spam``.
    """
    chosen = DEFECTS if defects == ALL else defects
    return frozenset(
        name
        for name in chosen
        if task in DEFECTS[name].tasks and scenario in DEFECTS[name].scenarios
    )


def in_training(defects: str | list[str], task: str, scenario: str) -> list[str]:
    """Those that also have an influence on the base model, in the order of :data:`DEFECTS`."""
    found = active(defects, task, scenario)
    return [name for name, defect in DEFECTS.items() if name in found and defect.trains]
