"""A small dataset of raw files for the command line."""

from pathlib import Path
from typing import ClassVar

import pandas as pd

from erase_ray.datasets import About, Dataset, RawData, RawFile, ReaderSettings, Scratch
from erase_ray.errors import DataError

PAGE = "https://example.org/toy"


class Toy(Dataset):
    """Lines of user,item,time.

    Items whose name begins with ``s`` are sensitive.
    """

    name: ClassVar[str] = "toy"
    about: ClassVar[About | None] = About(
        title="Toy rows (nobody)",
        licence="free for all",
        citation="none",
        address=PAGE,
        files=(
            RawFile("rows/toy.csv", "who took what | when", "about 1 kB"),
            RawFile("names.csv", "labels", optional=True),
        ),
    )
    rough_size: ClassVar[tuple[int, int, int]] = (1_500, 20, 1_234_567)

    class Settings(ReaderSettings):
        """Settings of `Toy`."""

        least: int = 0

    @property
    def task(self) -> str:
        return "cf"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        lines = files["rows/toy.csv"].read_text().splitlines()
        fields = [line.split(",") for line in lines]
        bad = [number for number, row in enumerate(fields, 1) if len(row) != 3]
        if bad and not self.settings.skip_bad:
            raise DataError(f"toy.csv, line {bad[0]}: expected 3 fields")
        rows = [row for row in fields if len(row) == 3]
        frame = pd.DataFrame(rows, columns=["user", "item", "time"]).astype({"time": "int64"})
        frame["sequence"], frame["step"] = frame["user"], frame.groupby("user").cumcount()
        items = set(frame["item"])
        labels = {item: f"label of {item}" for item in items}
        counts = {"read": len(lines), "bad": len(bad)} if bad else {"read": len(lines)}
        sensitive = {item for item in items if item.startswith("s")}
        return RawData.of_frame(frame, labels, {"secret": sensitive}, counts | {"all": len(frame)})


def rows(num_users: int = 12, num_items: int = 20, sensitive: int = 3) -> str:
    """Ten rows a user; the first items of the catalogue are sensitive."""
    names = [f"s{n}" if n < sensitive else f"i{n}" for n in range(num_items)]
    lines = [
        f"u{user},{names[(3 * user + step) % num_items]},{100 * step + user}"
        for user in range(num_users)
        for step in range(10)
    ]
    return "\n".join(lines) + "\n"
