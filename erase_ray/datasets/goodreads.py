"""Goodreads (UCSD Book Graph) for collaborative filtering."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from erase_ray.datasets import _book_graph as graph
from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._base import DATASETS, Dataset, ReaderSettings
from erase_ray.datasets._ratings import by_person, in_core, raw_data, require_rows
from erase_ray.datasets._raw import RawData
from erase_ray.datasets._scratch import Scratch

_ADDRESS = "https://mcauleylab.ucsd.edu/public_datasets/gdrive/goodreads"


def _file(name: str, holds: str, size: str, optional: bool = False) -> RawFile:
    return RawFile(name, holds, size, optional, f"{_ADDRESS}/{name}")


@DATASETS.register
class Goodreads(Dataset):
    """228.6 million shelvings of 2.36 million books by 876,145 people (UCSD Book Graph, 2017).

    A person is one sequence. The file has no time, so the number of the row (from 0) stands for
    it. The interactions and the metadata have different ids: the two maps lead from the former to
    the real ids, which are the outer ids here; without ``user_id_map.csv`` people keep their
    number in the interactions. Steps of cleaning, each once and in this order: rows under
    ``min_rating`` go; then rows whose book (or person) no map knows; then repeats of the same
    person, book and stars, of which the first stays; then the k-core.

    Sensitive books are found by keywords in title, description and the names of popular shelves,
    and in the genres with ``use_genres``.
    """

    about: ClassVar[About | None] = About(
        title="Goodreads, UCSD Book Graph (M. Wan, J. McAuley; UC San Diego)",
        licence="no formal licence: academic use only, no redistribution, no commercial use",
        citation=(
            "Mengting Wan, Julian McAuley: Item Recommendation on Monotonic Behavior Chains. "
            "RecSys 2018; and M. Wan, R. Misra, N. Nakashole, J. McAuley: Fine-Grained Spoiler "
            "Detection from Large-Scale Review Corpora. ACL 2019"
        ),
        address="https://cseweb.ucsd.edu/~jmcauley/datasets/goodreads.html",
        files=(
            _file(graph.INTERACTIONS, "shelvings with stars", "about 4.1 GB, 228,648,342 lines"),
            _file(graph.BOOK_MAP, "real book ids", "about 36 MB"),
            _file(graph.USER_MAP, "real user ids", "about 33 MB", optional=True),
            _file(f"{graph.BOOKS}.gz", "metadata, one JSON object a line", "about 2 GB"),
            _file(f"{graph.GENRES}.gz", "genres, one JSON object a line", "about 23 MB", True),
        ),
    )
    rough_size: ClassVar[tuple[int, int, int]] = (90_000_000, 770_000, 950_000)

    class Settings(ReaderSettings):
        """Settings of `Goodreads`."""

        min_rating: float = Field(default=3.0, ge=0, le=5)
        """Rows with fewer stars (1 to 5; 0 is not rated) are dropped; 0 keeps the unrated too."""

        core: int = Field(default=5, ge=0)
        """Fewest rows of a person and of a book; 0 keeps all."""

        use_genres: bool = False
        """Search the file of genres too. Off as in the published benchmark: with it, all books of
        the genre "young-adult" are explicit, because that has the part "adult"."""

    @property
    def task(self) -> str:
        """``cf``."""
        return "cf"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Rated books as interactions."""
        settings = self.settings
        parsed = graph.parse(files, scratch, settings.skip_bad, settings.use_genres)
        ratings, counts = graph.rated(parsed, settings.min_rating, scratch)
        ratings = in_core(ratings.take(by_person(ratings)), settings.core)
        if settings.core > 1:
            counts[f"{settings.core}-core"] = len(ratings)
        require_rows(graph.INTERACTIONS, counts)
        items = graph.described(parsed, ratings.item.names, scratch)
        num_bad = sum(file.num_bad for file in parsed.values())
        return raw_data(ratings, items, counts, num_bad)
