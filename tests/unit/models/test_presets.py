import pytest

from erase_ray.errors import SettingsError
from erase_ray.models import MODELS
from erase_ray.models._presets import _presets, preset

TRAINED = {
    "bpr", "lightgcn", "sgl", "gru4rec", "narm", "sasrec", "srgnn", "sets2sets", "dnntsp"
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TRAINED))
def test_the_benchmark_preset_spells_out_all_defaults(name):
    kind, chosen = MODELS.get(name), preset("benchmark", name)
    assert chosen.settings == kind.Settings().model_dump()
    spelled = kind.training.model_copy(update=chosen.training)
    assert spelled == kind.training
    assert {"epochs", "batch_size", "learning_rate", "patience"} <= chosen.training.keys()


def test_the_benchmark_preset_is_about_the_nine_models():
    assert _presets()["benchmark"].keys() == TRAINED


@pytest.mark.parametrize("name", sorted(_presets()))
def test_every_preset_is_accepted_by_the_models(name):
    for model, chosen in _presets()[name].items():
        kind = MODELS.get(model)
        kind.Settings(**chosen.settings)
        type(kind.training)(**kind.training.model_dump() | chosen.training)


def test_a_model_that_is_not_listed_keeps_its_defaults():
    assert preset("reference", "bpr") == preset("benchmark", "pop")
    assert preset("reference", "bpr").settings == {}


def test_an_unknown_preset_is_named():
    with pytest.raises(SettingsError, match=r"^there is no preset 'paper'\. Known: benchmark, ref"):
        preset("paper", "bpr")
