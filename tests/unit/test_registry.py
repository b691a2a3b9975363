import pytest

from erase_ray.errors import SettingsError, UnknownNameError
from erase_ray.registry import Registry


def test_names_are_the_files_without_underscore():
    from erase_ray.methods import METHODS

    assert {"retrain", "scif", "seif"} <= set(METHODS.names())
    assert not [name for name in METHODS.names() if name.startswith("_")]


def test_a_name_finds_the_class_in_its_file():
    from erase_ray.models import MODELS

    assert MODELS.get("bpr").__module__ == "erase_ray.models.bpr"
    assert MODELS.get("bpr").name == "bpr"


def test_unknown_name_offers_the_closest():
    registry = Registry("method", "erase_ray.methods")
    with pytest.raises(
        UnknownNameError, match=r"no method is called 'sciff'. Did you mean 'scif'\? Known: .*scif"
    ):
        registry.get("sciff")


def test_unknown_name_far_from_all():
    registry = Registry("method", "erase_ray.methods")
    with pytest.raises(UnknownNameError, match=r"no method is called 'zzzz'\. Known:"):
        registry.get("zzzz")


def test_a_part_without_a_reference_edition_says_so():
    from erase_ray.methods import METHODS

    with pytest.raises(SettingsError, match="method 'none' has no reference edition; leave"):
        METHODS.get("none", "reference")
    with pytest.raises(SettingsError, match="edition must be corrected or reference, got 'old'"):
        METHODS.get("scif", "old")


def test_the_corrected_edition_goes_without_saying():
    from erase_ray.experiment.cell import Part
    from erase_ray.methods import METHODS

    stated = Part.resolved(METHODS, "scif", {"edition": "corrected"})
    assert stated == Part.resolved(METHODS, "scif", {})
    assert stated.title == "scif"


def test_an_edition_of_the_files_of_a_dataset_is_a_setting_like_others():
    from erase_ray.datasets import DATASETS

    assert DATASETS.get("movielens", "anything") is DATASETS.get("movielens")
