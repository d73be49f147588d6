import numpy as np
import pandas as pd

from results.laws import points


def test_points_are_sorted_and_configurations_numbered_by_x() -> None:
    made = points.points(np.array([9.0, 1, 4, 1]), np.array([0.1, 0.4, 0.2, 0.3]), list("zbyb"))
    np.testing.assert_array_equal(made.x, [[1, 1, 4, 9]])
    np.testing.assert_allclose(np.exp(made.log_error), [0.3, 0.4, 0.2, 0.1])
    np.testing.assert_array_equal(made.cluster, [0, 0, 1, 2])
    np.testing.assert_array_equal(made.centres, [1, 4, 9])


def test_two_configurations_at_one_x_are_one_scale() -> None:
    made = points.points(np.array([1.0, 1.005, 4]), np.full(3, 0.5), [0, 1, 2])
    assert (len(made.centres), made.num_scales) == (3, 2)


def test_errors_are_of_finished_runs_with_the_metric() -> None:
    runs = pd.DataFrame(
        {
            "state": ["done", "failed", None, "done"],
            "top1_accuracy": [0.75, 0.1, 0.5, None],
            "loss": [2.0, 9.0, 3.0, 1.0],
        }
    )
    for metric, wanted in (("top1_accuracy", [0.25, 0.5]), ("loss", [2.0, 3.0, 1.0])):
        kept, error = points.errors_of(runs, metric)
        np.testing.assert_array_equal(error, wanted)
        assert len(kept) == len(wanted)


def test_groups_come_in_the_order_of_families_with_their_rows() -> None:
    runs = pd.DataFrame({"family": ["bit", "vit", "bit"], "n": [1, 2, 3]}, index=[0, 0, 0])
    made = {name: list(group["n"]) for name, group in points.groups(runs, ["family"])}
    assert list(made.items()) == [("vit", [2]), ("bit", [1, 3])]


def test_pairs_of_columns_are_sorted_by_scale_and_counted_once() -> None:
    n, d = np.array([2.0, 1, 2, 1]), np.array([8.0, 4, 8, 2])
    made = points.points([n, d], np.array([0.1, 0.3, 0.2, 0.4]), list("abac"), scale=n * d)
    np.testing.assert_array_equal(made.x, [[1, 1, 2, 2], [2, 4, 8, 8]])
    np.testing.assert_array_equal(made.cluster, [0, 1, 2, 2])
    assert (made.num_scales, made.centres.tolist()) == (3, [2.0, 4.0, 16.0])


def test_a_part_of_the_points_has_configurations_from_0() -> None:
    made = points.points(np.array([1.0, 2, 3]), np.full(3, 0.5), [0, 1, 2])
    part = made.where(made.scale > 1)
    np.testing.assert_array_equal(part.cluster, [0, 1])
    np.testing.assert_array_equal(part.x, [[2, 3]])
