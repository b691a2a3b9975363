"""A small data frame of a user's own, and models on it."""

import functools

import numpy as np
import pandas as pd

import erase_ray

EPOCHS = {"epochs": 2, "batch_size": 64}


def frame_of(task: str = "cf", num_users: int = 24, num_items: int = 30) -> pd.DataFrame:
    """Rows with outer ids, labelled ``r0``, ``r1``, ..., and a column of the task's own."""
    draws = np.random.default_rng(4)
    rows = []
    for user in range(num_users):
        for visit in range(4):
            for place, item in enumerate(draws.choice(num_items, 4, replace=False)):
                time = pd.Timestamp("2024-03-01") + pd.Timedelta(days=visit, minutes=place)
                rows.append((f"u{user}", f"i{item}", f"u{user}-{visit}", visit, time))
    frame = pd.DataFrame(rows, columns=["user", "item", "session", "basket", "time"])
    frame = frame.drop(columns=[name for name in ("session", "basket") if name not in USES[task]])
    return frame.set_index(pd.Index([f"r{row}" for row in range(len(frame))]))


USES = {"cf": (), "session_based": ("session",), "next_basket": ("basket",)}
MODELS = {"cf": "bpr", "session_based": "gru4rec", "next_basket": "sets2sets"}


@functools.cache
def fitted(task: str = "cf") -> erase_ray.Fitted:
    """A model of the task, trained for two epochs; do not change it."""
    settings = {"embedding_size": 8}
    return erase_ray.fit(
        frame_of(task), MODELS[task], settings=settings, training=EPOCHS, device="cpu"
    )
