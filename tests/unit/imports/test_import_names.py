"""The grammar of ERASE's names, in both directions."""

import pytest

from erase_ray.imports.names import FORMS, Artefact, parse

NAMES = {
    "model_BPR_seed_2_dataset_movielens_best.pth": Artefact(
        "base model", "movielens", "BPR", seed=2
    ),
    "model_SRGNN_seed_11_dataset_nowp_unlearning_fraction_0.01"
    "_n_target_items_10_best.pth": Artefact(
        "base model", "nowp", "SRGNN", seed=11, fraction=0.01, num_targets=10
    ),
    "model_SGL_seed_3_dataset_amazon_reviews_grocery_and_gourmet_food_retrain_checkpoint_idx_to_match"
    "_3_unlearning_fraction_1e-05_unlearning_sample_selection_method_sensitive_category_meat"
    ".pth": Artefact(
        "retrained model",
        "amazon_reviews_grocery_and_gourmet_food",
        "SGL",
        "meat",
        seed=3,
        fraction=1e-5,
        checkpoint=3,
    ),
    "model_NARM_seed_5_dataset_nowp_retrain_checkpoint_idx_to_match_0_unlearning_fraction_0.01"
    "_n_target_items_10.pth": Artefact(
        "retrained model", "nowp", "NARM", seed=5, fraction=0.01, checkpoint=0, num_targets=10
    ),
    "model_LightGCN_seed_7_dataset_goodreads_unlearning_algorithm_scif_unlearning_fraction_0.0001"
    "_unlearning_sample_selection_method_sensitive_category_mental_health_unlearn_epoch_41"
    "_retrain_checkpoint_idx_to_match_1.pth": Artefact(
        "unlearned model",
        "goodreads",
        "LightGCN",
        "mental_health",
        "scif",
        seed=7,
        fraction=1e-4,
        checkpoint=1,
        request=41,
    ),
    "model_GRU4Rec_seed_7_dataset_30music_unlearning_algorithm_fanchuan_unlearning_fraction_1e-06"
    "_unlearning_sample_selection_method_sensitive_category_explicit_unlearn_epoch_0"
    "_retrain_checkpoint_idx_to_match_2_bs10.pth": Artefact(
        "unlearned model",
        "30music",
        "GRU4Rec",
        "explicit",
        "fanchuan",
        seed=7,
        fraction=1e-6,
        checkpoint=2,
        request=0,
        batch=10,
    ),
    "model_SASRec_seed_2_dataset_nowp_unlearning_algorithm_gif_unlearning_fraction_0.01"
    "_n_target_items_10_unlearn_epoch_9_retrain_checkpoint_idx_to_match_3.pth": Artefact(
        "unlearned model",
        "nowp",
        "SASRec",
        algorithm="gif",
        seed=2,
        fraction=0.01,
        checkpoint=3,
        request=9,
        num_targets=10,
    ),
    "model_SASRec_seed_2_dataset_nowp_unlearning_algorithm_gif_unlearning_fraction_0.01"
    "_n_target_items_10_unlearn_epoch_9_retrain_checkpoint_idx_to_match_3_bs64.pth": Artefact(
        "unlearned model",
        "nowp",
        "SASRec",
        algorithm="gif",
        seed=2,
        fraction=0.01,
        checkpoint=3,
        request=9,
        num_targets=10,
        batch=64,
    ),
    "amazon_reviews_books_unlearn_pairs_sensitive_category_health_seed_2_unlearning_fraction_1e-05"
    ".inter": Artefact(
        "forget set",
        "amazon_reviews_books",
        category="health",
        seed=2,
        fraction=1e-5,
        ending="inter",
    ),
    "instacart_unlearn_pairs_sensitive_category_baby_seed_11_unlearning_fraction_0.001"
    ".pkl": Artefact(
        "forget set", "instacart", category="baby", seed=11, fraction=1e-3, ending="pkl"
    ),
    "instacart_unlearn_pairs_sensitive_category_baby_seed_11_unlearning_fraction_0.001"
    ".json": Artefact(
        "forget set", "instacart", category="baby", seed=11, fraction=1e-3, ending="json"
    ),
    "nowp_fraud_sessions_bandwagon_unpopular_ratio_0.01_seed_2.inter": Artefact(
        "fraud sessions", "nowp", seed=2, attack="bandwagon", strategy="unpopular", ratio=0.01
    ),
    "tafeng_fraud_baskets_bandwagon_unpopular_ratio_0.01_seed_2.json": Artefact(
        "fraud baskets", "tafeng", seed=2, attack="bandwagon", strategy="unpopular", ratio=0.01
    ),
    "dunnhumby_fraud_metadata_bandwagon_unpopular_ratio_0.01_seed_2.json": Artefact(
        "fraud metadata", "dunnhumby", seed=2, attack="bandwagon", strategy="unpopular", ratio=0.01
    ),
    "sensitive_asins_mental_health.txt": Artefact(
        "sensitive items", category="mental_health", kinds="asins"
    ),
    "sensitive_products_alcohol.txt": Artefact(
        "sensitive items", category="alcohol", kinds="products"
    ),
    "sensitive_tracks_explicit.txt": Artefact(
        "sensitive items", category="explicit", kinds="tracks"
    ),
    "tafeng_merged.json": Artefact("baskets", "tafeng"),
    "amazon_reviews_books.inter": Artefact("interactions", "amazon_reviews_books"),
    "model_interaction_probabilities.pkl": Artefact("exposure"),
}


@pytest.mark.parametrize(("name", "artefact"), NAMES.items(), ids=str)
def test_both_directions(name, artefact):
    assert parse(name) == artefact
    assert artefact.file_name == name


def test_every_kind_has_an_example():
    assert {artefact.kind for artefact in NAMES.values()} == {kind for kind, _ in FORMS}


@pytest.mark.parametrize(
    "name",
    [
        "model_BPR_seed_2_dataset_movielens.pth",
        "model_BPR_seed_x_dataset_movielens_best.pth",
        "model_BPR_seed_2_dataset_m_retrain_checkpoint_idx_to_match_4_unlearning_fraction_0.1"
        "_n_target_items_1.pth",
        "BPR-Jan-01-2026.pth",
        "notes.txt",
        "../movielens.inter",
        "model_BPR_seed_2_dataset_../x_best.pth",
        "a" * 10_000 + ".inter",
    ],
)
def test_other_names(name):
    assert parse(name) is None


def test_our_names():
    found = parse("model_Sets2Sets_seed_2_dataset_tafeng_best.pth")
    assert found
    assert (found.our_model, found.our_dataset, found.scenario) == ("sets2sets", "tafeng", "")
    books = parse("sensitive_asins_health.txt")
    assert books
    assert books.scenario == "sensitive"
    with pytest.raises(ValueError, match="no name of a base model has the parts algorithm"):
        Artefact("base model", algorithm="scif").file_name  # noqa: B018
