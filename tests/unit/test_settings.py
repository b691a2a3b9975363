import pytest
from pydantic import Field

from erase_ray.errors import SettingsError
from erase_ray.settings import Frozen, checked, parse_assignment, read_yaml


class Sample(Frozen):
    scale: float = Field(default=0.5, gt=0)
    steps: int = 3


def test_all_faults_at_once_in_one_line():
    with pytest.raises(SettingsError) as caught:
        checked(Sample, {"scale": -1, "stesp": 2}, "settings of method 'sample'")
    text = str(caught.value)
    assert text.startswith("settings of method 'sample': ")
    assert "scale: Input should be greater than 0 (got -1)" in text
    assert "stesp: Extra inputs are not permitted (got 2)" in text
    assert text.endswith("Known keys: scale, steps")
    assert "\n" not in text


def test_settings_cannot_change():
    with pytest.raises(ValueError, match="frozen"):
        Sample().scale = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", ("a", 1)),
        ("a.b=[1, 2]", ("a.b", [1, 2])),
        ("a=x=y", ("a", "x=y")),
        ("a=", ("a", None)),
    ],
)
def test_assignment(text, expected):
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["novalue", "=3"])
def test_assignment_without_key_or_equals(text):
    with pytest.raises(SettingsError, match="expected key=value, got"):
        parse_assignment(text)


def test_yaml_faults(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot read settings file .*missing\.yaml"):
        read_yaml(tmp_path / "missing.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(SettingsError, match="must hold a mapping"):
        read_yaml(tmp_path / "list.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(SettingsError, match="is not valid YAML"):
        read_yaml(tmp_path / "bad.yaml")
