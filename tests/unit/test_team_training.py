"""Several processes that share out every batch end where one process ends."""

import functools

import pytest
import torch

from erase_ray.checkpoints import FileCheckpoint
from erase_ray.errors import TrainingError
from erase_ray.models import MODELS
from erase_ray.portions import check_team
from tests.conftest import LEARNING, make_model, planted
from tests.unit.team_runs import Job, Jobs, Stop, in_team

SHARDED = [
    name for name in LEARNING if make_model(name, planted(MODELS.get(name).task)).row_tables()
]
NOISE = {"sasrec": "key.bias", "dnntsp": "convolutions.*.bias"}
"""Parameters whose gradient is zero by the mathematics, so that all that moves them is rounding:
what the softmax, or batch norm, takes out again."""
PLAIN = [Job(name) for name in LEARNING]
SPECIAL = [
    Job("gru4rec", double=False),
    Job("sgl", double=False),
    Job("srgnn", changes={"weight_decay": 1e-4, "decay_every": 1}),
    Job("lightgcn", model_settings={"penalty_form": "norm", "penalty": 0.1}),
    Job("sgl", model_settings={"penalty_form": "norm", "penalty": 0.1}),
    Job("dnntsp", model_settings={"pad_steps": True}),
    Job("sets2sets", changes={"batch_size": 1, "epochs": 1}),
    Job("bpr", changes={"epochs": 30, "patience": 2, "learning_rate": 0.1}),
]
SPREAD = [Job(name, shards=True) for name in SHARDED]
ROUGH = [
    Job("narm", double=False, changes={"precision": "bfloat16"}),
    Job("narm", double=False, changes={"precision": "bfloat16"}, shards=True),
]
JOBS = [*PLAIN, *SPECIAL, *SPREAD]
"""Each ends in a batch that has fewer examples than a team of four has members."""


@functools.cache
def alone(number):
    return (JOBS + ROUGH)[number].run(None)


@pytest.fixture(scope="module", params=[2, 4])
def everyone(request, tmp_path_factory):
    """What each member has of each job."""
    folder = tmp_path_factory.mktemp("team")
    return in_team(request.param, Jobs((*JOBS, *ROUGH)), folder)


def title(job):
    kind = "double" if job.double else "float"
    return "-".join([job.model, kind, *job.changes, *job.model_settings, *["shards"] * job.shards])


def is_noise(job, name):
    first, *rest = NOISE.get(job.model, "-").split("*")
    return first in name and all(part in name for part in rest)


@pytest.mark.parametrize("number", range(len(JOBS)), ids=map(title, JOBS))
def test_a_team_ends_where_one_process_ends(everyone, number):
    job, one, lead = JOBS[number], alone(number), everyone[0][number]
    close = 1e-10 if job.double else 1e-4
    for name, weight in one["weights"].items():
        # the running mean of batch norm follows the noise before it
        noisy = is_noise(job, name) or (job.model == "dnntsp" and "running_mean" in name)
        atol = 1e-7 if noisy else close
        torch.testing.assert_close(lead["weights"][name], weight, rtol=0, atol=atol)
    best, epochs, valid, losses = lead["curves"]
    assert (best, epochs) == one["curves"][:2]
    assert valid == one["curves"][2]
    assert losses == pytest.approx(one["curves"][3], rel=1e-6)
    assert epochs < job.changes.get("epochs", 99) or "patience" not in job.changes


@pytest.mark.parametrize("number", range(len(JOBS)), ids=map(title, JOBS))
def test_members_agree_bit_by_bit_and_the_first_one_reports(everyone, number):
    lead, *others = (member[number] for member in everyone)
    assert [call[0] for call in lead["told"]] == list(range(lead["curves"][1]))
    for other in others:
        assert other["told"] == []
        assert other["curves"] == lead["curves"]
        if not JOBS[number].shards:
            assert all(torch.equal(w, lead["weights"][n]) for n, w in other["weights"].items())


@pytest.mark.parametrize("number", range(len(SPREAD)), ids=SHARDED)
def test_each_member_keeps_only_its_rows(everyone, number):
    job, place = SPREAD[number], len(PLAIN) + len(SPECIAL) + number
    shared = make_model(job.model, planted(MODELS.get(job.model).task)).row_tables()
    size = len(everyone)
    for name, whole in shared.items():
        for rank in range(1, size):
            rows = (rank + 1) * len(whole) // size - rank * len(whole) // size
            assert len(everyone[rank][place]["weights"][name]) == rows
        assert everyone[0][place]["weights"][name].shape == whole.shape


@pytest.mark.parametrize("number", range(len(ROUGH)))
def test_bfloat16_products_change_the_loss_by_little(everyone, number):
    place = len(JOBS) + number
    losses = everyone[0][place]["curves"][3]
    assert losses == pytest.approx(alone(place)["curves"][3], rel=2e-2)
    assert losses != alone(LEARNING.index("narm"))["curves"][3]


def resumed(team, paths):
    """A run that one process broke off, as it is and with tables shared out; then one that only
    the first member has a checkpoint of.
    """
    plain, spread, lonely = paths
    one = Job("gru4rec", checkpoint=plain).run(team)
    with_shards = Job("gru4rec", checkpoint=spread, shards=True).run(team)
    with pytest.raises(TrainingError) as error:
        Job("bpr", checkpoint=lonely if team.leads else "").run(team)
    return one, with_shards, str(error.value)


def test_a_run_goes_on_with_any_number_of_members(tmp_path):
    one = Job("gru4rec").run(None)
    *paths, lonely = (str(tmp_path / name) for name in ("plain", "spread", "lonely"))
    for path in paths:
        with pytest.raises(Stop):
            Job("gru4rec", checkpoint=path, last=1).run(None)
    work = functools.partial(resumed, paths=(*paths, lonely))
    (*results, text), (*_, same) = in_team(2, work, tmp_path)
    assert text == same
    assert text.startswith("the 2 workers do not agree on the epochs in the checkpoint (-1: there ")
    assert text.endswith(": [[0], [-1]]")
    for result in results:
        assert [call[0] for call in result["told"]] == [1]
        for name, weight in one["weights"].items():
            torch.testing.assert_close(result["weights"][name], weight, rtol=0, atol=1e-10)
    # what a team leaves is a state like any other, also where it shares tables out
    for path in paths:
        state, again = FileCheckpoint(path).load(), Job("gru4rec", checkpoint=path).run(None)
        assert len(state.losses) == 2
        assert again["told"] == []
        for name, weight in one["weights"].items():
            assert state.tensors[f"model/{name}"].shape == weight.shape
            torch.testing.assert_close(again["weights"][name], weight, rtol=0, atol=1e-10)
            assert state.tensors[f"adam/{name}/exp_avg"].shape == weight.shape


def test_what_a_team_cannot_do_is_refused():
    model = make_model("lightgcn", planted("cf"))
    settings = Job("lightgcn").settings()
    with pytest.raises(TrainingError, match="model 'lightgcn' reads its tables as a whole, so"):
        check_team(model, settings, True)
    compiled = settings.model_copy(update={"compile": True})
    with pytest.raises(TrainingError, match="several workers share out cannot be compiled"):
        check_team(model, compiled, False)
