"""Made-up values with known variances, and the worked example of Demšar (2006)."""

from io import StringIO

import numpy as np
import pandas as pd

# Table 6 of Demšar (2006): AUC of four variants of C4.5 on 14 data sets. The paper ranks "voting"
# 1, 2, 3, 4 although two scores are printed alike, so the third one is a little higher here.
DEMSAR = pd.read_csv(
    StringIO("""dataset C4.5 C4.5+m C4.5+cf C4.5+m+cf
adult 0.763 0.768 0.771 0.798
breast_cancer 0.599 0.591 0.590 0.569
breast_cancer_wisconsin 0.954 0.971 0.968 0.967
cmc 0.628 0.661 0.654 0.657
ionosphere 0.882 0.888 0.886 0.898
iris 0.936 0.931 0.916 0.931
liver_disorders 0.661 0.668 0.609 0.685
lung_cancer 0.583 0.583 0.563 0.625
lymphography 0.775 0.838 0.866 0.875
mushroom 1.000 1.000 1.000 1.000
primary_tumor 0.940 0.962 0.965 0.962
rheum 0.619 0.666 0.614 0.669
voting 0.972 0.981 0.9751 0.975
wine 0.957 0.978 0.946 0.970
"""),
    sep=" ",
    index_col="dataset",
)


def table(**columns_SU: np.ndarray) -> pd.DataFrame:
    """Arrays of shape ``(S, U)`` as rows of seed, user and one column each."""
    shape = next(iter(columns_SU.values())).shape
    seeds, users = np.indices(shape)
    columns = {name: array.ravel() for name, array in columns_SU.items()}
    return pd.DataFrame({"seed": seeds.ravel(), "user": users.ravel(), **columns})


def crossed(
    generator: np.random.Generator,
    shape: tuple[int, int],
    seed_error: float,
    user_error: float,
    noise_error: float,
) -> np.ndarray:
    """Values with mean 0 whose grand mean has these three standard errors, shape ``(S, U)``."""
    num_seeds, num_users = shape
    seeds = generator.normal(0, seed_error * num_seeds**0.5, (num_seeds, 1))
    users = generator.normal(0, user_error * num_users**0.5, num_users)
    noise = generator.normal(0, noise_error * (num_seeds * num_users) ** 0.5, shape)
    return seeds + users + noise
