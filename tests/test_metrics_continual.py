"""Every definition against golden numbers, own small vectors and identities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from clbench.metrics import continual as cl

R = np.array([[0.8, 0.3, 0.1], [0.6, 0.9, 0.2], [0.7, 0.5, 0.6]])
B = np.array([0.1, 0.2, 0.1])


def test_small_matrix_by_hand():
    assert_allclose(cl.average_accuracy(R), 0.6)
    assert_allclose(cl.average_accuracy_curve(R), [0.8, 0.75, 0.6])
    assert_allclose(cl.learning_accuracy(R), (0.8 + 0.9 + 0.6) / 3)
    assert_allclose(cl.forgetting_per_task(R), [0.1, 0.4])
    assert_allclose(cl.forgetting_chaudhry(R), 0.25)
    assert_allclose(cl.backward_transfer(R), (-0.1 - 0.4) / 2)
    assert_allclose(cl.forward_transfer(R, B), ((0.3 - 0.2) + (0.2 - 0.1)) / 2)
    assert_allclose(cl.mtil_transfer(R), (0.3 + (0.1 + 0.2) / 2) / 2)
    assert_allclose(cl.stability(R), 0.6)
    assert_allclose(cl.forgetting_including_final(R), 0.25)


def test_several_tasks_may_share_an_experience():
    learned = [1, 1, 2]
    matrix = np.array([[0.8, 0.7, 0.1], [0.6, 0.9, 0.5]])
    assert_allclose(cl.forgetting_chaudhry(matrix, learned), (0.2 - 0.2) / 2)
    assert_allclose(cl.backward_transfer(matrix, learned), (-0.2 + 0.2) / 2)
    assert_allclose(cl.learning_accuracy(matrix, learned), (0.8 + 0.7 + 0.5) / 3)


@pytest.mark.parametrize(
    "metric",
    [
        cl.forgetting_chaudhry,
        cl.forgetting_from_own_time,
        cl.forgetting_including_final,
        cl.backward_transfer,
        lambda R: cl.forward_transfer(R, np.zeros(1)),
        cl.mtil_transfer,
    ],
)
def test_one_experience_has_no_forgetting_and_no_transfer(metric):
    assert math.isnan(metric(np.array([[0.9]])))


def test_identities():
    rng = np.random.default_rng(0)
    for _ in range(50):
        T = int(rng.integers(2, 7))
        matrix = rng.random((T, T))
        bwt = cl.backward_transfer(matrix)
        last, learning = cl.average_accuracy(matrix), cl.learning_accuracy(matrix)
        assert_allclose(last, learning + (T - 1) / T * bwt)
        assert cl.forgetting_chaudhry(matrix) >= -bwt - 1e-12
        assert cl.forgetting_including_final(matrix) >= 0
        # The diagonal is each column's maximum: forgetting is minus backward transfer.
        np.fill_diagonal(matrix, 1.0)
        assert_allclose(
            cl.forgetting_from_own_time(matrix), -cl.backward_transfer(matrix)
        )


def test_golden_numbers(shared):
    gold = np.load(shared / "golden/cl_metrics/accuracy_matrix_and_metrics.npz")
    R, b = gold["R"], gold["baseline"]
    n, joint = gold["n_test"], gold["joint_reference"]
    expected = {
        "average_accuracy_final": cl.average_accuracy(R),
        "average_accuracy_curve": cl.average_accuracy_curve(R),
        "anytime_average_accuracy": cl.anytime_average_accuracy(R),
        "sample_weighted_accuracy_curve": cl.sample_weighted_accuracy_curve(R, n),
        "learning_accuracy": cl.learning_accuracy(R),
        "forgetting_chaudhry": cl.forgetting_chaudhry(R),
        "forgetting_chaudhry_per_task": cl.forgetting_per_task(R),
        "forgetting_from_own_time": cl.forgetting_from_own_time(R),
        "forgetting_avalanche": cl.forgetting_first_value(R),
        "forgetting_incl_final": cl.forgetting_including_final(R),
        "bwt_lopezpaz": cl.backward_transfer(R),
        "bwt_diazrodriguez": cl.backward_transfer_all_pairs(R),
        "fwt_lopezpaz": cl.forward_transfer(R, b),
        "fwt_diazrodriguez": cl.forward_transfer_upper_triangle(R),
        "accuracy_A_diazrodriguez": cl.accuracy_lower_triangle(R),
        "intransigence": cl.intransigence(R, joint),
        "stability_old_task_mean": cl.stability(R),
        "harmonic_mean_stability_plasticity": cl.stability_plasticity(R),
        "mtil_transfer": cl.mtil_transfer(R),
        "mtil_average": cl.mtil_average(R),
        "mtil_last": cl.mtil_last(R),
    }
    for name, value in expected.items():
        assert_allclose(value, gold[name], rtol=1e-9, atol=1e-12, err_msg=name)
