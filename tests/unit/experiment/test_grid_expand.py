"""From YAML to cells. The parts are real; no data is touched."""

import textwrap
from pathlib import Path

import pytest

from erase_ray.errors import GridError, SettingsError
from erase_ray.experiment.grid import load_cells, load_grid
from erase_ray.models import MODELS

GRIDS = Path(__file__).parents[3] / "jobs" / "grids"

GRID = """
seeds: [2, 3]
methods: [original, retrain, scif]
scenarios: {sensitive: {category: sensitive, fraction: 0.01}}
blocks:
  - datasets: [{planted: {task: cf}}]
    models: [bpr]
    training: {epochs: 4}
"""


@pytest.fixture(scope="module")
def full_cells():
    return load_cells(GRIDS / "full.yaml")


@pytest.fixture
def write(tmp_path):
    def write_text(text):
        path = tmp_path / "grid.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    return write_text


def test_every_combination_and_a_cell_a_mark_for_methods_that_train(write):
    cells = load_cells(write(GRID))
    found = [(cell.seed, cell.method.name, cell.mark) for cell in cells]
    one_seed = [("original", None), *(("retrain", mark) for mark in (1, 2, 3, 4)), ("scif", None)]
    assert found == [(seed, *rest) for seed in (2, 3) for rest in one_seed]
    assert {cell.training.epochs for cell in cells} == {4}
    # what the block does not say comes from the model
    assert {cell.training.batch_size for cell in cells} == {2048}
    assert cells[0].dataset.settings["num_users"] == 300
    assert cells[0].scenario.settings["category"] == "sensitive"


def test_forms_of_a_list_of_parts(write):
    forms = ["bpr", "[bpr]", "{bpr: {embedding_size: 64}}", "[{bpr: null}]"]
    keys = {
        tuple(cell.key for cell in load_cells(write(GRID.replace("[bpr]", form)))) for form in forms
    }
    assert len(keys) == 1


def test_a_block_overrides_what_stands_beside_the_blocks(write):
    block = "    seeds: [7]\n    methods: [{scif: {}}]\n"
    cells = load_cells(write(GRID + block))
    assert [(cell.seed, cell.method.name) for cell in cells] == [(7, "scif")]


def test_only_combinations_of_one_task(write):
    text = GRID.replace("{planted: {task: cf}}", "planted, {planted: {task: session_based}}")
    cells = load_cells(write(text.replace("[bpr]", "[bpr, gru4rec]")))
    pairs = {(cell.dataset.settings["task"], cell.model.name) for cell in cells}
    assert pairs == {("cf", "bpr"), ("session_based", "gru4rec")}


def test_parts_that_no_combination_uses(write):
    text = GRID.replace("[bpr]", "[bpr, gru4rec]")
    with pytest.raises(GridError, match=r"^model 'gru4rec' is session_based, and no dataset of"):
        load_cells(write(text))
    text = GRID.replace("[bpr]", "[gru4rec]")
    with pytest.raises(GridError) as caught:
        load_cells(write(text))
    assert str(caught.value) == (
        "dataset 'planted' is cf, and no model of its block is; "
        "model 'gru4rec' is session_based, and no dataset of its block is"
    )


def test_everything_unknown_in_one_message(write):
    text = """
    seeds: 2
    methods: [original, sciff, forgetall]
    scenarios: [spam_2]
    blocks:
      - datasets: [plantd, nowhere]
        models: [gru4reck]
    """
    with pytest.raises(GridError) as caught:
        load_cells(write(text))
    message = str(caught.value)
    assert "\n" not in message
    assert "no dataset is called 'plantd' (did you mean 'planted'?), 'nowhere'. Known: " in message
    assert "no model is called 'gru4reck' (did you mean 'gru4rec'?). Known: bpr, " in message
    assert "no scenario is called 'spam_2' (did you mean 'spam'?). Known: account, " in message
    assert "no method is called 'sciff' (did you mean 'scif'?), 'forgetall'. Known: " in message


def test_unknown_parts_and_settings_faults_together(write):
    text = """
    seeds: 2
    methods: [{original: {a: 1}}, {scif: {no_such: 1}}, nothing]
    scenarios: {sensitive: {category: sensitive, fraction: 2}}
    blocks:
      - datasets: {planted: {num_users: 1}}
        models: {bpr: {embedding_size: 0}}
        training: {epochs: 0, epcohs: 3}
    """
    with pytest.raises(GridError) as caught:
        load_cells(write(text))
    message = str(caught.value)
    for part in (
        "no method is called 'nothing'",
        "settings of dataset 'planted': num_users: Input should be greater than or equal to 12",
        "settings of model 'bpr': embedding_size: ",
        "training: epochs: Input should be greater than or equal to 1 (got 0); epcohs: Extra",
        "settings of scenario 'sensitive': fraction: Input should be less than 1 (got 2)",
        "'original' has no settings, got {'a': 1}",
        "settings of method 'scif': no_such: Extra inputs are not permitted",
    ):
        assert part in message


def test_base_is_not_for_grids(write):
    with pytest.raises(GridError, match="no method is called 'base'"):
        load_cells(write(GRID.replace("scif", "base")))


def test_a_grid_key_that_nobody_knows(write):
    with pytest.raises(SettingsError, match=r"there is no 'seed' \(did you mean 'seeds'\?\)\. Kno"):
        load_cells(write("seed: [2]\nblocks: []"))
    with pytest.raises(SettingsError, match=r"grid grid.yaml, block 1: modls: Extra inputs"):
        load_cells(write(GRID + "    modls: [bpr]\n"))
    with pytest.raises(SettingsError, match="blocks must be a list of mappings"):
        load_cells(write("seeds: [2]"))
    with pytest.raises(SettingsError, match="block 1: datasets: Field required"):
        load_cells(write("blocks: [{models: bpr}]"))
    with pytest.raises(SettingsError, match="must be a name, a mapping of names to settings"):
        load_cells(write(GRID.replace("[bpr]", "[]")))
    with pytest.raises(SettingsError, match=r"machine of grid grid.yaml: slots: Input should be"):
        load_cells(write(GRID + "machine: {slots: 0}"))


def test_no_blocks_is_an_error(write):
    with pytest.raises(GridError, match=r"^the grid has no cells$"):
        load_cells(write("seeds: [2]\nblocks: []"))


@pytest.mark.parametrize(
    ("change", "read", "expected"),
    [
        ("seeds=[5]", lambda cell: cell.seed, 5),
        ("seeds=5", lambda cell: cell.seed, 5),
        ("training.epochs=9", lambda cell: cell.training.epochs, 9),
        ("training={epochs: 8}", lambda cell: cell.training.epochs, 8),
        ("models.bpr.embedding_size=8", lambda cell: cell.model.settings["embedding_size"], 8),
        ("datasets.planted.num_users=50", lambda cell: cell.dataset.settings["num_users"], 50),
        (
            "scenarios.sensitive.fraction=0.5",
            lambda cell: cell.scenario.settings["fraction"],
            0.5,
        ),
        ("methods=[seif]", lambda cell: cell.method.name, "seif"),
    ],
)
def test_set(write, change, read, expected):
    cells = load_cells(write(GRID), assignments=[change])
    assert {read(cell) for cell in cells} == {expected}


def test_set_wins_over_a_block_and_keeps_its_other_settings(write):
    text = GRID + "    methods: [seif]\n"
    changes = ["methods=[scif]", "training.batch_size=7", "machine.slots=3"]
    grid = load_grid(write(text), assignments=changes)
    assert {cell.method.name for cell in grid.cells} == {"scif"}
    assert {(c.training.epochs, c.training.batch_size) for c in grid.cells} == {(4, 7)}
    assert grid.machine.slots == 3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            "sedes=[2]",
            r"--set sedes=\[2\]: there is no 'sedes' \(did you mean 'seeds'\?\)\. Known: ",
        ),
        (
            "training.epcohs=3",
            r"there is no 'epcohs' \(did you mean 'epochs'\?\)\. Known: epochs, ",
        ),
        ("training=3", "--set training=3: a mapping is needed, such as {epochs: 3}"),
        ("models.bpr=3", r"--set models.bpr=3: write models=..., or models.NAME.SETTING=... for"),
        ("seeds.x.y=3", "write seeds=..., or seeds.NAME.SETTING"),
        ("models.bqr.a=3", r"the grid has no 'bqr' \(did you mean 'bpr'\?\)\. Known: bpr"),
        ("seeds=[]", r"--set seeds=\[\]: seeds: Value should have at least 1 item"),
        ("seeds=[a]", "--set seeds=.a.: seeds.0: Input should be a valid integer"),
        ("nothing", "expected key=value, got 'nothing'"),
        ("machine.slot=3", "machine of grid grid.yaml: slot: Extra inputs"),
    ],
)
def test_set_errors(write, change, text):
    with pytest.raises(SettingsError, match=text):
        load_cells(write(GRID), assignments=[change])


def test_a_preset_comes_before_what_the_block_says(write):
    text = GRID.replace("models: [bpr]", "models: [lightgcn, {sgl: {num_layers: 2}}]")
    cells = load_cells(write(text), assignments=["preset=reference"])
    settings = {cell.model.name: cell.model.settings for cell in cells}
    assert settings["lightgcn"]["penalty_form"] == settings["sgl"]["penalty_form"] == "norm"
    assert settings["sgl"]["num_layers"] == 2
    assert {cell.training.epochs for cell in cells} == {4}
    assert load_cells(write(text))[0].model.settings["penalty_form"] == "squared"


def test_an_unknown_preset_is_named(write):
    with pytest.raises(GridError, match=r"there is no preset 'original'\. Known: benchmark, ref"):
        load_cells(write(GRID), assignments=["preset=original"])


def test_baselines_only_get_methods_that_serve_them(write):
    text = GRID.replace("models: [bpr]", "models: [bpr, pop, ease]")
    expected = (
        r"^no weights to forget from in pop, ease: put baselines into a block whose methods are "
        r"among original, (\w+, )*exact, (\w+, )*retrain, without scif$"
    )
    with pytest.raises(GridError, match=expected):
        load_cells(write(text))
    cells = load_cells(write(text.replace(", scif", "")))
    assert {cell.model.name for cell in cells} == {"bpr", "pop", "ease"}
    cells = load_cells(write(text.replace("bpr, ", "").replace("scif", "exact, none")))
    assert [cell.method.name for cell in cells if cell.mark is None] == [
        *("original", "exact", "none") * 2 * 2
    ]


def test_rows_are_not_taken_out_of_models_that_learn(write):
    text = GRID.replace("models: [bpr]", "models: [bpr, lightgcn, pop]").replace("scif", "exact")
    expected = (
        r"^exact cannot serve bpr, lightgcn, which learn by gradients: put them into a block "
        r"without it$"
    )
    with pytest.raises(GridError, match=expected):
        load_cells(write(text))


def test_both_kinds_of_misfits_in_one_message(write):
    text = GRID.replace("models: [bpr]", "models: [bpr, pop]").replace("scif", "scif, exact")
    with pytest.raises(GridError, match=r"without scif; exact cannot serve bpr, which"):
        load_cells(write(text))


@pytest.mark.parametrize("path", sorted(GRIDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_grids_that_come_with_the_code_have_no_faults(path):
    cells = load_cells(path)
    assert len({cell.key for cell in cells}) == len(cells) > 0


def test_the_full_grid_takes_rows_out_of_every_baseline_with_the_first_seed(full_cells):
    cells = full_cells
    counted = {name for name in MODELS.names() if not MODELS.get(name).learns}
    found = [cell for cell in cells if cell.model.name in counted]
    assert {cell.model.name for cell in found if cell.method.name == "exact"} == counted
    assert {cell.seed for cell in found} == {2}
    assert {cell.dataset.name for cell in found} == {cell.dataset.name for cell in cells}
    # of the three catalogues of its task only this one is small enough
    assert {cell.dataset.name for cell in found if cell.model.name == "ease"} == {"movielens"}


def test_a_block_may_merge_wishes(write):
    text = GRID.replace("scenarios: {sens", "scenarios:\n  - spam\n  - {sens") + "    batch: 7\n"
    cells = load_cells(write(text))
    assert {cell.scenario.settings["batch"] for cell in cells} == {7}
    assert {c.scenario.settings["batch"] for c in load_cells(write(text), "", ["batch=9"])} == {9}
    with pytest.raises(SettingsError, match=r"block 1: batch: Input should be greater than or"):
        load_cells(write(text.replace("batch: 7", "batch: 0")))


def test_an_instance_nobody_knows(write):
    expected = r"machine of grid grid.yaml: : Value error, no price of 'x1' is known"
    with pytest.raises(SettingsError, match=expected):
        load_cells(write(GRID + "machine: {instance: x1}"))
    grid = load_grid(write(GRID), "", ["machine.instance=g5.xlarge", "machine.count=3"])
    assert (grid.machine.slots, grid.machine.gpus) == (12, 3)


LEARNING = {"cf": 3, "session_based": 4, "next_basket": 2}
SCENARIOS = {
    "movielens": 4 * 3,
    "goodreads": 3 * 3,
    "amazon_grocery": 2 * 3,
    "amazon_books": 3 * 3,
    "thirty_music": 2 * 3 + 1,
    "nowplaying": 3 * 2 + 1,
    "instacart": 3 + 1,
    "tafeng": 1,
    "dunnhumby": 1 + 1,
}
"""Categories by fractions, and spam."""
METHODS = 1 + 4 + 3 + 7 + 1
"""Original, retrained at four marks, reference points, methods, SISA."""


@pytest.mark.parametrize("dataset", SCENARIOS)
def test_the_full_grid_is_complete(full_cells, dataset):
    cells = [cell for cell in full_cells if cell.dataset.name == dataset]
    found = [cell for cell in cells if MODELS.get(cell.model.name).learns]
    models = LEARNING[MODELS.get(found[0].model.name).task]
    assert len(found) == SCENARIOS[dataset] * models * METHODS * 5
    assert {cell.seed for cell in found} == {2, 3, 5, 7, 11}
    assert {c.scenario.settings["batch"] for c in found if c.method.name != "sisa"} == {1}
    assert {c.scenario.settings["batch"] for c in found if c.method.name == "sisa"} == {1_000_000}
