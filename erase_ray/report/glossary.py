"""The words of the page and the columns of the tables, explained."""

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


COLUMNS: dict[str, str] = {
    "task": "What is recommended: cf (items to users), session_based (the next item) or "
    "next_basket.",
    "dataset": "Name of the dataset.",
    "model": "Name of the recommendation model.",
    "method": "What forgets; original is the untouched model, retrain the one trained from "
    "scratch without the forgotten rows, base the training of a model. A name that ends in "
    ".reference is what the published implementation computes.",
    "scenario": "Who asks to forget what.",
    "category": "Sensitive category that the requests are about; empty if they are about none.",
    "fraction": "Share of the interactions, or ratio of made-up ones, that the requests are about.",
    "seed": "Root of all that is random: requests, first weights, order.",
    "mark": "When it was measured: after 1/4, 2/4, 3/4 or 4/4 of the requests; 0 before any. Of a "
    "request: the first mark whose measurement includes it.",
    "metric": "What was measured. A part behind a dot is a group of the people who ask.",
    "k": "Length of the list that is judged; 0 where there is none.",
    "value": "The number; missing where nothing could be measured.",
    "unit": "Unit of the value.",
    "better": "Whether more (up) or less (down) is better; empty where neither is.",
    "n": "How many queries, requests or devices the value is about.",
    "test_hash": "SHA-256 of the queries; values of other queries must not be compared.",
    "cell": "Key of the cell: a SHA-256 of all that can change its result.",
    "request": "Place of the request in the chain, from 0.",
    "user": "Inner number of the person who asks.",
    "num_rows": "Interactions that the request names.",
    "status": "What became of it: applied, skipped, timed_out, non_finite or empty.",
    "reason": "Why it was not applied; empty if it was.",
    "num_forget": "Training examples that had to be forgotten.",
    "num_cleaned": "Training examples of the same person that took their place.",
    "num_gradients": "Gradients of mini-batches that were computed.",
    "num_hvps": "Hessian-vector products of mini-batches that were computed.",
    "step_norm": "Euclidean norm of the change of the weights; missing if there was none.",
    "seconds_data": "Seconds to get the data of the request ready.",
    "seconds_algorithm": "Seconds of the method itself.",
    "seconds_save": "Seconds to keep a snapshot.",
    "details": "What else the method tells, as JSON.",
    "label": "A short name of the cell for people.",
    "audit": "Name of the audit that the numbers are from; empty for plain measurements.",
    "device": "Kind of device that the cell ran on.",
    "seconds": "Seconds that the whole cell took.",
    "created": "When it was finished, in UTC.",
    "num_requests": "Requests in the chain.",
    "split_hash": "SHA-256 of the split into train, valid and test rows.",
    "chain_hash": "SHA-256 of the chain of requests.",
    "versions": "Versions of Python and of the libraries, as JSON.",
    "settings": "The cell with all its settings, as JSON.",
}
"""Columns of the tables that are published, with what they mean."""
