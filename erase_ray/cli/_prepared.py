"""A prepared dataset that an option names."""

from erase_ray.data.prepared import Prepared
from erase_ray.errors import SettingsError
from erase_ray.experiment.store import Store


def named_pair(text: str, option: str) -> tuple[str, str]:
    """``NAME=VALUE`` of an option.

    Raises:
        SettingsError: One of the two is missing.
    """
    name, _, value = text.partition("=")
    if not name or not value:
        raise SettingsError(f"{option} {text}: expected NAME=VALUE")
    return name, value


def prepared(store: Store, text: str) -> Prepared:
    """The dataset that ``DATASET`` or ``DATASET/KEY`` names; a key may be cut short.

    Raises:
        SettingsError: The store has none, or several.
    """
    dataset, _, start = text.partition("/")
    keys = [key for key in store.data_keys(dataset) if key.startswith(start)]
    if len(keys) != 1:
        known = ", ".join(key[:12] for key in store.data_keys(dataset)) or "none"
        raise SettingsError(
            f"'{text}' names {len(keys)} prepared datasets of {store.uri}; of {dataset} it has "
            f"{known}"
        )
    return store.get_data(dataset, keys[0])
