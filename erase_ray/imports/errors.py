"""The error of files that another program wrote."""

from erase_ray.errors import EraseError


class ForeignFileError(EraseError):
    """A file of another program that is damaged, of no known form, or asks for code to be run."""
