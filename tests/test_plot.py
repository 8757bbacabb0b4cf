"""Pictures of records: what is drawn, in both formats, through the command line."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from clbench import growth, panels, plot
from clbench.record import read, write


@pytest.fixture
def codyra(make_record):
    """A record whose strategy logged ranks of two towers."""
    made = make_record(strategy="codyra")
    log = {
        f"rank/{tower}.encoder.layers.{block}.self_attn.{role}_proj.{role}": [
            (10, 4.0 + block),
            (20, 6.0 + block),
        ]
        for tower in ("vision_model", "text_model")
        for block in (0, 1)
        for role in ("q", "v")
    }
    return made.model_copy(update={"log": log})


def test_the_matrix_is_drawn_whole(make_record):
    record = make_record(accuracy=0.25)
    (axes,) = plot.figures(record)["matrix"].axes
    values = 100 * record.matrix().array("accuracy")
    np.testing.assert_allclose(100 * axes.images[0].get_array(), values)
    assert [t.get_text() for t in axes.get_xticklabels()] == list(record.matrix().tasks)
    assert axes.get_yticklabels()[0].get_text() == "start"
    assert {t.get_text() for t in axes.texts} == {f"{v:.0f}" for v in values.flat}


def test_the_stream_has_a_line_for_each_task(make_record):
    record = make_record()
    (axes,) = plot.figures(record)["stream"].axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == list(record.matrix().tasks)


def test_growth_is_drawn_over_steps(make_record):
    made = make_record()
    assert "growth" not in plot.figures(made)
    log = {
        "growth/blocks.0.fc1.fc1": [(0, 1.0), (40, 2.0)],
        "growth/blocks.0.attn.q.q": [(0, 1.0), (90, 3.0)],
        "growth/blocks.1.fc1.fc1": [(0, 1.0), (40, 2.0), (90, 4.0)],
        "loss": [(3, 0.5)],
    }
    found = growth.Growth.of(log)
    assert found.steps.tolist() == [0, 40, 90]
    assert [m.removeprefix("blocks.") for m in found.maps] == [
        "0.fc1.fc1",
        "1.fc1.fc1",
        "0.attn.q.q",
    ]
    assert found.ranks.tolist() == [[1, 2, 2], [1, 2, 4], [1, 1, 3]]
    assert found.total.tolist() == [3, 5, 9]
    figure = plot.figures(made.model_copy(update={"log": log}))["growth"]
    top, axes = figure.axes[:2]
    (steps,) = top.patches
    values, edges, _ = steps.get_data()
    assert (values.tolist(), edges.tolist()) == ([3, 5, 9], [0, 40, 90, 300])
    np.testing.assert_array_equal(axes.collections[0].get_array(), found.ranks)
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["fc1 blocks.0", "fc1 blocks.1", "q blocks.0"]


def test_ranks_are_means_over_experiences_by_tower(codyra, make_record):
    assert "ranks" not in plot.figures(make_record())
    found = plot.ranks_of(codyra)
    assert set(found) == {"vision_model.encoder.layers", "text_model.encoder.layers"}
    assert found["vision_model.encoder.layers"] == {
        ("q", 0): 5.0,
        ("v", 0): 5.0,
        ("q", 1): 6.0,
        ("v", 1): 6.0,
    }
    assert len(plot.figures(codyra)["ranks"].axes) == 2


def test_pictures_through_the_command_line(forked, tmp_path, codyra):
    path = tmp_path / "codyra--1.json"
    write(codyra, path)
    assert read(path).log
    done = forked("plot", str(path), "--out", "pictures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = sorted(p.name for p in (tmp_path / "pictures").iterdir())
    assert names == [
        f"codyra--1.{kind}.{form}"
        for kind in ("matrix", "measures", "ranks", "stream")
        for form in ("png", "svg")
    ]
    for name in names:
        content = (tmp_path / "pictures" / name).read_bytes()
        if name.endswith("png"):
            assert content.startswith(b"\x89PNG")
        else:
            assert ET.fromstring(content).tag.endswith("svg")


def test_a_record_without_rows_is_bad_input(forked, tmp_path, make_record):
    path = tmp_path / "zeroshot--1.json"
    record = make_record(status="unsupported", reason="no head")
    write(record.model_copy(update={"rows": []}), path)
    done = forked("plot", str(path), cwd=tmp_path)
    assert done.returncode == 2
    assert "nothing to draw, the cell is unsupported" in done.stderr


def test_every_further_number_has_a_panel(make_record):
    record = make_record()
    figure = plot.figures(record)["measures"]
    (axes,) = figure.axes
    assert axes.get_title() == "holdout"
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 2]
    assert len(lines) == len(record.matrix().tasks)
    np.testing.assert_allclose(lines[0].get_ydata(), [0.25, 0.5])


def test_outcomes_are_drawn_before_and_after(tmp_path, make_record):
    record = make_record()
    rng = np.random.default_rng(0)
    rows = [
        {
            task: {
                "margin": rng.normal(shift, 1, 50).astype(np.float16),
                "label": np.zeros(50, dtype=np.uint8),
            }
            for task in record.matrix().tasks
        }
        for shift in (0, 2)
    ]
    assert panels.real(rows) == ["margin"]
    figure = panels.distributions(rows, "margin", record.matrix(), "title")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == list(record.matrix().tasks)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    means = [float(row["photo"]["margin"].astype(float).mean()) for row in rows]
    assert labels == [
        f"{stage} (mean {mean:.3g})"
        for stage, mean in zip(("before", "at the end"), means, strict=True)
    ]
    drawn = plot.write_plots(record, tmp_path / "cell", None, rows)
    assert tmp_path / "cell.outcomes-margin.png" in drawn
    assert panels.real([]) == []
