"""Picking the best epoch as the published training loop does."""

from erase_ray.selection import Best

DECIMALS = 4


class TiedBest(Best):
    """Of equal values, rounded to four decimals, the last one is the best."""

    def has_waited(self, patience: int) -> bool:
        """Whether more than ``patience`` values in a row were no gain."""
        return self.num_waited > patience

    def _gains(self, value: float) -> bool:
        if self.epoch is None:
            return True
        return round(value, DECIMALS) >= round(self.curve[self.epoch], DECIMALS)
