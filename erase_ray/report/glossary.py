"""The words of the page, explained."""

from erase_ray.report.families import METHOD_FAMILIES, MODEL_FAMILIES
from erase_ray.report.options import Options


def glossary(options: Options) -> list[tuple[str, str]]:
    """Words with what they mean, in the order of the alphabet."""
    return sorted(
        [
            (
                "Request",
                "One person's wish that some interactions be forgotten. The requests of a run are "
                "a chain: they are served one after the other on the same model.",
            ),
            (
                "Mark",
                "A moment at which everything is measured: after 25, 50, 75 and 100 % of the "
                "requests.",
            ),
            ("Original", "The model trained on everything, before any request."),
            (
                "Retrained",
                "The yardstick: a model trained from scratch, with the same seed, without the "
                "rows of all requests up to a mark.",
            ),
            (
                "Utility",
                "How good recommendations are: NDCG@20 on test rows that nobody asked to forget, "
                "the same rows for all models. Kept: in percent of the retrained model's.",
            ),
            (
                "NDCG@20, Recall@20",
                "From 0 to 1. Recall: share of a person's test items among the first 20 "
                "recommendations; NDCG also counts how far up they stand.",
            ),
            (
                "Still shown",
                "Share of the requesters with a sensitive item among their first 20 "
                "recommendations. The aim is the retrained model's value and not zero: even a "
                "model that never saw the forgotten rows recommends some. In the spam scenario "
                "the items are the promoted ones.",
            ),
            (
                "By chance",
                "The share that would see a sensitive item if 20 items were drawn at random.",
            ),
            (
                "Gap closed",
                "How far a method has come from the original model (0 %) to the retrained one "
                "(100 %) in what is still shown. Not given where the two do not differ clearly.",
            ),
            (
                "Interval",
                f"The range that the data leave open, at {100 * options.level:g} %. In brackets.",
            ),
            (
                "Verdict",
                "Equivalent: the difference to retraining lies within the margin, by two "
                f"one-sided tests (TOST) with an error rate of {100 * options.alpha:g} % each. "
                "Better or worse: the interval of the difference excludes 0. Unknown: neither, or "
                f"too few data. Margins: {100 * options.margin:g} % of the retrained model's "
                f"utility, {100 * options.forgetting_margin:g} percentage points in forgetting.",
            ),
            (
                "Alike (RBO)",
                "Rank-biased overlap of the first 20 recommendations with the retrained model's; "
                "1 is the same list.",
            ),
            (
                "Privacy AUC",
                "How well a membership attack tells forgotten examples from ones that were never "
                "seen: 0.5 is guessing, 1 is certainty.",
            ),
            (
                "Speed-up",
                "Mean seconds of one retraining over the mean seconds of one request, whatever "
                "became of it.",
            ),
            (
                "Combination",
                "A dataset, a model and a scenario (with category and share) that belong together.",
            ),
            ("Seed", "Root of all that is random in a run: requests, first weights, order."),
            (
                "Cell",
                "One run of one method. Its key is a hash of all that can change its result.",
            ),
            ("Method families", _families(METHOD_FAMILIES)),
            ("Model families", _families(MODEL_FAMILIES)),
            (
                "Mean rank",
                "Methods are ranked within each combination, 1 is best, and ranks are averaged. "
                "Friedman's test asks whether they differ at all, Nemenyi's which ones do.",
            ),
        ],
        key=lambda pair: pair[0].lower(),
    )


def _families(table: dict) -> str:
    families: dict[str, list[str]] = {}
    for name, family in table.items():
        families.setdefault(family, []).append(name)
    return "; ".join(f"{family}: {', '.join(names)}" for family, names in families.items()) + "."
