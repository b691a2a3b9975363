"""Parts of packages that are not installed, for tests in this process."""

import sys
from types import ModuleType

import pytest
from outside import offer

from erase_ray import registry


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder in which packages are installed, as this process sees it."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    known = {kind: dict(kind._classes) for kind in _registries()}
    registry.rescan()
    yield folder
    for kind, classes in known.items():
        for name, cls in list(kind._classes.items()):
            if not cls.__module__.startswith("erase_ray."):
                del kind._classes[name]
        kind._classes.update(classes)
    registry.rescan()


@pytest.fixture
def offered(site, monkeypatch):
    """Install a package ``erase-ray-NAME`` whose module has these classes."""

    def install(name: str, groups: dict[str, dict[str, str]], version="1.2", **classes) -> None:
        module = ModuleType(f"outside_{name}")
        for key, cls in classes.items():
            setattr(module, key, cls)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        offer(site, f"erase-ray-{name}", version, groups)
        registry.rescan()

    return install


def _registries():
    from erase_ray.contract import KINDS

    return KINDS.values()
