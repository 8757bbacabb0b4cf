"""Figures that papers report: where they belong, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from clbench.board import reported, write_boards
from clbench.board.reported import CERTAINTY, page, read, reported_for
from clbench.contract import InputError
from clbench.record import write

FOLDER = Path(__file__).resolve().parents[1] / "leaderboards" / "reported"

TABLE = {
    "title": "PACS",
    "scenario": "dg",
    "when": {"dataset": "pacs", "backbone": ["a", "b"]},
    "source": "a paper, table 1",
    "url": None,
    "certainty": "paper",
    "protocol": "three trials",
    "figures": [
        {"label": "ERM", "scores": {"target_accuracy": 85.5}, "note": "theirs"}
    ],
}


@pytest.fixture
def folder(tmp_path):
    """A folder with one table; calling it writes the table changed."""

    def put(**changes) -> Path:
        place = tmp_path / "reported"
        place.mkdir(exist_ok=True)
        (place / "a.yaml").write_text(yaml.safe_dump({**TABLE, **changes}))
        return place

    return put


def labels(scenario: str, **settings) -> list[str]:
    return [f["label"] for f in reported_for(scenario, settings, FOLDER)]


def test_a_board_gets_the_figures_of_its_data():
    assert "ZSCL" in labels("clip", dataset="mtil")
    assert labels("clip", dataset="mtil") == labels("clip", dataset="mtil", order="I")
    assert labels("clip", dataset="mtil", order="II") != labels("clip", dataset="mtil")
    assert "MoRAM" in labels("clip", dataset="xtail")
    assert "MTLoRA rank 64" in labels("mtl", dataset="pascal")


@pytest.mark.parametrize("scenario", ["clip", "dg", "dpo", "mtl", "nlu"])
def test_a_board_of_the_embedded_world_gets_none(scenario):
    assert labels(scenario) == []


def test_other_data_and_orders_get_none():
    assert labels("clip", dataset="mtil", order="mnist,food") == []
    assert labels("clip", dataset="folder") == []
    assert labels("mtl", dataset="voc_parts") == []


def test_the_figures_are_those_of_the_sources():
    (found,) = (
        f
        for f in reported_for("clip", {"dataset": "mtil"}, FOLDER)
        if f["label"] == "ZSCL"
    )
    assert found["scores"] == {
        "transfer": 68.1,
        "average": 75.4,
        "last": 83.6,
        "forgetting": 3.85,
        "learning_accuracy": 87.12,
    }
    assert found["certainty"] == CERTAINTY["code"]
    assert "ViT-B/16" in found["protocol"]
    assert list(found) == [
        *("label", "scores", "source", "protocol", "certainty", "url"),
    ]


def test_mtlora_gains_what_its_own_figures_say():
    """Δm by its formula from the figures of each row, where both were reported."""
    pascal = reported_for("mtl", {"dataset": "pascal"}, FOLDER)
    single = pascal[0]["scores"]
    signs = {"semseg_miou": 1, "human_parts_miou": 1, "sal_miou": 1, "normals_mean": -1}
    for figure in pascal:
        scores = figure["scores"]
        if len(scores) < 5 or figure["label"] == "full fine-tuning":
            continue
        gains = [s * (scores[k] - single[k]) / single[k] for k, s in signs.items()]
        assert 100 * sum(gains) / 4 == pytest.approx(scores["delta_m"], abs=0.03)


def test_nothing_is_shown_that_is_not_sure_enough():
    every = {f.label for table in read(FOLDER) for f in table.figures}
    full = {f["label"] for f in reported_for("clip", {"dataset": "mtil"}, FOLDER)}
    assert "MoE-Adapters" in every
    # Those on MTIL with all images are unverified.
    assert "MoE-Adapters" not in full
    assert not any(table.scenario == "dg" for table in read(FOLDER))


def test_a_figure_carries_its_note(folder):
    settings = {"dataset": "pacs", "backbone": "b"}
    (figure,) = reported_for("dg", settings, folder())
    assert figure["protocol"] == "three trials; theirs"
    assert reported_for("dg", {**settings, "backbone": "c"}, folder()) == []
    assert reported_for("clip", settings, folder()) == []
    assert reported_for("dg", settings, folder() / "nothing") == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"certainty": "unverified"}, "a.yaml: certainty: Input should be"),
        ({"sorce": "x"}, "a.yaml: sorce: Extra inputs"),
        ({"source": ""}, "a.yaml: source: "),
        ({"when": {}}, "a.yaml: when: "),
        ({"when": {"datset": "x"}}, r"when\.datset is no parameter of dg: .*'dataset'"),
        ({"scenario": "gd"}, "a.yaml: unknown scenario 'gd'"),
        ({"figures": []}, "a.yaml: figures: "),
        (
            {"figures": [{"label": "x", "scores": {"acuracy": 1.0}}]},
            r"figures\.0\.scores\.acuracy is no score of dg: the nearest is",
        ),
        (
            {"figures": [{"label": "x", "scores": {"last": float("nan")}}]},
            r"a\.yaml: figures\.0\.scores\.last: .*finite",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(folder, changes, line):
    with pytest.raises(InputError, match=line):
        read(folder(**changes))


def test_what_is_no_yaml_is_one_line(tmp_path):
    (tmp_path / "a.yaml").write_text("title: [")
    with pytest.raises(InputError, match=r"a\.yaml: no file of reported figures"):
        read(tmp_path)
    (tmp_path / "a.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match=r"a\.yaml: the document: "):
        read(tmp_path)


def test_figures_are_written_with_the_boards(tmp_path, make_record, folder):
    out = tmp_path
    for target in ("photo", "cartoon", "sketch", "painting"):
        write(make_record(target=target), out / "dg" / "records" / f"{target}.json")
    write_boards(tmp_path / "none", out)
    before = (out / "dg.json").read_bytes(), (out / "dg.md").read_bytes()
    folder()
    *_, path = write_boards(tmp_path / "none", out)
    assert path == out / "reported.md"
    assert "| ERM | 85.5 | theirs |" in path.read_text()
    # Theirs are other data: the board stays what it was.
    assert ((out / "dg.json").read_bytes(), (out / "dg.md").read_bytes()) == before
    folder(when={"dataset": "pocket"})
    write_boards(tmp_path / "none", out)
    (board,) = json.loads((out / "dg.json").read_text())["boards"]
    (figure,) = board["reported"]
    assert (figure["label"], figure["scores"]) == ("ERM", {"target_accuracy": 85.5})
    assert [row["label"] for row in board["rows"]] == ["lora"]
    text = (out / "dg.md").read_text()
    assert "Reported on these data, not run here and not ranked:" in text
    assert "| ERM | 85.5 | a paper, table 1 (" in text


def test_the_committed_page_is_that_of_the_files():
    assert (FOLDER.parent / "reported.md").read_text() == page(FOLDER)
    assert FOLDER.relative_to(FOLDER.parents[1]) == reported.FOLDER
