"""Metrics in logs and in the table of sensitive items."""

import math

import pytest

from erase_ray.experiment.results import RESULTS
from erase_ray.imports.csv_tables import COLUMNS, is_sensitive_table, read_sensitive_table
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.logs import read_log
from erase_ray.imports.rows import frame_of, rows_of_log, rows_of_table

BASE = "model_BPR_seed_2_dataset_movielens_best.pth"
RETRAINED = (
    "model_BPR_seed_2_dataset_movielens_retrain_checkpoint_idx_to_match_3_unlearning_fraction_0.0001"
    "_unlearning_sample_selection_method_sensitive_category_health.pth"
)
UNLEARNED = (
    "model_BPR_seed_2_dataset_movielens_unlearning_algorithm_scif_unlearning_fraction_0.0001"
    "_unlearning_sample_selection_method_sensitive_category_health_unlearn_epoch_8"
    "_retrain_checkpoint_idx_to_match_0.pth"
)
LOG = f"""
Sun 29 Nov 2026 07:04:01 INFO  epoch 0 training [time: 0.1s, train loss: 30.1]
29 Nov 07:04    INFO  valid result:
recall@10 : 0.9067    mrr@10 : 0.7867
29 Nov 07:04    INFO  Saving current: saved/{BASE}
29 Nov 07:04    INFO  \x1b[1;34mLoading model structure and parameters from saved/{BASE}\x1b[0m
29 Nov INFO  \x1b[1;33mtest result\x1b[0m: OrderedDict([('recall@10', 0.1234), ('NDCG@20', 0.05)])
29 Nov 07:05    INFO  Loading model structure and parameters from ./saved/{RETRAINED}
29 Nov 07:05    INFO  test result: OrderedDict({{'hit@10': np.float64(0.5), 'gauc@10': 0.7}})
29 Nov 07:06    INFO  loaded './saved/{UNLEARNED}', 9 requests
29 Nov 07:06    INFO  test result: OrderedDict([('mrr@10', 1)])
"""


def log(tmp_path, text: str):
    path = tmp_path / "run.log"
    path.write_text(text)
    return path


def test_results_belong_to_the_checkpoint_named_before(tmp_path):
    found = read_log(log(tmp_path, LOG))
    assert [result.about.kind for result in found if result.about] == [
        "base model",
        "retrained model",
        "unlearned model",
    ]
    assert [(v.metric, v.k, v.value) for v in found[0].values] == [
        ("recall", 10, 0.1234),
        ("ndcg", 20, 0.05),
    ]


def test_rows_have_our_columns(tmp_path):
    frame, num_repeated = frame_of(rows_of_log(read_log(log(tmp_path, LOG))))
    assert list(frame.columns) == [*RESULTS, "source"]
    assert num_repeated == 0
    told = ["task", "dataset", "model", "method", "scenario", "category", "seed", "mark"]
    assert frame[told].drop_duplicates().to_numpy().tolist() == [
        ["cf", "movielens", "bpr", "original", "", "", 2, 0],
        ["cf", "movielens", "bpr", "retrain", "sensitive", "health", 2, 4],
        ["cf", "movielens", "bpr", "scif", "sensitive", "health", 2, 1],
    ]
    assert frame["metric"].tolist() == ["recall", "ndcg", "hit", "mrr"]  # gauc is none of ours
    assert frame["value"].tolist() == [0.1234, 0.05, 0.5, 1.0]
    assert frame["fraction"].tolist()[2:] == [1e-4, 1e-4]
    assert math.isnan(frame["fraction"][0])
    assert frame["n"].isna().all()
    assert set(frame["source"]) == {"erase"}
    assert set(frame["unit"]) == {"share"}
    assert set(frame["better"]) == {"up"}


def test_of_repeated_numbers_the_last_counts(tmp_path):
    text = LOG + LOG.replace("0.1234", "0.4321")
    frame, num_repeated = frame_of(rows_of_log(read_log(log(tmp_path, text))))
    assert num_repeated == 4
    assert frame["value"].tolist() == [0.4321, 0.05, 0.5, 1.0]


def test_nothing_of_a_log_is_evaluated(tmp_path):
    mark = tmp_path / "written"
    call = f"__import__('pathlib').Path('{mark}').touch()"
    for text in (f"OrderedDict([('recall@10', {call})])", call, f"OrderedDict({call})"):
        with pytest.raises(ForeignFileError, match=r"run\.log, line 2: a test result that is no"):
            read_log(log(tmp_path, f"{BASE}\ntest result: {text}\n"))
    assert not mark.exists()
    eval(call)  # so it would have been
    assert mark.exists()


@pytest.mark.parametrize(
    "text",
    [
        "{'recall@10': 0.1}",
        "OrderedDict([('recall@10', 'a')])",
        "OrderedDict([('recall@10', True)])",
        "OrderedDict([('recall', 0.1)])",
        "OrderedDict([('recall@10', 1e999)])",
        "OrderedDict([1, 2])",
        "OrderedDict([('recall@10', 0.1)",
        "OrderedDict(" + "[" * 5000 + ")",
    ],
)
def test_results_of_other_forms(tmp_path, text):
    with pytest.raises(ForeignFileError, match=r"run\.log, line 1: "):
        read_log(log(tmp_path, f"test result: {text}\n"))


def test_endless_lines(tmp_path):
    with pytest.raises(ForeignFileError, match="has a line of more than 65536 characters"):
        read_log(log(tmp_path, "a" * 70_000))


def line(**changes: object) -> str:
    values = {
        "dataset": "nowp",
        "model": "GRU4Rec",
        "seed": 2,
        "sensitive_category": "explicit",
        "checkpoint_idx": 1,
        "eval_type": "original",
        "unlearning_algorithm": "scif",
        "unlearning_fraction": "1e-05",
        "topk": 10,
        "users_with_sensitive": 3,
        "total_users": 8,
        "pct_users_with_sensitive": 37.5,
        "avg_sensitive_per_user": 0.625,
    }
    return ",".join(str(value) for value in (values | changes).values())


def sheet(tmp_path, *lines: str):
    path = tmp_path / "sensitive.csv"
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    return path


def test_a_line_with_an_algorithm_is_that_algorithms(tmp_path):
    """The script labels unlearned models 'original'."""
    path = sheet(
        tmp_path,
        line(),
        line(unlearning_algorithm="", unlearning_fraction=""),
        line(unlearning_algorithm="None", eval_type="retrained", checkpoint_idx=3),
    )
    assert is_sensitive_table(path)
    frame, _ = frame_of(rows_of_table(read_sensitive_table(path)))
    assert frame["method"].tolist() == ["scif"] * 2 + ["original"] * 2 + ["retrain"] * 2
    assert frame["metric"].tolist() == ["sensitive_share", "sensitive_count"] * 3
    assert frame["value"].tolist() == [0.375, 0.625] * 3
    assert frame["mark"].tolist() == [2, 2, 2, 2, 4, 4]
    assert frame["n"].tolist() == [8] * 6
    assert frame["dataset"].tolist() == ["nowplaying"] * 6
    assert frame["unit"].tolist() == ["share", "items"] * 3
    assert set(frame["better"]) == {"down"}
    assert frame["fraction"].isna().tolist() == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pct_users_with_sensitive": 0.375}, "3 of 8 users are not 0.375 %"),
        ({"users_with_sensitive": 9}, "9 of 8 users"),
        ({"checkpoint_idx": 4}, "checkpoint_idx 4 is not 0 to 3"),
        ({"seed": "x"}, "invalid literal"),
        ({"unlearning_algorithm": "", "eval_type": "best"}, "eval_type 'best' without an"),
        ({"pct_users_with_sensitive": "nan"}, "are not nan %"),
    ],
)
def test_lines_that_do_not_fit(tmp_path, change, message):
    with pytest.raises(ForeignFileError, match=rf"sensitive\.csv, line 3: .*{message}"):
        read_sensitive_table(sheet(tmp_path, line(), line(**change)))


def test_other_tables(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    assert not is_sensitive_table(path)
    assert not is_sensitive_table(tmp_path / "none.csv")
    with pytest.raises(ForeignFileError, match=r"other\.csv lacks the columns dataset, model"):
        read_sensitive_table(path)
