"""Errors, order of rows, and models whose names of tensors are not known."""

import numpy as np
import pytest
import torch
from their_files import PADDING, checkpoint, golden, padded

from erase_ray.data.names import Names
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.errors import SettingsError, UnknownNameError
from erase_ray.imports.checkpoints import read_checkpoint
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.ids import OuterIds
from erase_ray.imports.weights import Choices, import_weights
from erase_ray.models import MODELS, Shape

ITEMS, USERS = Names.of("cab"), Names.of("zyx")


def bpr_state(num_users: int = 3, num_items: int = 3, width: int = 2) -> dict:
    user = torch.arange(1.0, 1 + num_users)[:, None].repeat(1, width)
    item = 10 * torch.arange(1.0, 1 + num_items)[:, None].repeat(1, width)
    return {"user_embedding.weight": padded(user), "item_embedding.weight": padded(item)}


def imported(tmp_path, state, model="bpr", config=None, **choices):
    path = checkpoint(tmp_path / "a.pth", state, config)
    return import_weights(read_checkpoint(path), model, Choices(**choices))


def test_without_ids_the_order_is_kept_and_said(tmp_path):
    found = imported(tmp_path, bpr_state())
    assert found.state["user_embedding.weight"][:, 0].tolist() == [1, 2, 3]
    assert found.vocabulary is None
    assert found.notes == ["no outer ids: rows keep the order of the file, number i is i - 1 here"]
    assert [moved.done for moved in found.report] == ["padding row left out"] * 2


def test_with_ids_the_vocabulary_is_theirs(tmp_path):
    found = imported(tmp_path, bpr_state(), ids=OuterIds(USERS, ITEMS))
    assert found.vocabulary == {"user": USERS, "item": ITEMS}
    assert found.shape == Shape(3, 3)
    assert found.notes == []


def test_rows_in_the_order_of_a_dataset(tmp_path):
    """Outer ids say which row is which; what the dataset has not is left out."""
    onto = Vocabulary(Names.of("xz"), Names.of("abc"), Names.of("xz"))
    found = imported(tmp_path, bpr_state(), ids=OuterIds(USERS, ITEMS), onto=onto)
    assert found.state["user_embedding.weight"][:, 0].tolist() == [3, 1]
    assert found.state["item_embedding.weight"][:, 0].tolist() == [20, 30, 10]
    assert found.vocabulary == {"user": onto.users, "item": onto.items}
    assert found.notes == ["1 of 3 users are not in the dataset: left out"]
    assert found.report[0].done == "padding row left out, rows in our order"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": OuterIds(USERS, Names.of("ab"))}, "the outer ids are 2 items, the tables have 3"),
        ({"ids": OuterIds(Names.of("z"), ITEMS)}, "the outer ids are 1 users, the tables have 3"),
        ({"onto": Vocabulary(USERS, ITEMS, USERS)}, "give --inter or --items"),
        (
            {
                "ids": OuterIds(USERS, ITEMS),
                "onto": Vocabulary(USERS, Names.of("abq"), USERS),
            },
            "1 of 3 items of the dataset are not in the file's data, such as 'q'",
        ),
        ({"names": {"a": "b"}}, "names of tensors of BPR are known"),
        ({"config": {"model": "LightGCN"}}, r"a\.pth records the model LightGCN, not BPR"),
        ({"model": "", "config": {}}, "does not record its model; say --model"),
    ],
)
def test_what_does_not_fit_is_an_error(tmp_path, change, message):
    with pytest.raises(ForeignFileError, match=message):
        imported(tmp_path, bpr_state(), **change)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"item_embedding.weight": torch.ones(4, 2)}, "lacks user_embedding.weight of BPR"),
        (
            {**bpr_state(), "bias": torch.ones(3)},
            r"tensors that our bpr does not know: bias \[3\]",
        ),
        (
            {**bpr_state(), "user_embedding.weight": torch.ones(4, 3)},
            r"user_embedding.weight has the shape \[4, 3\], which gives \[3, 3\]; our "
            r"user_embedding.weight has \[3, 2\]",
        ),
        (
            {**bpr_state(), "user_embedding.weight": torch.full((4, 2), torch.nan)},
            "user_embedding.weight holds NaN or infinity",
        ),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, state, message):
    with pytest.raises(ForeignFileError, match=message):
        imported(tmp_path, state)


@pytest.mark.parametrize("content", [[1], {"a": 1}, {"state_dict": {}}, {"state_dict": {"a": 1}}])
def test_files_without_weights(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ForeignFileError, match=r"a\.pth (holds a list|has no dictionary)"):
        read_checkpoint(tmp_path / "a.pth")


def test_models_that_are_not_there(tmp_path):
    with pytest.raises(
        UnknownNameError, match=r"weights of 'ease' cannot be imported\. Known: bpr,"
    ):
        imported(tmp_path, bpr_state(), model="ease")


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("sasrec", {"hidden_act": "relu"}, "has hidden_act: relu; our sasrec is gelu always"),
        ("sgl", {"type": "ND"}, "has type: ND; our sgl is ED always"),
        ("gru4rec", {"num_layers": 2}, "has num_layers: 2; our gru4rec is 1 always"),
        ("narm", {"dropout_probs": 3}, "has dropout_probs: 3, which is not understood"),
    ],
)
def test_configurations_that_ours_cannot_follow(tmp_path, name, config, message):
    with pytest.raises(ForeignFileError, match=message):
        imported(tmp_path, golden(name)[0], name, config)


def test_settings_that_no_shape_shows(tmp_path):
    """Recorded, given, or our default with a note that says so."""
    state = bpr_state()
    found = imported(tmp_path, state, "lightgcn", {"n_layers": 4, "require_pow": True})
    assert found.settings["num_layers"] == 4
    assert found.settings["penalty_form"] == "squared"
    found = imported(tmp_path, state, "lightgcn", settings={"num_layers": 5})
    assert found.settings["num_layers"] == 5
    found = imported(tmp_path, state, "lightgcn")
    assert "num_layers: not recorded, our default is taken; scores depend on it" in found.notes
    with pytest.raises(SettingsError, match="num_layer: Extra inputs"):
        imported(tmp_path, state, "lightgcn", settings={"num_layer": 5})


def of_ours(name: str, **settings):
    """A model of ours with random weights."""
    kind = MODELS.get(name)
    model = kind(kind.Settings(**settings), Shape(0, 5))
    model.reset(torch.Generator().manual_seed(1))
    with torch.no_grad():
        for weight in model.parameters():
            weight += torch.randn(weight.shape, generator=torch.Generator().manual_seed(2))
    return model


def their_sets2sets(ours) -> dict:
    """Under made-up names, with the padding and the rows of the frame."""
    square = torch.full((6, 6), PADDING)
    square[1:, 1:] = ours["gate.weight"]
    frame = torch.full((2, ours["attention.weight"].shape[1]), PADDING)
    state = {
        "enc_emb.weight": padded(ours["encoder_embedding.weight"]),
        "dec_emb.weight": padded(ours["decoder_embedding.weight"]),
        "attn.weight": torch.cat([ours["attention.weight"], frame]),
        "attn.bias": torch.cat([ours["attention.bias"], frame[:, 0]]),
        "attn_combine.weight": ours["combine.weight"],
        "attn_combine.bias": ours["combine.bias"],
        "out.weight": padded(ours["output.weight"]),
        "out.bias": padded(ours["output.bias"]),
        "repeat.weight": square,
        "repeat.bias": padded(ours["gate_bias"]),
    }
    for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        state[f"encoder_gru.{part}_l0"] = ours[f"encoder.{part}_l0"]
        state[f"decoder_gru.{part}_l0"] = ours[f"decoder.{part}"]
    return state


def test_sets2sets_is_found_by_shapes(tmp_path):
    ours = of_ours("sets2sets", embedding_size=3, max_history=7).state_dict()
    found = imported(tmp_path, their_sets2sets(ours), "sets2sets")
    for name, expected in ours.items():
        assert torch.equal(found.state[name], expected), name
    assert found.settings["max_history"] == 7
    assert "attention: rows 0 to 6 of 9" in found.notes[0]
    assert found.report[-1].done == "not there: 1"


def test_sets2sets_whose_names_do_not_tell(tmp_path):
    ours = of_ours("sets2sets", embedding_size=3, max_history=7).state_dict()
    state = their_sets2sets(ours)
    state["one.weight"], state["two.weight"] = (
        state.pop("enc_emb.weight"),
        state.pop("dec_emb.weight"),
    )
    message = (
        r"which is encoder_embedding \(a table of items\)\? Of that shape: one, two\. Say which"
    )
    with pytest.raises(ForeignFileError, match=message):
        imported(tmp_path, state, "sets2sets")
    names = {"encoder_embedding": "one", "decoder_embedding": "two"}
    found = imported(tmp_path, state, "sets2sets", names=names)
    assert torch.equal(found.state["encoder_embedding.weight"], ours["encoder_embedding.weight"])


def their_dnntsp(ours) -> dict:
    names = {
        "convolutions.0": "stacked_gcn.gcns.0.linear",
        "convolutions.1": "stacked_gcn.gcns.1.linear",
        "norms.0": "stacked_gcn.bns.0",
        "norms.1": "stacked_gcn.bns.1",
        "query": "attention.Wq",
        "key": "attention.Wk",
        "value": "attention.Wv",
        "importance": "aggregate.Wq",
        "output": "fc_output",
        "item_embedding": "item_embedding",
    }
    state = {}
    for name, value in ours.items():
        module, _, leaf = name.rpartition(".")
        if module:
            state[f"{names[module]}.{leaf}"] = padded(value) if "item" in name else value
    return state | {"global_gated_updater.alpha": padded(ours["gate"][:, None])}


def test_dnntsp_is_found_by_shapes(tmp_path):
    ours = of_ours("dnntsp", embedding_size=4, num_heads=2).state_dict()
    found = imported(tmp_path, their_dnntsp(ours), "dnntsp", {"n_heads": 2})
    assert set(found.state) == set(ours)
    for name, expected in ours.items():
        assert torch.equal(found.state[name], expected), name
    assert found.settings["num_layers"] == 2


def test_padding_never_comes_through(tmp_path):
    ours = of_ours("dnntsp", embedding_size=4).state_dict()
    for state, model in ((their_dnntsp(ours), "dnntsp"), (bpr_state(), "bpr")):
        found = imported(tmp_path, state, model)
        most = max(float(value.abs().max()) for value in found.state.values())
        assert most < PADDING / 10
    assert np.isfinite(most)
