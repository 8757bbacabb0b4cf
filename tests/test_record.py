"""Records: written whole, read only if they are what was written."""

from __future__ import annotations

import json
import math

import pytest

from clbench import migration
from clbench import record as records
from clbench.contract import InputError
from clbench.record import comparable, file, read, write


def test_what_is_written_is_read_again(make_record, tmp_path):
    made = make_record()
    write(made, tmp_path / "deep" / "a.json")
    found = read(tmp_path / "deep" / "a.json")
    assert comparable(found) == comparable(made)
    assert found.sha256 == records.digest(json.loads(found.model_dump_json()))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.json"]


def test_a_score_without_a_value_survives_as_nan(make_record, tmp_path):
    made = make_record()
    entry = made.rows[0].model_copy(update={"scores": {"a": {"accuracy": None}}})
    made = made.model_copy(update={"rows": [entry]})
    write(made, tmp_path / "a.json")
    (row,) = read(tmp_path / "a.json").matrix().rows
    assert math.isnan(row.scores["a"]["accuracy"])


def test_nan_is_never_written(make_record, tmp_path):
    made = make_record().model_copy(update={"log": {"loss": [(1, math.nan)]}})
    with pytest.raises(ValueError, match="JSON"):
        write(made, tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def edited(text: str) -> str:
    document = json.loads(text)
    scores = document["rows"][-1]["scores"]["photo"]
    scores["accuracy"] += 0.01
    return json.dumps(document)


def newer(text: str) -> str:
    return json.dumps({**json.loads(text), "schema_version": 99})


def misspelt(text: str) -> str:
    return signed({**json.loads(text), "sed": 1})


def infinite(text: str) -> str:
    document = json.loads(text)
    document["rows"][0]["scores"]["photo"]["accuracy"] = math.inf
    return signed(document).replace("Infinity", "1e999")


def signed(document: dict) -> str:
    """`document` under the hash that it has by now."""
    return json.dumps({**document, "sha256": records.digest(document)})


def one_digit(text: str) -> str:
    return text.replace('"accuracy": 0.5', '"accuracy": 0.6', 1)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (edited, "its content is not what was written"),
        (one_digit, "its content is not what was written"),
        (lambda text: text[: len(text) // 2], "not a record"),
        (newer, "schema 99 is not known here, only up to 3: install a newer clbench"),
        (misspelt, "damaged at 'sed'"),
        (infinite, r"damaged at 'rows.0.scores.photo.accuracy' \(.*finite number"),
        (lambda text: text.replace("0.5", "NaN"), "NaN is no number"),
        (lambda text: "[]", "no schema_version"),
    ],
)
def test_a_record_that_was_touched_is_refused(make_record, tmp_path, change, line):
    path = tmp_path / "a.json"
    write(make_record(), path)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=line):
        read(path)


def test_times_and_machines_do_not_make_runs_differ(make_record):
    one, other = make_record(seconds=1.0), make_record(seconds=2.0)
    assert comparable(one) == comparable(other)
    assert comparable(one) != comparable(make_record(accuracy=0.4))
    assert comparable(one) != comparable(make_record(seed=1))


def test_a_failed_write_leaves_the_old_file(make_record, tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write(make_record(), path)
    before = path.read_text()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(make_record(seed=1), path)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


# --- older schemas ---


def test_every_older_schema_has_a_way_to_this_one():
    assert sorted(migration.MIGRATIONS) == list(range(1, records.SCHEMA))


def test_a_record_of_the_first_schema_is_read_and_stays_as_it_is(make_record, tmp_path):
    path = tmp_path / "a.json"
    made = json.loads(make_record().model_dump_json())
    del made["budget"]["models"], made["environment"]["processor"]
    path.write_text(signed({**made, "schema_version": 1}))
    before = path.read_bytes()
    found = read(path)
    assert (found.schema_version, found.budget["models"]) == (3, 1)
    assert found.environment.processor is None
    assert comparable(found) == comparable(make_record())
    assert path.read_bytes() == before


def test_migrations_follow_one_another(make_record, tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text(signed({**json.loads(make_record().model_dump_json())}))
    seen = []

    def rename(document):
        seen.append(document["schema_version"])
        document["seed"] += 10
        return document

    monkeypatch.setattr(file, "SCHEMA", 5)
    monkeypatch.setattr(migration, "MIGRATIONS", {3: rename, 4: rename})
    found = read(path)
    assert (found.seed, found.schema_version, seen) == (20, 5, [3, 4])


def test_the_hash_is_that_of_the_file_not_of_what_was_made_of_it(make_record, tmp_path):
    path = tmp_path / "a.json"
    made = json.loads(make_record().model_dump_json())
    text = signed({**made, "schema_version": 1})
    path.write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(InputError, match="its content is not what was written"):
        read(path)


def test_a_schema_without_a_way_is_one_clear_line(make_record, tmp_path):
    path = tmp_path / "a.json"
    made = json.loads(make_record().model_dump_json())
    path.write_text(signed({**made, "schema_version": 0}))
    with pytest.raises(InputError, match="schema 0 is older than any"):
        read(path)
