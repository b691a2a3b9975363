import pytest

from erase_ray.errors import UnknownNameError
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
