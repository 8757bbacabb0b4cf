"""Definitions under their names: golden numbers, published tables, the conformance
table, and what `clbench explain` says."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from clbench.cli import explaining
from clbench.contract import InputError
from clbench.metrics import conformance, variants
from clbench.metrics import continual as cl
from clbench.metrics.definitions import DEFINITIONS, families

BY_NAME = {entry.name: entry for entry in DEFINITIONS}

GOLDEN = {
    "average_accuracy": "average_accuracy_final",
    "anytime_average_accuracy": "anytime_average_accuracy",
    "mtil_average": "mtil_average",
    "average_seen_only": "mtil_average_seen_only",
    "accuracy_lower_triangle": "accuracy_A_diazrodriguez",
    "forgetting_chaudhry": "forgetting_chaudhry",
    "forgetting_from_own_time": "forgetting_from_own_time",
    "forgetting_first_value": "forgetting_avalanche",
    "forgetting_including_final": "forgetting_incl_final",
    "forgetting_next_column": "forgetting_incl_final_and_zero_shot_next_column",
    "backward_transfer": "bwt_lopezpaz",
    "backward_transfer_over_T": "bwt_gem_code_divides_by_T",
    "backward_transfer_all_pairs": "bwt_diazrodriguez",
    "backward_transfer_negative_over_T": "bwt_min0_trace_divides_by_T",
    "forward_transfer": "fwt_lopezpaz",
    "forward_transfer_over_T": "fwt_gem_code_divides_by_T",
    "forward_transfer_no_baseline": "fwt_continuum_no_baseline",
    "forward_transfer_upper_triangle": "fwt_diazrodriguez",
    "mtil_transfer": "mtil_transfer",
    "transfer_pooled": "mtil_transfer_pooled_entries",
    "learning_accuracy": "plasticity",
    "intransigence": "intransigence",
    "stability": "stability_old_task_mean",
    "stability_relative": "stability_one_minus_relative_forgetting",
    "stability_plasticity": "harmonic_mean_stability_plasticity",
}

PUBLISHED = {
    "continual_ft": (44.6, 55.9, 77.3),
    "lwf": (56.9, 64.7, 74.6),
    "icarl": (50.4, 65.7, 80.1),
    "lwf_vr": (57.2, 65.1, 76.6),
    "wise_ft": (52.3, 60.7, 77.7),
    "zscl_star": (62.2, 72.6, 84.5),
    "zscl": (68.1, 75.4, 83.6),
}
"""Transfer, Average and Last of MTIL, order I, as printed in ZSCL's table."""


def test_definitions_are_the_golden_ones(shared):
    gold = np.load(shared / "golden/cl_metrics/accuracy_matrix_and_metrics.npz")
    for name, key in GOLDEN.items():
        value = BY_NAME[name].value(
            gold["R"], gold["baseline"], gold["joint_reference"]
        )
        assert_allclose(value, gold[key], rtol=1e-9, atol=1e-12, err_msg=name)
    zero = gold["R_with_true_zero"]
    found = variants.transfer_without_zeros(zero)
    assert_allclose(found, gold["transfer_true_zero_masked_equal_quirk"])
    assert_allclose(cl.mtil_transfer(zero), gold["transfer_true_zero_correct"])


def test_the_published_table_of_mtil_to_the_printed_digit(shared):
    gold = np.load(shared / "golden/mtil/order1.npz")
    assert set(PUBLISHED) == set(gold.files)
    for method, (transfer, average, last) in PUBLISHED.items():
        R = gold[method]
        assert round(cl.mtil_transfer(R), 1) == transfer, method
        assert round(cl.mtil_average(R), 1) == average, method
        assert round(cl.mtil_last(R), 1) == last, method


def test_five_code_bases_differ_on_a_published_matrix(shared):
    matrix = f"{shared}/golden/mtil/order1.npz:icarl"
    given = explaining.read(matrix)
    names = (
        "forgetting_chaudhry",
        "forgetting_first_value",
        "forgetting_off_by_one",
    )
    values = [BY_NAME[name].value(given.R) for name in names]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(7.85, abs=0.005)
    assert values[0] - values[-1] > 0.5


# --- the conformance table ---


@pytest.mark.parametrize("example", conformance.examples(), ids=lambda e: e.name)
def test_definitions_conform(example):
    assert set(example.expected) == set(BY_NAME)
    for name, expected in example.expected.items():
        with np.errstate(invalid="ignore", divide="ignore"):
            value = BY_NAME[name].value(example.R, example.baseline, example.joint)
        value = value if math.isfinite(value) else math.nan
        assert_allclose(value, expected, atol=1e-11, err_msg=name)


def test_one_matrix_by_hand():
    """R of the first example; every number worked out on paper."""
    expected = conformance.examples()[0].expected
    assert expected["forgetting_chaudhry"] == pytest.approx((0.30 + 0.18 - 0.03) / 3)
    assert expected["forgetting_from_own_time"] == pytest.approx(
        (0.3 + 0.12 - 0.03) / 3
    )
    assert expected["forgetting_first_value"] == pytest.approx((0.25 + 0.1 - 0.03) / 3)
    assert expected["forgetting_including_final"] == pytest.approx((0.3 + 0.12) / 3)
    assert expected["forgetting_next_column"] == pytest.approx((0.3 + 0.18) / 3)
    assert expected["forgetting_off_by_one"] == pytest.approx((0.25 + 0.1) / 3)
    assert expected["backward_transfer_over_T"] == pytest.approx(-0.32 / 4)
    transfer = (0.88 + (0.7 + 0.1) / 2 + (0.2 + 0.1 + 0.3) / 3) / 3
    assert expected["mtil_transfer"] == pytest.approx(transfer)


def test_forgettings_differ_on_one_matrix_and_order_methods_differently():
    example = conformance.examples()[0]
    values = [v for k, v in example.expected.items() if k.startswith("forgetting")]
    assert len({round(value, 6) for value in values}) == 6
    rng = np.random.default_rng(0)
    kinds = [e for e in DEFINITIONS if e.family == "forgetting"]
    disagree = 0
    for _ in range(500):
        one, other = rng.uniform(0.3, 1, (2, 5, 5))
        signs = {np.sign(e.value(one) - e.value(other)) for e in kinds}
        disagree += len(signs) > 1
    assert disagree > 20


def test_undefined_is_nan_and_has_a_reason():
    one = conformance.examples()[1]
    assert one.R.shape == (1, 1)
    for name, value in one.expected.items():
        assert math.isnan(value) == bool(BY_NAME[name].undefined) or (
            name == "intransigence"
        ), name


# --- the command line ---


def clbench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "clbench", *words], capture_output=True, text=True
    )


def test_conformance_is_printed_as_json():
    done = clbench("conformance")
    assert json.loads(done.stdout) == json.loads(conformance.text())


def test_explain_says_what_it_is_and_who_differs():
    text = clbench("explain", "forgetting").stdout
    for word in ("Chaudhry", "max_{i<T} R[i, j]", "LibContinual", "Avalanche"):
        assert word in text
    overview = clbench("explain").stdout
    assert all(family in overview for family in families())


def test_explain_knows_numbers_of_preference_pairs():
    text = "\n".join(str(part) for part in explaining.explain("margin_per_token", None))
    assert "r(y_w) / |y_w| - r(y_l) / |y_l|" in text
    assert "SimPO" in text
    with pytest.raises(InputError, match=r"kl is computed from pairs, not from a\.csv"):
        list(explaining.explain("kl", "a.csv"))


def test_explain_computes_on_a_record_and_on_rows_of_numbers(tmp_path):
    path = tmp_path / "matrix.csv"
    path.write_text("0.9,0.2\n0.5,0.8\n")
    text = clbench("explain", "forgetting_first_value", str(path)).stdout
    (line,) = [x for x in text.splitlines() if x.startswith("forgetting_first_value ")]
    assert line.split()[1] == "0.4"


@pytest.mark.parametrize(
    ("name", "matrix", "error"),
    [
        ("forgeting", None, "unknown metric 'forgeting': the nearest is 'forgetting'"),
        ("forgetting", "nowhere.csv", "nowhere.csv: there is no such file"),
        ("forgetting", "wide.csv", "has shape \\(1, 3\\)"),
        ("forgetting", "text.csv", "neither a record, nor"),
        ("forgetting", "some.npz:b", "holds no array 'b'"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, monkeypatch, name, matrix, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wide.csv").write_text("1,2,3\n")
    (tmp_path / "text.csv").write_text("a,b\n")
    np.savez(tmp_path / "some.npz", a=np.eye(2))
    with pytest.raises(InputError, match=error):
        list(explaining.explain(name, matrix))
