"""What a user may choose about the judgements in a report."""

from dataclasses import dataclass, field

from erase_ray.errors import SettingsError

UTILITY: tuple[str, int] = ("ndcg", 20)
"""Metric and cut-off by which utility is judged."""
FORGETTING: tuple[str, int] = ("sensitive_share", 20)
"""Metric and cut-off by which forgetting is judged."""
BY_CHANCE = "sensitive_by_chance"


@dataclass(frozen=True)
class Options:
    """How methods are judged.

    Args:
        margin: Utility counts as equal if it differs by less than this share of the retrained one.
        forgetting_margin: The same for the share of requesters, absolute.
        level: Coverage of intervals; verdicts have the error rate ``1 - level``.
        resamples: Of the bootstrap.
        intervals: False to leave out intervals and verdicts, which takes a fraction of the time.
        most_bytes: Where the answers to read are larger, intervals rest on seeds alone.

    Raises:
        SettingsError: A number is out of range.
    """

    margin: float = 0.05
    forgetting_margin: float = 0.02
    level: float = 0.95
    resamples: int = 2000
    intervals: bool = True
    most_bytes: float = field(default=2e9)

    def __post_init__(self) -> None:
        _check("--margin", self.margin, 0, 1)
        _check("--forgetting-margin", self.forgetting_margin, 0, 1)
        _check("--level", self.level, 0.5, 1)
        if self.resamples < 100:
            raise SettingsError(f"--resamples takes 100 or more, got {self.resamples}")

    @property
    def alpha(self) -> float:
        """Error rate of the tests."""
        return 1 - self.level


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        raise SettingsError(f"{name} takes a number between {low} and {high}, got {value:g}")
