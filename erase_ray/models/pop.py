"""The most popular items, for everybody."""

from erase_ray.models._base import MODELS
from erase_ray.models._popularity import Popularity


@MODELS.register
class Pop(Popularity):
    """The score of an item is the number of its training rows, the same for all users.

    That is the number of its users wherever a user has an item once.

    Paper: none.
    """

    task = "cf"
