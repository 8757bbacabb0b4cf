"""The CLIP stream's model, losses and judge."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from clbench import registry
from clbench.check.checks import first_batch
from clbench.contract import InputError
from clbench.lowrank import inject
from clbench.models.clip import load_clip
from clbench.models.effective import effective_hash
from clbench.problem import view

Clip = registry.load("scenario", "clip")
losses = importlib.import_module("clbench.scenarios.clip.losses")
judge = importlib.import_module("clbench.scenarios.clip.judge")
tiny = importlib.import_module("clbench.scenarios.clip.tiny")
NEVER = importlib.import_module("clbench.scenarios.clip.model").NEVER


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path / "cache"))


def unit(*shape, seed=0):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()
    return nn.functional.normalize(x, dim=-1)


# --- losses ---


@pytest.mark.parametrize("prefix", ["seen0_", "seen3_"])
def test_losses_are_the_golden_ones(shared, prefix):
    gold = np.load(shared / "golden/codyra/clip_losses.npz")

    def given(name):
        return torch.tensor(gold[prefix + name])

    image = given("image_features").requires_grad_()
    text = given("text_current").requires_grad_()
    v, t = (nn.functional.normalize(x, dim=-1) for x in (image, text))
    scale, target = float(given("logit_scale")), given("labels_local")
    rows = len(given("text_seen")) + len(text)
    one = losses.image_loss(scale * v @ t.T, target)
    two = losses.text_loss(v, t, target, scale, rows)
    balanced = losses.text_loss(v, t, target, scale, rows, balanced=True)
    assert_close(one, given("ce_image"), rtol=1e-12, atol=0)
    assert_close(two, given("ce_text_released"), rtol=1e-12, atol=0)
    expected = given("ce_text_row_balanced_alternative")
    assert_close(balanced, expected, rtol=1e-12, atol=0)
    (one + two).backward()
    assert_close(image.grad, given("grad_image_features"), rtol=1e-9, atol=1e-12)
    assert_close(text.grad, given("grad_text_current"), rtol=1e-9, atol=1e-12)


def test_classes_that_are_masked_have_no_part_in_the_loss():
    logits, target = 5 * torch.randn(6, 3).double(), torch.tensor([0, 1, 2, 0, 1, 2])
    for smoothing in (0.0, 0.2):
        alone = losses.image_loss(logits, target, smoothing)
        expected = nn.functional.cross_entropy(
            logits, target, label_smoothing=smoothing
        )
        assert_close(alone, expected)
        masked = torch.cat([torch.full((6, 4), NEVER).double(), logits], dim=1)
        assert_close(losses.image_loss(masked, target + 4, smoothing), alone)


def test_the_text_loss_by_hand():
    image, text = unit(2, 3), unit(3, 3, seed=1)
    target = torch.tensor([0, 2])
    log_p = (10 * text @ image.T).log_softmax(-1)
    expected = -(log_p[0, 0] + log_p[2, 1]) / 7
    assert_close(losses.text_loss(image, text, target, 10.0, rows=7), expected)


# --- the model ---


def test_own_labels_compare_with_the_task_s_classes_and_union_with_all_present():
    toy = Clip.toy()
    batch = {
        "image": torch.zeros(2, 16, 16, 3, dtype=torch.uint8),
        "label": torch.tensor([1, 5]),
        "task": torch.tensor([0, 2]),
    }
    own = toy.model()(batch)
    assert own["classes"].tolist() == [0, 1, 4, 5]
    masked = (own["logits"] == NEVER).tolist()
    assert masked == [[False, False, True, True], [True, True, False, False]]
    toy.labels = "union"
    assert bool((toy.model()(batch)["logits"] > NEVER).all())


def test_padding_changes_no_text():
    toy = Clip.toy()
    model = toy.model().eval()
    with torch.no_grad():
        whole = model.texts(model.tokens, model.mask)
        for row in range(len(model.tokens)):
            one = model.texts(model.tokens[[row]], model.mask[[row]])
            assert_close(one[0], whole[row], rtol=1e-5, atol=1e-6)


def test_the_temperature_is_no_parameter():
    model = Clip.toy().model()
    assert "scale" not in dict(model.named_parameters())
    assert not any("logit_scale" in name for name, _ in model.named_parameters())


def test_seen_texts_are_kept_as_they_were_when_the_experience_began():
    toy = Clip.toy()
    model = toy.model()
    toy.begin(model, toy.stream()[2])
    before = model.seen.clone()
    assert before.shape == (4, 16)
    assert not model.seen.requires_grad
    with torch.no_grad():
        model.text_projection.weight.mul_(-1)
    assert torch.equal(model(first_batch(toy))["seen"], before)


def test_the_pocket_clip_keeps_quick_gelu_and_loads_as_any_other(tmp_path):
    clip = load_clip("pocket")
    assert clip.model.config.vision_config.hidden_act == "quick_gelu"
    assert clip.model.vision_model.encoder.layers[0].mlp.activation_fn(
        torch.tensor(1.0)
    ).item() == pytest.approx(torch.sigmoid(torch.tensor(1.702)).item())
    clip.model.save_pretrained(tmp_path / "mine")
    with pytest.raises(InputError, match="no tokenizer in that folder"):
        load_clip(str(tmp_path / "mine"))
    clip.tokenizer.save_pretrained(tmp_path / "mine")
    other = load_clip(str(tmp_path / "mine"))
    for name, value in clip.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])
    assert other.mean != clip.mean  # OpenAI's, where a folder does not say.


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("vit_base", "neither a folder nor a model of the Hugging Face hub"),
        (".", "no config.json in that folder"),
    ],
)
def test_what_is_no_clip_is_named(tmp_path, monkeypatch, name, error):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=error):
        load_clip(name)


def test_words_are_whole_and_others_are_spelled():
    tokenizer = load_clip("pocket").tokenizer
    assert tokenizer.tokenize("a photo of a striped car.") == [
        *("a", "photo", "of", "a", "striped", "car", ".")
    ]
    assert tokenizer.tokenize("Zebra9") == ["z", "##e", "##b", "##r", "##a", "##9"]
    ids = tokenizer("Zebra9")["input_ids"]
    assert tokenizer.unk_token_id not in ids


# --- the judge ---


def counted(monkeypatch):
    """How often images and prompts are encoded."""
    calls = {"encode_images": 0, "encode_prompts": 0}

    def counting(name, whole):
        def wrapped(*given):
            calls[name] += 1
            return whole(*given)

        return wrapped

    for name in calls:
        monkeypatch.setattr(judge, name, counting(name, getattr(judge, name)))
    return calls


def test_no_feature_is_computed_twice(monkeypatch):
    calls = counted(monkeypatch)
    toy = Clip.toy()
    model = toy.model().eval()
    first = toy.evaluate(model, 0)
    assert calls == {"encode_images": 3, "encode_prompts": 3}
    again = toy.evaluate(model, 1)
    assert calls == {"encode_images": 3, "encode_prompts": 3}
    assert {t: r.metrics for t, r in again.items()} == {
        t: r.metrics for t, r in first.items()
    }
    with torch.no_grad():
        model.text_projection.weight.mul_(1.01)
    toy.evaluate(model, 2)
    assert calls == {"encode_images": 3, "encode_prompts": 6}
    with torch.no_grad():
        model.vision_model.embeddings.class_embedding.add_(0.1)
    toy.evaluate(model, 3)
    assert calls == {"encode_images": 6, "encode_prompts": 6}


def test_the_pre_trained_model_s_features_are_shared_by_cells(monkeypatch):
    calls = counted(monkeypatch)
    for _ in range(2):
        toy = Clip.toy()
        toy.cache = True
        toy.evaluate(toy.model().eval(), 0)
    assert calls == {"encode_images": 3, "encode_prompts": 3}
    toy = Clip.toy()
    toy.cache = True
    model = toy.model()
    generator = torch.Generator().manual_seed(0)
    inject(model, view(toy), roles=("q", "fc1"), rank=2, generator=generator)
    toy.evaluate(model.eval(), 0)
    assert calls == {"encode_images": 3, "encode_prompts": 3}


def test_equal_functions_have_equal_hashes():
    toy = Clip.toy()
    plain = toy.model()
    before = effective_hash([plain.vision_model])
    assert before == effective_hash([toy.model().vision_model])
    model = toy.model()
    generator = torch.Generator().manual_seed(0)
    (layer, *_) = inject(model, view(toy), roles=("q",), rank=2, generator=generator)
    assert effective_hash([model.vision_model]) == before
    with torch.no_grad():
        layer.B.fill_(0.1)
    moved = effective_hash([model.vision_model])
    assert moved != before
    layer.merge()
    assert effective_hash([model.vision_model]) == moved


def test_union_is_never_easier_than_own():
    toy = Clip.toy()
    model = toy.model().eval()
    own = toy.evaluate(model, 0)
    toy = Clip.toy()
    toy.labels = "union"
    union = toy.evaluate(model, 0)
    for task, result in own.items():
        assert union[task].metrics["accuracy"] <= result.metrics["accuracy"]
    labels = union["mixed"].outcomes["label"]
    assert set(labels.tolist()) == {4, 5}


def test_an_ensemble_is_the_mean_direction_of_its_templates():
    toy = Clip.toy()
    clip, model = tiny.clip(), toy.model().eval()
    texts = ["a photo of a red.", "an image of a red.", "a photo of a blue.", "blue."]
    prompts = judge.Prompts(texts, 2, *clip.tokenize(texts))
    found = judge.encode_prompts(model, prompts)
    with torch.no_grad():
        each = model.texts(prompts.tokens, prompts.mask)
    expected = nn.functional.normalize(each.view(2, 2, -1).mean(1), dim=-1)
    assert_close(found, expected)


def test_scores_of_joint_arrival_have_no_transfer_and_no_forgetting(make_matrix):
    sequential = make_matrix([[0.2, 0.3], [0.9, 0.4], [0.7, 0.8]], [1, 2])
    scores = Clip.scores(sequential, {})
    assert scores["last"] == pytest.approx(0.75)
    assert scores["average"] == pytest.approx(0.7)
    assert scores["transfer"] == pytest.approx(0.4)
    assert scores["forgetting"] == pytest.approx(0.2)
    assert scores["zero_shot"] == pytest.approx(0.25)
    joint = Clip.scores(make_matrix([[0.2, 0.3], [0.9, 0.8]], [1, 1]), {})
    assert joint["last"] == pytest.approx(0.85)
    assert np.isnan([joint["transfer"], joint["forgetting"]]).all()


@pytest.fixture
def make_matrix():
    from clbench.matrix import Matrix, Row

    def make(values, learned):
        rows = tuple(
            Row(
                experience=number,
                step=number,
                boundary=True,
                scores={
                    f"t{j}": {"accuracy": value, "calibration_error": 0.1}
                    for j, value in enumerate(row)
                },
            )
            for number, row in enumerate(values)
        )
        return Matrix(rows=rows, learned={f"t{j}": n for j, n in enumerate(learned)})

    return make
