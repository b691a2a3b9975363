import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from statistics_data import DEMSAR

from erase_ray.report.cd_diagram import CriticalDifferenceDiagram
from erase_ray.report.statistics.ranking import critical_difference

SVG = "{http://www.w3.org/2000/svg}"


def diagram(scores: pd.DataFrame = DEMSAR, alpha: float = 0.10) -> CriticalDifferenceDiagram:
    return CriticalDifferenceDiagram(
        "cd", "Recall@20", critical_difference(scores, "up", alpha=alpha)
    )


def drawn(**settings) -> ElementTree.Element:
    return ElementTree.fromstring(diagram(**settings).draw())


def test_it_can_be_listened_to():
    root = drawn()
    assert root.findtext(f"{SVG}title") == "Recall@20"
    assert root.findtext(f"{SVG}desc") == (
        "Mean ranks over 14 blocks, 1 is best: C4.5+m+cf 1.96, C4.5+m 2.00, C4.5+cf 2.89, "
        "C4.5 3.14. Friedman test: p = 0.017. Critical difference 1.12 at level 0.1. "
        "Not significantly different: C4.5+m+cf, C4.5+m, C4.5+cf; C4.5+cf, C4.5."
    )


def test_every_method_has_its_name_and_rank():
    texts = {text.text for text in drawn().iter(f"{SVG}text")}
    assert {"C4.5+m+cf 1.96", "C4.5+m 2.00", "2.89 C4.5+cf", "3.14 C4.5"} <= texts


def test_a_bar_spans_the_ranks_of_a_group():
    root = drawn()
    bars = [line for line in root.iter(f"{SVG}line") if line.get("class") == "bar"]
    joints = [path.get("d", "") for path in root.iter(f"{SVG}path")]
    places = sorted(float(joint[1:].split()[0]) for joint in joints)
    ends = [(float(bar.get("x1", 0)) + 3, float(bar.get("x2", 0)) - 3) for bar in bars]
    assert ends == [
        pytest.approx((places[0], places[2]), abs=0.02),
        pytest.approx((places[2], places[3]), abs=0.02),
    ]


def test_the_length_of_the_distance_is_in_units_of_the_axis():
    root = drawn()
    axis = [line for line in root.iter(f"{SVG}line") if line.get("class") == "axis"]
    lengths = [float(line.get("x2", 0)) - float(line.get("x1", 0)) for line in axis]
    whole, distance = sorted(length for length in lengths if length > 0)[::-1]
    assert distance / whole == pytest.approx(1.12 / 3, abs=0.005)


def test_what_is_left_out_is_named():
    scores = DEMSAR.copy()
    scores.loc["iris", "C4.5"] = np.nan
    assert diagram(scores).description().endswith("Left out, as a method is missing: iris.")


def test_all_different():
    scores = pd.DataFrame([[3.0, 2.0, 1.0]] * 30, columns=["<a>", "b", "c"])
    description = diagram(scores, alpha=0.05).description()
    assert "p < 0.001" in description
    assert description.endswith("All methods differ significantly.")
    assert "&lt;a&gt;" in diagram(scores).draw()


def test_one_block_draws_that_nothing_is_known():
    description = diagram(DEMSAR.head(1)).description()
    assert "No Friedman test: 1 of 1 blocks have all methods, 2 are needed." in description


def test_without_ranks_there_is_no_drawing():
    assert diagram(DEMSAR.head(0)).draw() == ""


@pytest.mark.parametrize("num_methods", [2, 3, 11])
def test_nothing_leaves_the_drawing(num_methods):
    scores = pd.DataFrame(np.random.default_rng(0).random((12, num_methods)))
    root = drawn(scores=scores.add_prefix("a_long_name_of_a_method_"))
    _, _, width, height = map(float, root.get("viewBox", "").split())
    for text in root.iter(f"{SVG}text"):
        length = 9.0 * len(text.text or "")
        x, anchor = float(text.get("x", 0)), text.get("text-anchor")
        left = x - {"start": 0, "middle": length / 2, "end": length}[anchor or "start"]
        assert left >= 0
        assert left + length <= width
        assert 0 < float(text.get("y", 0)) < height
