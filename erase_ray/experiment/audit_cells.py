"""Cells that audit a method."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from erase_ray import seeds
from erase_ray.audits import Finding, ModelAudit, ObservationAudit, Observations
from erase_ray.errors import StoreError
from erase_ray.experiment import lineage, live
from erase_ray.experiment.measure import identity
from erase_ray.experiment.records import record
from erase_ray.experiment.results import BASE, RESULTS
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.shadows import NOBODY
from erase_ray.experiment.store import CellRecord, Store
from erase_ray.experiment.subjects import StoredSubjects
from erase_ray.scenarios._base import NUM_MARKS


def run_audit(setting: Setting, store: Store) -> CellRecord:
    """Audit the method of a cell from what the cells that it reads have left in the store."""
    audit = setting.cell.make_audit()
    if isinstance(audit, ObservationAudit):
        observations, asked = observed(setting, store)
        by_mark = {NUM_MARKS: audit.findings(observations)}
    else:
        assert isinstance(audit, ModelAudit)
        subjects = StoredSubjects(setting, store)
        by_mark, asked = audit.findings(subjects), setting.full_chain.hash
    rows = [
        _row(setting, mark, finding, asked) for mark in sorted(by_mark) for finding in by_mark[mark]
    ]
    log = live.Log()
    log.append({"event": "audited", "findings": len(rows)})
    results = pd.DataFrame(rows, columns=list(RESULTS))
    chain = setting.full_chain
    facts = {"marks": list(chain.marks), "num_requests": len(chain), "chain_hash": chain.hash}
    return record(setting, results=results, log=log, weights={}, facts=facts)


def observed(setting: Setting, store: Store) -> tuple[Observations, str]:
    """What the shadow models of an audit said, and a hash of what they were asked.

    Raises:
        StoreError: They were not asked the same.
    """
    cells = lineage.shadows(setting.cell)
    tables = [store.table(cell.key, "observed") for cell in cells]
    asked = {_questions(table) for table in tables}
    if len(asked) != 1:
        raise StoreError(
            f"the shadow models of {setting.cell.label} were observed on different examples; "
            "delete their cells and run the same command again"
        )
    count = len([cell for cell in cells if cell.method.name == BASE])
    before, after = tables[:count], tables[count:] or tables[:count]
    is_target = (tables[0]["request"] != NOBODY).to_numpy()
    observations = Observations(
        before_KN=_values(before, is_target),
        after_KN=_values(after, is_target),
        member_KN=np.stack([table["member"].to_numpy(bool)[is_target] for table in before]),
        request_N=tables[0]["request"].to_numpy(np.int64)[is_target],
        before_KZ=_values(before, ~is_target),
        after_KZ=_values(after, ~is_target),
        seed=seeds.derive(setting.cell.seed, "audit"),
    )
    return observations, asked.pop()


def _values(tables: list[pd.DataFrame], chosen: np.ndarray) -> np.ndarray:
    return np.stack([table["value"].to_numpy(float)[chosen] for table in tables])


def _questions(table: pd.DataFrame) -> str:
    columns = [table[name].to_numpy(np.int64) for name in ("row", "user", "request")]
    return hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest()


def _row(setting: Setting, mark: int, finding: Finding, asked: str) -> dict[str, Any]:
    assert setting.cell.audit is not None
    return identity(setting, mark) | {
        "metric": f"{setting.cell.audit.name}.{finding.name}",
        "k": 0,
        "value": finding.value,
        "unit": finding.unit,
        "better": finding.better,
        "n": finding.n,
        "test_hash": asked,
    }
