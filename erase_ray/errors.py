"""The errors a user can meet: what is wrong, its value, what was expected and the way out."""


class EraseError(Exception):
    """Anything wrong that the user can mend; jobs print it as one line and exit with code 2."""


class UnknownNameError(EraseError):
    """A dataset, model, method, scenario, metric or task that no file is named after."""


class SettingsError(EraseError):
    """Settings that name unknown keys or values out of range; the text lists all faults at once."""


class FetchError(EraseError):
    """A raw file that none of its sources could deliver intact."""


class DataError(EraseError):
    """Raw or prepared data that is not what its format promises."""


class ScenarioError(EraseError):
    """A scenario that cannot be built from this data, such as an empty category."""


class StoreError(EraseError):
    """A storage address that cannot be read or written, or an artefact whose checksum is wrong."""


class GridError(EraseError):
    """A grid that cannot be expanded to cells, or names parts that do not exist."""


class TrainingError(EraseError):
    """A training run that produced a loss or weights that are not finite."""
