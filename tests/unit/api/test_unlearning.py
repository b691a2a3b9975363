"""Forget rows of a data frame in a trained model."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from api_toys import fitted, frame_of

import erase_ray
from erase_ray.api.progress import Reporter
from erase_ray.errors import DataError, ScenarioError, SettingsError, StoreError, UnknownNameError


def weights(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(model, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_each_person_is_a_request_and_the_input_stays_as_it_is():
    made, frame = fitted(), frame_of()
    before = weights(made.model)
    some = [f"i{number}" for number in range(20)]
    rows = (frame["user"].isin(["u11", "u3"]) & frame["item"].isin(some)).to_numpy()

    gone = erase_ray.unlearn(made, frame, rows, "scif")

    assert gone.outcomes["user"].tolist() == ["u11", "u3"]
    assert gone.outcomes["status"].tolist() == ["applied", "applied"]
    assert sum(gone.outcomes["num_rows"]) == rows.sum()
    assert isinstance(gone.outcomes["details"][0], dict)
    assert same(made.model, before)
    assert not same(gone.model, before)
    moved = gone.model.state_dict()["user_embedding.weight"] != before["user_embedding.weight"]
    inner = made.vocabulary.users.positions(["u11", "u3"])
    assert set(torch.nonzero(moved.any(1)).flatten().tolist()) == set(inner.tolist())
    assert gone.frame.index.equals(frame.index[~rows])
    assert gone.loss_after.forgotten > gone.loss_before.forgotten
    assert gone.loss_after.others == pytest.approx(gone.loss_before.others, rel=0.01)
    assert gone.summary["applied"] == 2
    assert gone.summary["statuses"] == {"applied": 2}
    assert "scif" in gone._repr_html_()


def test_the_reference_edition_is_named():
    settings = {"edition": "reference", "max_norm": 10.0}
    gone = erase_ray.unlearn(fitted(), frame_of(), ["r0"], "scif", settings=settings)
    assert gone.method == "scif.reference"
    with pytest.raises(SettingsError, match="edition must be corrected or reference"):
        erase_ray.unlearn(fitted(), frame_of(), ["r0"], "scif", settings={"edition": "new"})


def test_requests_are_served_in_the_order_given():
    frame = frame_of()
    wishes = [["r40", "r41"], ["r0"], ["r80", "r17"]]
    gone = erase_ray.unlearn(fitted(), frame, method="finetune", requests=wishes)
    assert gone.outcomes["num_rows"].tolist() == [2, 1, 2]
    assert gone.outcomes["user"].tolist() == ["u2", "u0", ""]


def test_orders():
    frame = frame_of()
    frame.loc["r0", "time"] = pd.Timestamp("2025-01-01")  # the latest of all

    def asked(order):
        rows = ["r0", "r16", "r32", "r48"]
        return (
            erase_ray.unlearn(fitted(), frame, rows, "none", order=order).outcomes["user"].tolist()
        )

    assert asked("id") == ["u0", "u1", "u2", "u3"]
    assert asked("time") == ["u1", "u2", "u3", "u0"]
    assert sorted(asked("seed")) == ["u0", "u1", "u2", "u3"]
    with pytest.raises(ScenarioError, match="order must be one of id, time, seed, got 'row'"):
        asked("row")


def test_copy_false_changes_the_given_model():
    made, frame = fitted(), frame_of()
    model = erase_ray.unlearn(made, frame, ["r5"], "none").model  # a copy to play with
    for method in ("scif", "retrain"):
        before = weights(model)
        gone = erase_ray.unlearn(model, frame, ["r5"], method, copy=False, split="task")
        assert gone.model is model
        assert not same(model, before)


def test_retraining_forgets_and_needs_no_weights():
    made, frame = fitted(), frame_of()
    gone = erase_ray.unlearn(made, frame, ["r5", "r6"], "retrain")
    alone = erase_ray.fit(
        frame.drop(["r5", "r6"]), "bpr", settings={"embedding_size": 8},
        training=made.model and {"epochs": 2, "batch_size": 64}, device="cpu",
    )  # fmt: skip
    assert gone.outcomes["status"].tolist() == ["applied"]
    # the same rows, but of another table: numbers of rows, and so draws, differ
    assert gone.model.state_dict().keys() == alone.model.state_dict().keys()
    assert gone.loss_after.forgotten == pytest.approx(gone.loss_before.forgotten, rel=0.5)


@pytest.mark.parametrize("task", ["session_based", "next_basket"])
def test_other_tasks(task):
    made, frame = fitted(task), frame_of(task)
    gone = erase_ray.unlearn(made, frame, frame["user"] == "u4", "finetune")
    assert len(gone.outcomes) == 1
    assert len(gone.recommend(["u4"], 3)) == 0  # nothing is left of this person
    assert gone.recommend(["u5", "u6"], 3)["rank"].tolist() == [1, 2, 3, 1, 2, 3]


def test_work_goes_on_where_it_stopped():
    made, frame = fitted(), frame_of()
    first = erase_ray.unlearn(made, frame, ["r1"], "scif")
    second = erase_ray.unlearn(first, first.frame, ["r30"], "scif")
    assert len(second.frame) == len(frame) - 2
    marks = dict(zip(frame.index, made.table.split.marks[made.table.row_F], strict=True))
    left = dict(zip(second.frame.index, second.table.split.marks[second.table.row_F], strict=True))
    assert left == {label: marks[label] for label in second.frame.index}  # no mark has moved
    with pytest.raises(DataError, match="the split has no mark for some labels"):
        erase_ray.unlearn(first, frame, ["r1"], "scif")


def test_saved_models_are_read_again(tmp_path):
    made, frame = fitted(), frame_of()
    gone = erase_ray.unlearn(made, frame, ["r1"], "scif")
    gone.save(tmp_path / "unlearned")
    again = erase_ray.load_model(tmp_path / "unlearned")
    assert same(again, weights(gone.model))
    more = erase_ray.unlearn(again, gone.frame, ["r2"], "none")  # it knows the ids
    assert more.outcomes["user"].tolist() == ["u0"]
    made.save(tmp_path / "fitted")
    assert same(erase_ray.load_model(tmp_path / "fitted"), weights(made.model))
    with pytest.raises(StoreError, match="exists"):
        gone.save(tmp_path / "unlearned")


def test_a_model_by_hand_takes_ids_as_rows_of_its_tables():
    made, frame = fitted(), frame_of()
    from erase_ray.models import MODELS

    kind = MODELS.get("bpr")
    model = kind(made.model.settings, made.model.shape)
    model.load_state_dict(made.model.state_dict())
    numbers = frame.assign(
        user=made.vocabulary.users.positions(frame["user"]),
        item=made.vocabulary.items.positions(frame["item"]),
    )
    by_number = erase_ray.unlearn(model, numbers, ["r5"], "scif", split="task")
    by_id = erase_ray.unlearn(
        model, frame, ["r5"], "scif", split="task",
        users=list(made.vocabulary.users), items=list(made.vocabulary.items),
    )  # fmt: skip
    known = erase_ray.unlearn(made, frame, ["r5"], "scif")
    assert same(by_id.model, weights(known.model))
    assert same(by_number.model, weights(known.model))
    with pytest.raises(DataError, match=r"users of the frame are not among .* such as 'u0'"):
        erase_ray.unlearn(model, frame, ["r5"], "scif")


@pytest.mark.parametrize(
    ("error", "change", "text"),
    [
        (UnknownNameError, {"method": "scfi"}, "no method is called 'scfi'. Did you mean 'scif'"),
        (SettingsError, {"settings": {"dampng": 1}}, "dampng: Extra inputs are not permitted"),
        (SettingsError, {"method": "exact"}, "'exact' cannot serve 'bpr', which learns by "
         "gradients; take one of .*scif"),
        (SettingsError, {"task": "session_based"}, "model 'bpr' is for task 'cf', the frame is to "
         "be read for 'session_based'"),
        (SettingsError, {"model": torch.nn.Linear(2, 2)}, "goes through erase_ray.wrap"),
        (SettingsError, {"training": {"epoch": 3}}, "epoch: Extra inputs"),
        (DataError, {"rows": None}, "give either rows or requests"),
        (DataError, {"requests": [["r1"]]}, "give either rows or requests"),
        (DataError, {"rows": None, "requests": []}, "requests is empty"),
        (DataError, {"rows": None, "requests": [["r1"], ["r2", "r1"]]}, "requests 0 and 1 name"),
        (DataError, {"rows": ["q"]}, "1 of 1 rows are not in the index"),
        (DataError, {"users": ["a"]}, "users has 1 ids, model 'bpr' has tables for 24"),
    ],
)  # fmt: skip
def test_errors_name_the_thing_and_the_way_out(error, change, text):
    arguments = {"model": fitted(), "interactions": frame_of(), "rows": ["r1"]} | change
    with pytest.raises(error, match=text):
        erase_ray.unlearn(**arguments)


def test_ids_that_the_model_does_not_know():
    frame = frame_of()
    frame.loc["r7", "item"] = "new"
    with pytest.raises(DataError, match=r"1 of 31 items .* such as 'new'"):
        erase_ray.unlearn(fitted(), frame, ["r1"])


def test_progress_is_told_of_each_request():
    steps: list[erase_ray.Step] = []
    erase_ray.unlearn(fitted(), frame_of(), ["r0", "r16"], "none", progress=steps.append)
    assert [(step.done, step.total, step.label) for step in steps] == [
        (1, 2, "request 0"),
        (2, 2, "request 1"),
    ]
    assert {step.status for step in steps} <= {"applied", "skipped", "empty"}


def test_a_line_where_nobody_draws_is_written_once():
    stream = io.StringIO()
    told = Reporter(2, "unlearn with scif", True, stream)
    told("request 0", "applied")
    told("request 1", "applied")
    told.close("2 applied")
    assert stream.getvalue() == "[2/2] unlearn with scif | 2 applied\n"


def test_held_out_rows_are_evaluated():
    made = fitted()
    found = erase_ray.evaluate(made, ["recall", "ndcg"], k=[5, 10])
    assert found["metric"].tolist() == ["recall", "recall", "ndcg", "ndcg"]
    assert found["k"].tolist() == [5, 10, 5, 10]
    assert all(0 <= value <= 1 for value in found["value"])
    assert found["n"].tolist() == [24] * 4
    with pytest.raises(UnknownNameError, match="no metric is called 'recal'"):
        erase_ray.evaluate(made, ["recal"])
    with pytest.raises(SettingsError, match="does not judge held-out queries"):
        erase_ray.evaluate(made, ["sensitive_share"])
    with pytest.raises(SettingsError, match=r"no part 'tst'. Did you mean 'test'"):
        erase_ray.evaluate(made, part="tst")
    whole = erase_ray.fit(frame_of(), "pop", split="all", device="cpu")
    with pytest.raises(DataError, match="no row is held out as test"):
        erase_ray.evaluate(whole)


def test_recommendations_leave_out_what_a_person_has():
    made = fitted()
    top = made.recommend(["u7"], 5)
    assert top.columns.tolist() == ["user", "rank", "item"]
    train = made.table.split.marks[made.table.row_F] == 0
    had = set(made.frame["item"][train & (made.frame["user"] == "u7").to_numpy()])
    assert not had & set(top["item"])
    with pytest.raises(DataError, match="user 'nobody' is not among the 24 known"):
        made.recommend(["nobody"])
    with pytest.raises(DataError, match="must be a list of ids, got the text 'u7'"):
        made.recommend("u7")


def test_same_seed_same_weights():
    frame, rows = frame_of(), ["r3", "r50"]
    one, two = (erase_ray.unlearn(fitted(), frame, rows, "kookmin", seed=9) for _ in range(2))
    assert same(one.model, weights(two.model))
    assert np.array_equal(one.outcomes["step_norm"], two.outcomes["step_norm"])
