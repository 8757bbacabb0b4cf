"""Text tasks: files in GLUE's format, batches, heads, scores, the embedded world."""

from __future__ import annotations

import importlib
from collections import Counter

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from clbench import registry
from clbench.check.checks import first_batch, learn
from clbench.contract import InputError, Strategy
from clbench.matrix import Matrix, Row
from clbench.models.encoder import load_encoder
from clbench.pocket import reading
from clbench.pocket.views import nlu as view

Nlu = registry.load("scenario", "nlu")
glue, tasks, parts, data, judge, tiny, model = (
    importlib.import_module(f"clbench.scenarios.nlu.{name}")
    for name in ("glue", "tasks", "parts", "data", "judge", "tiny", "model")
)

ROWS = {
    "CoLA": ("", ["gj04\t1\t\tThey left.", 'ks08\t0\t*\tLeft "they.']),
    "SST-2": ("sentence\tlabel", ["good \t1", "a ` bad ' one\t0", "so  so\t0"]),
    "MRPC": (
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        ['1\t7\t8\t" He said so .\tHe said " so " .', "0\t1\t2\tA .\tB ."],
    ),
    "RTE": (
        "index\tsentence1\tsentence2\tlabel",
        ["0\tIt rains.\tIt is wet.\tentailment", "1\tA.\tB.\tnot_entailment"],
    ),
}


def lines(folder: str) -> list[str]:
    header, rows = ROWS[folder]
    return [header, *rows] if header else rows


@pytest.fixture
def root(tmp_path):
    for folder in ROWS:
        (tmp_path / folder).mkdir()
        for part, end in (("train", "\n"), ("dev", "\r\n")):
            content = end.join(lines(folder)) + end
            (tmp_path / folder / f"{part}.tsv").write_bytes(content.encode())
    return tmp_path


# --- files ---


def test_every_layout_is_read_without_quoting(root):
    found = {name: glue.read(name, root) for name in tasks.names_of("glue")}
    for texts in found.values():
        assert texts.train.fingerprint == texts.test.fingerprint
    assert found["cola"].train.first == ("They left.", 'Left "they.')
    assert found["cola"].train.labels.tolist() == [1, 0]
    assert found["sst2"].train.first == ("good", "a ` bad ' one", "so  so")
    assert found["sst2"].train.second is None
    mrpc = found["mrpc"].train
    assert (mrpc.first[0], mrpc.second[0]) == ('" He said so .', 'He said " so " .')
    assert found["rte"].train.labels.tolist() == [1, 0]
    assert found["rte"].train.second == ("It is wet.", "B.")


@pytest.mark.parametrize(
    ("folder", "change", "line"),
    [
        ("CoLA", lambda rows: [*rows, "gj04\t1\tThey."], ":3: 3 columns instead of 4"),
        ("CoLA", lambda rows: [rows[0], "", rows[1]], ":2: 1 columns instead of 4"),
        ("CoLA", lambda rows: ["x\tyes\t\tA.", *rows], ":1: label 'yes' is none of 0,"),
        ("SST-2", lambda rows: [*rows, "good\t2"], ":5: label '2' is none of 0, 1 or"),
        ("SST-2", lambda rows: [*rows, " \t1"], ":5: a text is empty"),
        ("SST-2", lambda rows: rows[1:], ":1: the columns are good , 1; expected are"),
        ("SST-2", lambda rows: rows[:1], "train.tsv: no rows in it"),
        ("MRPC", lambda rows: [*rows, "1\t2\t3\tA."], ":4: 4 columns instead of 5"),
        ("RTE", lambda rows: [*rows, "2\tA.\tB.\tneutral"], "label 'neutral' is none"),
    ],
)
def test_a_broken_row_is_named_with_file_and_line(root, folder, change, line):
    path = root / folder / "train.tsv"
    path.write_bytes("\n".join(change(lines(folder))).encode())
    name = {t.columns.folder: n for n, t in tasks.TASKS.items() if t.columns}[folder]
    with pytest.raises(InputError) as error:
        glue.read(name, root)
    assert str(path) in str(error.value)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_are_named(root):
    (root / "RTE" / "dev.tsv").unlink()
    with pytest.raises(InputError, match=r"dev\.tsv: cannot be read"):
        glue.read("rte", root)
    (root / "SST-2" / "dev.tsv").write_bytes(b"sentence\tlabel\n\xff\xfe\t1\n")
    with pytest.raises(InputError, match="not UTF-8"):
        glue.read("sst2", root)
    (root / "CoLA").rename(root / "cola")
    with pytest.raises(InputError, match=r"no folder 'CoLA' .*there is 'cola'"):
        glue.read("cola", root)


def test_real_files(shared):
    counts = {"cola": 1043, "sst2": 872, "mrpc": 408, "rte": 277}
    positive = {"cola": 721, "sst2": 444, "mrpc": 279, "rte": 146}
    for name, count in counts.items():
        texts = glue.read(name, shared / "data/glue")
        assert len(texts.test) == count
        assert int(texts.test.labels.sum()) == positive[name]
        assert len(texts.train) > 2000


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"tasks": ("ordr",)}, "unknown task 'ordr': the nearest is 'order'"),
        ({"tasks": ("cola",)}, "'cola' is of glue, which needs scenario.root=DIR"),
        ({"tasks": ("order", "order")}, "names 'order' twice"),
        ({"dataset": "glue"}, "scenario.dataset=glue needs scenario.root=DIR"),
        ({"root": "/nowhere/at/all"}, "scenario.root=/nowhere/at/all: there is no"),
    ],
)
def test_bad_settings_are_refused(given, line):
    with pytest.raises(InputError, match=line):
        Nlu(**given)


def test_tasks_of_another_dataset_are_refused(root):
    with pytest.raises(InputError, match="the nearest is 'sst2'"):
        Nlu(root=str(root), tasks=("sst",))
    with pytest.raises(InputError, match="'order' is of pocket"):
        Nlu(root=str(root), tasks=("order",))
    made = Nlu(root=str(root), tasks=("rte", "cola"))
    assert made.tasks == ("rte", "cola")
    assert Nlu(root=str(root)).tasks == ("cola", "sst2", "mrpc", "rte")


# --- what is learned ---


def test_validation_never_sees_what_judges():
    whole = Nlu.toy()
    held = Nlu.toy()
    held.judged_on = "validation"
    for name in whole.tasks:
        one, two = whole._texts[name], held._texts[name]
        rows = [*two.train.first, *two.test.first]
        assert Counter(rows) == Counter(one.train.first)
        assert len(two.test) == 2
        assert sorted(two.test.labels.tolist()) == [0, 1]
    assert whole.card().fingerprint != held.card().fingerprint


def test_batches_of_several_tasks_take_turns():
    toy = Nlu.toy()
    toy.arrival = "joint"
    (experience,) = toy.stream()
    assert experience.steps == toy.budget.steps
    batches = list(experience.train.batches(5, 8))
    seen = Counter()
    for indices in batches:
        batch = experience.train.__getitems__(indices)
        assert Counter(batch["task"].tolist()) == {0: 2, 1: 2, 2: 2}
        seen.update(indices)
    # 8 x 2 examples of each task of 12: one epoch, and a part of the next.
    assert len(seen) == 36
    assert set(seen.values()) == {1, 2}
    assert batches != list(experience.train.batches(6, 8))


def test_orders_and_arrivals():
    orders = {Nlu(order_seed=seed).tasks for seed in range(5)}
    assert len(orders) > 1
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(Nlu().tasks))}
    stream = Nlu.toy().stream()
    assert [e.tasks for e in stream] == [(n,) for n in tiny.TASKS]
    assert sum(e.steps for e in stream) == Nlu.toy().budget.steps


def test_padding_and_company_change_nothing():
    toy = Nlu.toy()
    toy.arrival = "joint"
    net = toy.model().eval()
    (experience,) = toy.stream()
    batch = experience.train.__getitems__(range(0, 36, 5))
    whole = net(batch)
    for row in range(len(whole)):
        alone = {name: values[row : row + 1] for name, values in batch.items()}
        assert_close(net(alone)[0], whole[row], rtol=0, atol=1e-5)
    longer = {
        name: torch.nn.functional.pad(v, (0, 7)) if v.dim() == 2 else v
        for name, v in batch.items()
    }
    assert_close(net(longer), whole, rtol=0, atol=1e-6)


def test_heads_of_other_tasks_are_left_alone():
    toy = Nlu.toy()
    net, batch = toy.model(), first_batch(toy)
    toy.loss(net(batch), batch).backward()
    for name, head in net.heads.items():
        grads = [p.grad is not None for p in head.parameters()]
        assert all(grads) if name == toy.tasks[0] else not any(grads)
    trained, _, _ = learn(Strategy(), toy, stream=toy.stream()[:1])
    other = toy.tasks[1]
    for one, two in zip(
        toy.model().heads[other].parameters(),
        trained.heads[other].parameters(),
        strict=True,
    ):
        assert torch.equal(one, two)


def test_tasks_may_have_more_answers_than_others():
    encoder = tiny.encoder()
    net = model.TextClassifier(encoder, {"two": 2, "three": 3}, dropout=0.0)
    given = encoder.tokenizer(["they are red.", "gladly."], padding=True)
    batch = {name: torch.tensor(values) for name, values in given.items()}
    logits = net({**batch, "task": torch.tensor([0, 1])}).detach()
    assert logits.shape == (2, 3)
    assert float(logits[0, 2]) == model.NEVER
    assert float(logits[1].min()) > model.NEVER


def test_layers_know_to_which_task_an_example_belongs():
    toy = Nlu.toy()
    net, batch = toy.model(), first_batch(toy)
    seen = []
    layer = net.encoder.encoder.layer[0].intermediate.dense
    layer.register_forward_hook(lambda *_: seen.append(net.route.task))
    net(batch)
    assert torch.equal(seen[0], batch["task"])
    assert net.route.task is None


def test_long_texts_are_cut_and_counted():
    encoder = tiny.encoder()
    part = parts.Part(
        ("red " * 9, "red cars."), ("blue " * 20, "two."), np.array([0, 1])
    )
    (made,) = parts.tokenize([part], encoder, 16)
    assert made.lengths.tolist() == [16, 8]
    assert made.cut == 1
    types = made.inputs["token_type_ids"]
    assert 0 < int(types[0].sum()) < 16
    assert made.inputs["input_ids"][1, 8:].tolist() == [0] * 8


# --- how it is judged ---


def test_a_result_has_glue_s_numbers():
    label = torch.tensor([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    guess = torch.tensor([1, 1, 1, 0, 0, 1, 0, 0, 0, 0])
    logits = torch.nn.functional.one_hot(guess).float() * 5
    cola = judge.result(logits, label, "acceptability").metrics
    assert cola["score"] == cola["matthews"] == pytest.approx(10 / np.sqrt(600))
    mrpc = judge.result(logits, label, "paraphrase").metrics
    assert mrpc["score"] == pytest.approx((2 / 3 + 0.7) / 2)
    assert set(judge.result(logits, label, "sentiment").metrics) == {
        "score",
        "accuracy",
        "calibration_error",
    }


def test_what_is_judged_is_in_its_own_order():
    toy = Nlu.toy()
    net = toy.model().eval()
    tokens = toy._tokens["paraphrase"][1]
    number = toy.tasks.index("paraphrase")
    batch = {**tokens.inputs, "task": torch.full((len(tokens),), number)}
    with torch.no_grad():
        wanted = net(batch)
    assert_close(judge.logits(net, tokens, number), wanted, rtol=0, atol=1e-5)


def row(step: int, order: float, manner: float, f1: float) -> Row:
    found = {
        "order": {"score": order, "matthews": order, "accuracy": 0.9},
        "manner": {"score": manner, "accuracy": manner},
        "paraphrase": {"score": (f1 + 0.5) / 2, "f1": f1, "accuracy": 0.5},
    }
    scores = {t: {**v, "calibration_error": 0.1} for t, v in found.items()}
    return Row(experience=step, step=step, boundary=True, scores=scores)


def test_scores_by_hand():
    rows = (
        row(0, 0.0, 0.5, 0.5),
        row(1, 0.8, 0.5, 0.5),
        row(2, 0.6, 0.9, 0.5),
        row(3, 0.2, 0.8, 0.7),
    )
    learned = {"order": 1, "manner": 2, "paraphrase": 3}
    matrix = Matrix(rows=rows, learned=learned)
    found = Nlu.scores(matrix, {})
    assert found["last"] == pytest.approx((0.2 + 0.8 + 0.6) / 3)
    assert found["forgetting"] == pytest.approx((0.6 + 0.1) / 2)
    assert found["backward_transfer"] == pytest.approx(-0.35)
    assert found["learned"] == pytest.approx((0.8 + 0.9 + 0.6) / 3)
    assert found["acceptability_matthews"] == 0.2
    assert found["sentiment_accuracy"] == 0.8
    assert (found["paraphrase_f1"], found["paraphrase_accuracy"]) == (0.7, 0.5)
    assert np.isnan(found["entailment_accuracy"])
    joint = Matrix(
        rows=(rows[0], row(1, 0.9, 0.9, 0.9)), learned=dict.fromkeys(learned, 1)
    )
    gaps = [0.9 - 0.8, 0.9 - 0.9, 0.7 - 0.6]
    assert Nlu.against(matrix, joint)["intransigence"] == pytest.approx(np.mean(gaps))
    assert Nlu.headline("order").title == "Matthews"


# --- encoders ---


def test_any_encoder_of_transformers_is_taken_from_a_folder(tmp_path):
    from transformers import AutoConfig, AutoModel

    own = tiny.encoder()
    config = AutoConfig.for_model(
        "roberta",
        vocab_size=len(own.tokenizer),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=40,
        type_vocab_size=2,
        pad_token_id=0,
    )
    AutoModel.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no tokenizer in that folder"):
        load_encoder(str(tmp_path))
    own.tokenizer.save_pretrained(tmp_path)
    found = load_encoder(str(tmp_path))
    assert (found.width, found.context) == (16, 40)
    assert found.model.pooler is None
    toy = Nlu(backbone=str(tmp_path), steps_per_task=2, batch_size=4)
    toy._read = tiny.texts
    toy._follow(tiny.TASKS)
    _, _, trace = learn(Strategy(), toy)
    assert len(trace.losses) == 6


def test_what_is_no_encoder_is_refused(tmp_path):
    from transformers import GPT2Config, GPT2Model

    with pytest.raises(InputError, match="neither a folder nor a model"):
        load_encoder("bertt")
    with pytest.raises(InputError, match=r"no config\.json in that folder"):
        load_encoder(str(tmp_path))
    small = GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=20, n_positions=16)
    GPT2Model(small).save_pretrained(tmp_path)
    tiny.encoder().tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="type 'gpt2' of transformers, no encoder"):
        load_encoder(str(tmp_path))


# --- the embedded world ---


def test_the_view_is_deterministic_and_its_parts_are_apart():
    for name in view.TASKS:
        train, test = (view.examples(name, part) for part in ("train", "test"))
        assert [len(train), len(test)] == [view.COUNTS["train"], view.COUNTS["test"]]
        both = {(e.first, e.second) for e in (*train, *test)}
        assert len(both) == len(train) + len(test)
        share_of_ones = np.mean([e.label for e in test])
        low, high = (0.55, 0.75) if name == "paraphrase" else (0.5, 0.5)
        assert low <= share_of_ones <= high
    again = view.examples.__wrapped__("manner", "train")
    assert again == view.examples("manner", "train")
    assert view.examples("manner", "train", seed=1) != again


def test_labels_of_the_view_are_exact():
    for part in ("train", "test"):
        for example in view.examples("order", part):
            assert reading.grammatical(example.first) == bool(example.label)
        for example in view.examples("manner", part):
            polite = reading.manners(example.first, "polite")
            rude = reading.manners(example.first, "rude")
            assert (polite > 0, rude > 0) == (example.label == 1, example.label == 0)
        for name in ("paraphrase", "entailment"):
            for example in view.examples(name, part):
                one, two = (
                    set(reading.statements(text))
                    for text in (example.first, example.second)
                )
                right = two <= one if name == "entailment" else two == one
                assert right == bool(example.label)


def test_a_wrong_pair_errs_in_one_fact():
    for name in ("paraphrase", "entailment"):
        swapped = total = 0
        for example in view.examples(name, "train"):
            one, two = (
                set(reading.statements(text))
                for text in (example.first, example.second)
            )
            assert len(two - one) == (not example.label)
            for _, fact, value in two - one:
                total += 1
                swapped += any((f, v) == (fact, value) for _, f, v in one)
        # Then the word is in the first text, and only what it is said of is wrong.
        assert 0.3 < swapped / total < 0.7


def test_what_follows_says_less_and_often_of_one_thing():
    pairs = view.examples("entailment", "train")
    told = [
        [reading.statements(text) for text in (e.first, e.second)]
        for e in pairs
        if e.label
    ]
    assert np.mean([len(two) < len(one) for one, two in told]) > 0.6
    kinds = [{kind for kind, *_ in two} for _, two in told]
    assert 0.4 < np.mean([len(known) == 1 for known in kinds]) < 0.6


def test_some_manners_are_new_to_who_has_learned():
    train, test = (view.examples("manner", part) for part in ("train", "test"))
    new = "i hope this helps."
    known = "please ask me more."
    assert any(known in e.first for e in train)
    held = view.CLOSINGS["polite"][-1]
    assert not any(held in e.first for e in train)
    assert any(held in e.first for e in test)
    assert any(new in e.first for e in train)
