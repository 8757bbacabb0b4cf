"""Preference pairs: forms of data, splits, truncation, batches of like length."""

from __future__ import annotations

import gzip
import json
import sys
import types

import numpy as np
import pytest

from clbench import registry
from clbench.contract import InputError

SCENARIO = registry.load("scenario", "dpo")
PACKAGE = SCENARIO.__module__.rpartition(".")[0]


def part(name: str):
    """A module of the scenario."""
    return sys.modules[f"{PACKAGE}.{name}"]


pairs, files, domains = part("pairs"), part("files"), part("domains")
tokens, data, tiny = part("tokens"), part("data"), part("tiny")


def written(path, rows) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


def plain(number: int) -> dict[str, str]:
    return {"prompt": f"say {number}", "chosen": "red now", "rejected": "blue"}


def read(spec: str, root=None, **given):
    limits = {"train_pairs": None, "test_pairs": None, "validation": False}
    (name,) = domains.names([spec])
    return domains.read(spec, name, root, **{**limits, **given})


# --- forms of a pair ---


def test_texts_are_taken_as_they_are():
    row = {"prompt": "a? ", "chosen": " b", "rejected": "c\n"}
    assert pairs.parse(row, "f:1") == pairs.Pair("a? ", " b", "c\n")


def test_a_transcript_is_split_at_the_last_shared_turn_of_the_assistant():
    start = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: why?\n\nAssistant:"
    row = {"chosen": f"{start} because so", "rejected": f"{start} because not"}
    pair = pairs.parse(row, "f:1")
    assert pair == pairs.Pair(start, " because so", " because not")
    early = {
        "chosen": "\n\nHuman: hi\n\nAssistant: yes\n\nHuman: a\n\nAssistant: b",
        "rejected": "\n\nHuman: hi\n\nAssistant: no\n\nHuman: a\n\nAssistant: b",
    }
    assert pairs.parse(early, "f:1").prompt == "\n\nHuman: hi\n\nAssistant:"


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


ASK = message("user", "why?")
ONE, OTHER = (message("assistant", word) for word in ("so", "not"))


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [ASK], "chosen": [ONE], "rejected": [OTHER]},
        {"messages": [ASK], "chosen": [ONE], "rejected": [OTHER]},
        {"chosen": [ASK, ONE], "rejected": [ASK, OTHER]},
        {"prompt": "why?", "chosen": [ASK, ONE], "rejected": [ASK, OTHER]},
        {"prompt": "why?", "chosen": [ONE], "rejected": [OTHER]},
    ],
    ids=["prompt", "messages", "whole", "repeated", "text"],
)
def test_conversations_share_their_prompt(row):
    expected = pairs.Pair(
        (("user", "why?"),), (("assistant", "so"),), (("assistant", "not"),)
    )
    assert pairs.parse(row, "f:1") == expected


BROKEN = [
    ("[1]", "f.jsonl:2: a JSON object is needed, not a list"),
    ('{"prompt": "a", "chosen": "b"', "f.jsonl:2: no JSON \\(Expecting ',' delim"),
    ('{"prompt": "a", "chosen": "b"}', "f.jsonl:2: no 'rejected' in it \\(it has"),
    ('{"prompt": "a", "chosen": "b", "rejected": 3}', "f.jsonl:2: 'rejected' is a val"),
    ('{"prompt": "a", "chosen": [], "rejected": "b"}', "both must be of one kind"),
    ('{"prompt": " ", "chosen": "a", "rejected": "b"}', "2: the prompt is empty"),
    ('{"prompt": 1, "chosen": "a", "rejected": "b"}', "2: 'prompt' is a value of type"),
    ('{"chosen": "a", "rejected": "b"}', "2: no 'prompt', and no turn of the assist"),
    ('{"chosen": [{"role": "user"}], "rejected": []}', "no 'role' and 'content'"),
    (
        json.dumps({"chosen": [ONE], "rejected": [OTHER]}),
        "f.jsonl:2: no message that both conversations begin with",
    ),
]


@pytest.mark.parametrize(("line", "error"), BROKEN)
def test_a_broken_line_is_named_with_its_file(tmp_path, line, error):
    path = tmp_path / "f.jsonl"
    path.write_text(f"{json.dumps(plain(0))}\n{line}\n")
    with pytest.raises(InputError, match=error) as caught:
        read(str(path))
    assert "\n" not in str(caught.value)


def test_pairs_without_a_preference_are_left_out_and_counted(tmp_path):
    empty, blank, equal = ({**plain(n)} for n in range(100, 103))
    empty["chosen"], blank["rejected"], equal["rejected"] = "", " \n", equal["chosen"]
    rows = [*map(plain, range(40)), empty, blank, equal, equal]
    found = read(written(tmp_path / "f.jsonl", rows))
    assert found.dropped == {"empty response": 2, "equal responses": 2}
    assert len(found.train) + len(found.test) == 40


# --- files, folders, data sets by name ---


def test_a_folder_is_all_its_files_compressed_or_not(tmp_path):
    folder = tmp_path / "mine" / "deep"
    folder.mkdir(parents=True)
    written(folder.parent / "a.jsonl", map(plain, range(30)))
    with gzip.open(folder / "b.jsonl.gz", "wt") as file:
        file.write("".join(f"{json.dumps(plain(n))}\n\n" for n in range(30, 60)))
    (folder / "README.md").write_text("no pairs")
    found = read("mine", root=tmp_path)
    assert found.name == "mine"
    prompts = {pair.prompt for pair in (*found.train, *found.test)}
    assert prompts == {f"say {n}" for n in range(60)}


def test_domains_are_called_after_their_files():
    specs = ["brief", "x/a.jsonl", "b.jsonl.gz", "folder", "hub:org/name:test"]
    assert domains.names(specs) == ("brief", "a", "b", "folder", "name")
    with pytest.raises(InputError, match="two domains are called 'a'"):
        domains.names(["x/a.jsonl", "y/a.jsonl.gz"])


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match="no file or folder here, and no domain of"):
        read("nowhere.jsonl")
    with pytest.raises(InputError, match=r"no \*\.jsonl or \*\.jsonl\.gz in the fold"):
        read(str(tmp_path))
    with pytest.raises(InputError, match=r"scenario\.root=nowhere: there is"):
        SCENARIO(root="nowhere")
    damaged = tmp_path / "d.jsonl.gz"
    damaged.write_bytes(gzip.compress(json.dumps(plain(0)).encode())[:-9])
    with pytest.raises(InputError, match=r"d\.jsonl\.gz cannot be read: "):
        read(str(damaged))
    few = written(tmp_path / "few.jsonl", [plain(0)])
    with pytest.raises(InputError, match="has no pair to"):
        read(few)


def test_a_data_set_by_name(tmp_path):
    pytest.importorskip("datasets")
    folder = tmp_path / "named"
    folder.mkdir()
    written(folder / "train.jsonl", map(plain, range(40)))
    written(folder / "test.jsonl", map(plain, range(40, 60)))
    found = read(f"hub:{folder}")
    assert found.name == "named"
    assert len(found.train) + len(found.test) == 40
    other = read(f"hub:{folder}:test")
    assert len(other.train) + len(other.test) == 20
    with pytest.raises(InputError, match="cannot be had"):
        read(f"hub:{folder}:nosplit")


def test_a_data_set_without_network_or_library_is_one_line(monkeypatch):
    library = types.ModuleType("datasets")
    library.load_dataset = None

    def repo_info(*_, **__):
        raise ConnectionError("Couldn't reach the Hub\nand a second line")

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", repo_info)
    monkeypatch.setitem(sys.modules, "datasets", library)
    with pytest.raises(InputError, match="cannot be had \\(Couldn't reach") as caught:
        read("hub:org/name")
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"needs the library `datasets` \(pip install"):
        read("hub:org/name")


# --- who judges ---


def test_no_prompt_is_on_both_sides_in_any_file(tmp_path):
    rows = [plain(n % 150) | {"chosen": f"red {n}"} for n in range(300)]
    one = read(written(tmp_path / "a.jsonl", rows))
    other = read(written(tmp_path / "b.jsonl", rows[::-1][:200]))
    learned = {pair.prompt for found in (one, other) for pair in found.train}
    judging = {pair.prompt for found in (one, other) for pair in found.test}
    assert learned
    assert judging
    assert not learned & judging
    assert 0.03 < len(one.test) / 300 < 0.2


def test_validation_never_sees_the_test_pairs(tmp_path):
    path = written(tmp_path / "a.jsonl", map(plain, range(300)))
    whole, held = read(path), read(path, validation=True)
    assert not {p.prompt for p in held.test} & {p.prompt for p in whole.test}
    assert {p.prompt for p in (*held.train, *held.test)} == {
        p.prompt for p in whole.train
    }
    assert len(read(path, train_pairs=7, test_pairs=3).train) == 7
    assert len(read(path, train_pairs=7, test_pairs=3).test) == 3


def test_the_embedded_domains_have_their_own_split_and_a_judge():
    found = read("brief")
    assert not {p.prompt for p in found.train} & {p.prompt for p in found.test}
    pair = found.test[0]
    assert found.wins(pair.prompt, pair.chosen, pair.rejected) == 1
    assert found.wins(pair.prompt, pair.chosen, pair.chosen) == 0.5
    assert read("detailed").wins(pair.prompt, pair.chosen, pair.rejected) == 0


# --- tokens ---


@pytest.fixture(scope="module")
def lm():
    return tiny.lm()


def words(lm, ids) -> str:
    return " ".join(lm.tokenizer.convert_ids_to_tokens(ids.tolist()))


def test_prompt_response_and_end_are_tokenized_apart(lm):
    make = tokens.Tokenized(lm, 24)
    made, kept = make([pairs.Pair("say a", "red", "blue now")], "d")
    assert len(kept) == 1
    assert words(lm, made.prompts[0]) == "<bos> say a"
    assert words(lm, made.chosen[0]) == "red <eos>"
    assert words(lm, made.rejected[0]) == "blue now <eos>"
    assert not make.counts.total()


def test_a_batch_is_padded_on_the_right_and_counts_responses_alone(lm):
    made, _ = tokens.Tokenized(lm, 24)(
        [pairs.Pair("say a", "red", "blue now"), pairs.Pair("say", "no", "yes")], "d"
    )
    batch = made.batch([1, 0])
    assert batch["input_ids"].shape == (2, 2, 6)
    text = [
        words(lm, row[keep])
        for row, keep in zip(
            batch["input_ids"].flatten(0, 1),
            batch["response"].flatten(0, 1),
            strict=True,
        )
    ]
    assert text == ["no <eos>", "yes <eos>", "red <eos>", "blue now <eos>"]
    assert batch["attention_mask"].sum(-1).tolist() == [[4, 4], [5, 6]]
    assert (batch["input_ids"][batch["attention_mask"] == 0] == lm.pad).all()
    assert made.batch([1], length=9)["input_ids"].shape == (1, 2, 9)


def test_a_prompt_longer_than_the_context_loses_its_beginning(lm):
    make = tokens.Tokenized(lm, 10)
    long = "say " + "a b " * 10 + "now"
    made, _ = make([pairs.Pair(long, "red", "blue now")], "d")
    assert words(lm, made.prompts[0]) == "<bos> b a b a b now"
    assert words(lm, made.rejected[0]) == "blue now <eos>"
    assert make.counts["prompts cut"] == 1
    assert make.counts["responses cut"] == 0


def test_a_response_that_does_not_fit_loses_its_end(lm):
    make = tokens.Tokenized(lm, 8)
    long = "say " + "a b " * 10
    made, _ = make([pairs.Pair(long, "red " * 20, "blue now")], "d")
    assert len(made.prompts[0]) == 4
    assert words(lm, made.chosen[0]) == "red red red red"
    assert words(lm, made.rejected[0]) == "blue now <eos>"
    assert make.counts["prompts cut"] == make.counts["responses cut"] == 1


def test_pairs_that_truncation_makes_equal_are_left_out(lm):
    make = tokens.Tokenized(lm, 8)
    same = pairs.Pair("say", "red " * 20 + "a", "red " * 20 + "b")
    made, kept = make([same, pairs.Pair("say", "a", "b")], "d")
    assert len(made) == len(kept) == 1
    assert make.counts["pairs equal as tokens"] == 1
    with pytest.raises(InputError, match="domain 'd': no pair differs within"):
        make([same], "d")


def test_a_context_that_is_too_long_is_refused():
    toy = SCENARIO.toy()
    toy.max_length = 25
    with pytest.raises(InputError, match="max_length=25: pocket takes 24 tokens"):
        toy.card()


def test_a_tokenizer_without_a_pad_token_pads_with_the_end():
    found = tiny.lm()
    found.tokenizer.pad_token = None
    assert found.pad == found.end == 2
    found.tokenizer.eos_token = None
    assert found.end is None
    assert found.pad == 0
    made, _ = tokens.Tokenized(found, 24)([pairs.Pair("say", "a", "b")], "d")
    assert words(found, made.chosen[0]) == "a"


CONVERSATION = pairs.Pair(
    (("system", "please"), ("user", "say a")),
    (("assistant", "red"),),
    (("assistant", "blue"), ("user", "no"), ("assistant", "yes")),
)


def test_without_a_chat_template_messages_become_a_transcript(lm):
    assert tokens.rendered(CONVERSATION, lm.tokenizer) == (
        "\n\nplease\n\nHuman: say a\n\nAssistant:",
        " red",
        " blue\n\nHuman: no\n\nAssistant: yes",
        False,
    )


def test_a_chat_template_writes_prompt_and_responses():
    lm = tiny.lm()
    lm.tokenizer.chat_template = (
        "<bos>{% for m in messages %}[{{ m.role }}]{{ m.content }}<eos>{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    prompt, chosen, rejected, special = tokens.rendered(CONVERSATION, lm.tokenizer)
    assert prompt == "<bos>[system]please<eos>[user]say a<eos>[assistant]"
    assert chosen == "red<eos>"
    assert rejected == "blue<eos>[user]no<eos>[assistant]yes<eos>"
    assert special
    made, _ = tokens.Tokenized(lm, 24)([CONVERSATION], "d")
    # No token begins twice, and no response ends twice.
    assert words(lm, made.prompts[0]).count("<bos>") == 1
    assert words(lm, made.chosen[0]) == "red <eos>"
    lm.tokenizer.chat_template = "{{ raise_exception('no system here') }}"
    with pytest.raises(InputError, match="refuses a conversation of system, user: no"):
        tokens.rendered(CONVERSATION, lm.tokenizer)


# --- batches ---


@pytest.fixture(scope="module")
def many(lm):
    rng = np.random.default_rng(0)
    made = [
        pairs.Pair("say " + "a " * int(rng.integers(1, 9)), "red", "blue")
        for _ in range(101)
    ]
    found, _ = tokens.Tokenized(lm, 24)(made, "d")
    import torch

    reference = torch.arange(202.0).view(101, 2)
    return data.Preferences([found], [0], lambda _: reference, batch=8, length=20)


def test_an_epoch_sees_every_pair_once(many):
    drawn = [i for rows in many.batches(3, 12) for i in rows]
    assert len(drawn) == len(set(drawn)) == 96
    later = [i for rows in many.batches(3, 25) for i in rows]
    assert later[:96] == drawn
    assert np.bincount(later, minlength=101).min() >= 1


def test_batches_have_pairs_of_like_length(many):
    lengths = many._lengths
    spread = np.mean([np.ptp(lengths[rows]) for rows in many.batches(0, 24)])
    rng = np.random.default_rng(0)
    anyhow = np.mean([np.ptp(lengths[rng.permutation(101)[:8]]) for _ in range(24)])
    assert spread < anyhow / 3


def test_a_batch_carries_the_reference_of_its_rows(many):
    batch = many.__getitems__([5, 2])
    assert batch["reference"].tolist() == [[10, 11], [4, 5]]
    assert batch["task"].tolist() == [0, 0]
    assert batch["input_ids"].shape == (2, 2, 20)


def test_the_card_says_what_was_done(tmp_path):
    path = written(tmp_path / "mine.jsonl", [*map(plain, range(60)), plain(1)])
    toy = SCENARIO(domains=(path,), cache=False, max_length=6)
    toy._load = tiny.lm
    card = toy.card()
    assert card.data == "mine"
    assert card.details["reference"] == "base"
    assert len(card.details["base"]) == 64
    counts = card.details["learned from"]["mine"], card.details["judged on"]["mine"]
    assert sum(counts) == 61
    assert set(card.details["tokenized"].values()) == {0}
    assert card.fingerprint == toy.card().fingerprint
