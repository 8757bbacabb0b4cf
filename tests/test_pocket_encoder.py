"""The pocket encoder: tokenizer, corpus, masks, what its script writes, its weights."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from clbench.models.encoder import load_encoder
from clbench.pocket import reading, weights
from clbench.pocket.models import encoder
from clbench.pocket.texts import FACTS, draw, share
from clbench.pocket.train import encoder as train
from clbench.pocket.views import nlu

TOKENS = encoder.tokenizer()


def test_pairs_are_marked_and_unknown_words_spelled():
    given = TOKENS("Two RED cars.", "the zebra?")
    words = TOKENS.convert_ids_to_tokens(given["input_ids"])
    spelled = ["z", "##e", "##b", "##r", "##a"]
    assert words == [
        "[CLS]", "two", "red", "cars", ".", "[SEP]", "the", *spelled, "?", "[SEP]"
    ]  # fmt: skip
    assert given["token_type_ids"] == [0] * 6 + [1] * (len(words) - 6)
    assert len(set(encoder.vocabulary())) == len(encoder.vocabulary())


def test_every_text_of_the_world_is_in_the_vocabulary():
    texts = [text for pair in train.chunk(0) for text in pair[:2] if text]
    texts += [
        text
        for name in nlu.TASKS
        for example in nlu.examples(name, "train")
        for text in (example.first, example.second)
        if text
    ]
    ids = {i for row in TOKENS(texts)["input_ids"] for i in row}
    words = TOKENS.convert_ids_to_tokens(sorted(ids))
    assert TOKENS.unk_token_id not in ids
    assert not [word for word in words if word.startswith("##")]


def test_the_corpus_is_apart_from_the_benchmark():
    texts = train.chunk(0)
    assert train.digest(texts) == train.digest(train.chunk(0))
    assert train.digest(texts) != train.digest(train.chunk(1))
    whole = 0
    for text in (text for pair in texts for text in pair[:2] if text):
        with contextlib.suppress(ValueError):
            asked = reading.prompt(f"{text} what do you see?")
            whole += 1
            assert share(asked.scene) == "corpus"
            assert train.unseen(asked.scene)
    assert whole > 20


def test_it_is_known_which_texts_are_about_one_scene():
    pairs = [pair for pair in train.chunk(0) if pair[1] is not None]
    assert all(same == train.NONE for _, second, same in train.chunk(0) if not second)
    assert 0.45 < np.mean([same for *_, same in pairs]) < 0.6
    less = 0
    for first, second, same in pairs:
        one, two = (set(reading.statements(text)) for text in (first, second))
        # The noun tells one from several where no number does.
        nouns = [
            {word for word in reading.words(text) if word in reading.NOUNS}
            for text in (first, second)
        ]
        assert same == (two <= one and nouns[0] == nouns[1])
        less += same and len(one) > len(two)
    assert 0.1 < less / len(pairs) < 0.4


def test_elsewhere_are_the_same_things():
    rng = np.random.default_rng(0)
    exchanged = 0
    for _ in range(200):
        scene = draw("corpus", rng)
        other = train.elsewhere(scene, rng)
        assert train.unseen(other)
        assert [g.kind for g in other] == [g.kind for g in scene]
        facts = [[getattr(g, f) for f in FACTS] for g in (*scene, *other)]
        exchanged += facts[:2] == facts[:1:-1]
    assert 50 < exchanged < 120


def test_masks_are_bert_s():
    ids, types = train.encode(TOKENS, train.chunk(0))
    ids, types = np.tile(ids, (4, 1)), np.tile(types, (4, 1))
    seen, asked = train.masked(ids, types, TOKENS, np.random.default_rng(0))
    special = np.isin(ids, TOKENS.all_special_ids)
    wanted = asked >= 0
    assert not (wanted & special).any()
    assert (ids[wanted] == asked[wanted]).all()
    assert (seen[~wanted] == ids[~wanted]).all()
    for kind, part in enumerate(train.MASKED):
        here = ~special & (types == kind)
        assert wanted[here].mean() == pytest.approx(part, abs=0.01)
    hidden = seen[wanted] == TOKENS.mask_token_id
    assert hidden.mean() == pytest.approx(0.8, abs=0.01)
    other = (seen[wanted] != ids[wanted]) & ~hidden
    assert other.mean() == pytest.approx(0.1, abs=0.01)


def test_the_script_writes_what_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CHUNK", 40)
    settings = train.Settings(chunks=1, held=1, steps=2, batch=4, warmup=1)
    threads = torch.get_num_threads()
    hashes = []
    for name in ("one", "two"):
        train.train(settings, tmp_path / name)
        hashes.append(weights.card("encoder", tmp_path / name)["sha256"])
    torch.set_num_threads(threads)
    assert hashes[0] == hashes[1]
    found = load_encoder(str(tmp_path / "one" / "encoder"))
    assert found.width == encoder.CONFIG["hidden_size"]
    assert found.context == encoder.CONTEXT


@pytest.fixture(scope="module")
def card():
    return weights.card("encoder")


def test_the_weights_are_those_of_this_script(card):
    assert card["script_version"] == train.VERSION
    assert card["corpus"]["first_chunk_sha256"] == train.digest(train.chunk(0))
    defaults = train.Settings()
    assert card["settings"] == {
        name: getattr(defaults, name) for name in card["settings"]
    }
    path = encoder.folder() / "model.safetensors"
    assert path.stat().st_size < 3e6
    assert card["parameters"] == load_encoder("pocket").model.num_parameters()
    assert card["held_out"]["second"] > 0.5
    assert card["held_out"]["same"] > 0.8
