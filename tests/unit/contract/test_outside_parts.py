"""Parts of installed packages: found, used, and refused with a word on what to do."""

import re

import pytest
import toy_methods

from erase_ray.audits import AUDITS
from erase_ray.contract import KINDS
from erase_ray.errors import GridError
from erase_ray.experiment.grid import load_cells
from erase_ray.methods import METHODS, Method
from erase_ray.metrics import METRICS
from erase_ray.registry import OutsidePartError

GROUP = "erase_ray.methods"
GRID = """
seeds: [2]
methods: [%s]
scenarios: {sensitive: {category: sensitive, fraction: 0.01}}
blocks: [{datasets: {planted: {task: cf}}, models: bpr}]
"""


def test_a_part_of_a_package_is_known_by_the_name_of_its_entry_point(offered):
    offered("blur", {GROUP: {"blurred": "outside_blur:Blur"}}, Blur=toy_methods.Blur)
    assert "blurred" in METHODS.names()
    assert METHODS.get("blurred") is toy_methods.Blur
    assert METHODS.get("blurred").name == "blurred"
    origin = METHODS.outside()["blurred"]
    assert (origin.distribution, origin.version) == ("erase-ray-blur", "1.2")
    assert "scif" not in METHODS.outside()


def test_a_grid_takes_it_like_any_other(offered, tmp_path):
    offered("blur", {GROUP: {"blurred": "outside_blur:Blur"}}, Blur=toy_methods.Blur)
    path = tmp_path / "grid.yaml"
    path.write_text(GRID % "scif, {blurred: {scale: 0.5}}")
    cells = load_cells(path, "method=blurred")
    assert [cell.method.settings for cell in cells] == [{"scale": 0.5}]
    path.write_text(GRID % "all")
    assert "blurred" in {cell.method.name for cell in load_cells(path)}
    path.write_text(GRID % "blured")
    with pytest.raises(GridError, match=r"'blured' \(did you mean 'blurred'\?\)|blurred"):
        load_cells(path)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("outside_nowhere.x:Blur", r"cannot be imported from .* \(ModuleNotFoundError: No module"),
        ("outside_bad:Other", r"cannot be imported from .* \(AttributeError: .*Other"),
        ("outside_bad:Text", r"is no class derived from Method of erase_ray.methods"),
        ("outside_bad:Half", r"does not define forget"),
    ],
)
def test_a_broken_package_is_named_with_the_way_out(offered, value, reason):
    half = type("Half", (Method,), {})
    offered("bad", {GROUP: {"bad": value}}, Text="no class", Half=half)
    with pytest.raises(OutsidePartError) as caught:
        METHODS.get("bad")
    text = str(caught.value)
    assert text.startswith("method 'bad' of erase-ray-bad 1.2")
    assert re.search(reason, text)
    assert text.endswith("pip uninstall erase-ray-bad")
    assert "\n" not in text
    assert METHODS.get("scif")


def test_a_broken_package_is_one_of_the_faults_of_a_grid(offered, tmp_path):
    offered("bad", {GROUP: {"bad": "outside_nowhere:Blur"}})
    path = tmp_path / "grid.yaml"
    path.write_text(GRID % "bad, {scif: {dampin: 1}}")
    with pytest.raises(GridError, match=r"(?s)pip uninstall erase-ray-bad.*dampin"):
        load_cells(path)


def test_the_name_of_a_built_in_part_is_taken(offered):
    own = METHODS._classes.pop("none", None)
    offered("none", {GROUP: {"none": "outside_none:Blur"}}, Blur=toy_methods.Blur)
    with pytest.raises(OutsidePartError, match=r"erase-ray-none 1.2 has the name of a built-in"):
        METHODS.get("none")
    assert own is None or own is not toy_methods.Blur


def test_two_packages_with_one_name_are_both_named(offered):
    for name in ("one", "two"):
        offered(name, {GROUP: {"blur": f"outside_{name}:Blur"}}, Blur=toy_methods.Blur)
    match = r"of erase-ray-one 1.2 and erase-ray-two 1.2 is offered twice; uninstall one"
    with pytest.raises(OutsidePartError, match=match):
        METHODS.get("blur")


def test_a_class_cannot_register_itself_as_a_built_in_part():
    cls = type("Scif", (toy_methods.Blur,), {"__module__": "elsewhere.scif"})
    with pytest.raises(OutsidePartError, match=r"'scif' of elsewhere.scif has the name of a built"):
        METHODS.register(cls)
    assert METHODS.get("scif").__module__ == "erase_ray.methods.scif"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_group(offered, kind):
    registry = KINDS[kind]
    offered("any", {registry.package: {"any": "outside_any:Any"}}, Any=object)
    names = " or ".join(base.__name__ for base in registry.bases())
    with pytest.raises(OutsidePartError, match=f"{kind} 'any' of .* derived from {names} of"):
        registry.get("any")


def test_bases_are_the_classes_that_parts_derive_from():
    assert {base.__name__ for base in METRICS.bases()} == {"Metric", "Aggregate"}
    assert {base.__name__ for base in AUDITS.bases()} == {"ModelAudit", "ObservationAudit"}
