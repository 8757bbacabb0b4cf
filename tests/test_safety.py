"""Nothing runs code from data, leaves the run folder or tells secrets."""

from __future__ import annotations

import ast
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from clbench import cli, config, record
from clbench.building import build_scenario
from clbench.contract import InputError
from clbench.inside import inside
from clbench.masking import MASK, clean, expanded, homely
from clbench.models.lm import load_lm
from clbench.models.vision import image_backbone
from clbench.resolved import Cell

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = Path(__file__).parent / "plugins"
EAST = ("strategy=fake_head", "scenario=fake_points", "scenario.target=east")

RUNS_CODE = frozenset(
    {
        *("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"),
        "jsonpickle",
    }
)
"""Modules whose files run code when they are read."""

NEVER = frozenset(
    {
        *("torch.load", "torch.hub.load", "pandas.read_pickle", "pd.read_pickle"),
        *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all"),
        *("yaml.full_load", "yaml.full_load_all"),
        *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
    }
)
"""Functions that run what they are handed."""

ASKED = frozenset({"AutoConfig", "AutoModel", "AutoTokenizer", "AutoModelForCausalLM"})
"""Classes of transformers that run code of a repository unless told otherwise."""


def dangers(text: str) -> list[str]:
    """What in the source `text` would run code from a file that is read."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found += [n for n in names if n.split(".")[0] in RUNS_CODE]
        if not isinstance(node, ast.Call):
            continue
        name, words = ast.unparse(node.func), {k.arg for k in node.keywords}
        given = [ast.unparse(k.value) for k in node.keywords if k.arg is None]
        values = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if name in NEVER or values.get("shell") == "True":
            found.append(name)
        if values.get("allow_pickle", "False") != "False":
            found.append(f"{name} with pickles")
        if name in ("np.load", "numpy.load") and "allow_pickle" not in words:
            found.append(f"{name} without allow_pickle=False")
        owner, _, method = name.rpartition(".")
        if method == "from_pretrained":
            if owner in ASKED and "remote_code()" not in given:
                found.append(f"{name} without remote_code()")
            model = "Model" in owner and owner != "PeftModel"
            if model and "plain_weights()" not in given:
                found.append(f"{name} without plain_weights()")
        if values.get("trust_remote_code") == "True":
            found.append(f"{name} with remote code")
    return found


@pytest.mark.parametrize("folder", ["clbench", "strategies", "scenarios"])
def test_no_source_runs_code_from_what_it_reads(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = {str(f.relative_to(ROOT)): dangers(f.read_text()) for f in files}
    assert not {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path, weights_only=True)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "AutoConfig.from_pretrained(place)",
        "CLIPModel.from_pretrained(place, **remote_code())",
        "AutoTokenizer.from_pretrained(place, trust_remote_code=True)",
    ],
)
def test_the_scan_finds_what_it_looks_for(line):
    assert dangers(line)


def tiny_gpt():
    return AutoModelForCausalLM.from_config(
        AutoConfig.for_model(
            "gpt2", vocab_size=14, n_embd=8, n_layer=1, n_head=2, n_positions=16
        )
    )


def test_weights_in_pickles_are_refused_with_what_would_do(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="is a pickle") as caught:
        image_backbone(f"test_vit@{path}")
    # What the line says, done: the tensors are safetensors then.
    code = str(caught.value).partition('python -c "')[2].rpartition('"')[0]
    assert "weights_only=True" in code
    assert "\n" not in str(caught.value)


def test_folders_of_pickles_are_refused(tmp_path):
    tiny_gpt().save_pretrained(tmp_path)
    state = tiny_gpt().state_dict()
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "tokenizer.json").write_text("{}")
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickle \(pytorch_model.bin\)"):
        load_lm(str(tmp_path))


def test_adapters_in_pickles_are_refused(tmp_path):
    adapted = get_peft_model(tiny_gpt(), LoraConfig(r=2, target_modules=["c_attn"]))
    adapted.save_pretrained(tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "other.safetensors")
    torch.save({}, tmp_path / "adapter_model.bin")
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors"):
        load_lm(str(tmp_path))


def test_code_of_a_model_runs_only_if_it_is_trusted(tmp_path, monkeypatch, capsys):
    trace = tmp_path / "it-ran"
    folder = tmp_path / "model"
    folder.mkdir()
    facts = {"model_type": "its_own", "auto_map": {"AutoConfig": "code.Its"}}
    (folder / "config.json").write_text(json.dumps(facts))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"weight": torch.zeros(2)}, folder / "model.safetensors")
    (folder / "code.py").write_text(
        f"open({str(trace)!r}, 'w').close()\nfrom transformers import PretrainedConfig"
        f"\nclass Its(PretrainedConfig):\n    model_type = 'its_own'\n"
    )
    # The library has read the variable that says where copies of such code go.
    name = "transformers.dynamic_module_utils.HF_MODULES_CACHE"
    monkeypatch.setattr(name, str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    words = ["run", "strategy=finetune", "scenario=dpo", f"scenario.backbone={folder}"]
    words += [f"out={tmp_path / 'runs'}", "--quiet"]
    assert call(*words, monkeypatch=monkeypatch) == 2
    assert "trust_remote_code=true" in capsys.readouterr().err
    assert not trace.exists()
    call(*words, "trust_remote_code=true", monkeypatch=monkeypatch)
    assert trace.exists()


def call(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of the command line."""
    monkeypatch.setenv("CLBENCH_PATH", str(PLUGINS))
    monkeypatch.setattr(sys, "argv", ["clbench", *words])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def only(folder: Path) -> dict:
    (path,) = folder.rglob("*--*.json")
    return json.loads(path.read_text())


def test_records_say_that_code_could_run(tmp_path, monkeypatch):
    words = ["run", *EAST, f"out={tmp_path}", "--quiet"]
    assert call(*words, monkeypatch=monkeypatch) == 0
    assert only(tmp_path)["environment"]["trust_remote_code"] is False
    assert call(*words, "trust_remote_code=true", monkeypatch=monkeypatch) == 0
    assert only(tmp_path)["environment"]["trust_remote_code"] is True


# --- paths ---


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc/passwd", "a\\b", "a\0b"])
def test_names_that_are_paths_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="cannot be the name"):
        inside(tmp_path, name, "x.json")


def test_links_that_lead_out_are_refused_and_others_are_not(tmp_path):
    runs, away = tmp_path / "runs", tmp_path / "away"
    runs.mkdir()
    away.mkdir()
    (runs / "dg").symlink_to(away)
    with pytest.raises(InputError, match="leads out of"):
        inside(runs, "dg", "x.json")
    (tmp_path / "link").symlink_to(runs)
    assert inside(tmp_path / "link", "mtl", "x.json").parent.name == "mtl"


def test_a_cell_does_not_follow_a_link_out_of_its_folder(tmp_path, monkeypatch, capsys):
    runs, away = tmp_path / "runs", tmp_path / "away"
    runs.mkdir()
    away.mkdir()
    (runs / "fake_points").symlink_to(away)
    words = ["run", *EAST, f"out={runs}", "--quiet"]
    assert call(*words, monkeypatch=monkeypatch) == 2
    error = capsys.readouterr().err
    assert "leads out of" in error
    assert error.count("\n") == 1
    assert not list(away.iterdir())


@pytest.mark.parametrize("place", ["scenario", "strategy", "key"])
def test_a_record_whose_names_are_paths_is_no_record(tmp_path, make_record, place):
    path = tmp_path / "x.json"
    record.write(make_record(), path)
    document = json.loads(path.read_text())
    if place == "key":
        document["key"] = "../../evil"
    else:
        document[place]["name"] = "../../evil"
    document["sha256"] = record.digest(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=f"damaged at '{place}"):
        record.read(path)


# --- secrets ---

SECRETS = [
    ("https://user:pass@host/data", "https://***@host/data"),
    ("https://ghp_token@github.com/a/b", "https://***@github.com/a/b"),
    ("hf_abcdefghijklmnopqrst", "hf_***"),
    ("WANDB_API_KEY=0123456789abcdef clbench run", "WANDB_API_KEY=*** clbench run"),
    ("http://h/x?token=abc&part=1", "http://h/x?token=***&part=1"),
    ("s3?X-Amz-Credential=abc&sig=def", "s3?X-Amz-Credential=***&sig=***"),
    ("Authorization: Bearer abcdefgh1234", "Authorization: Bearer ***"),
    ("key AKIAABCDEFGHIJKLMNOP", "key AKIA***"),
]


@pytest.mark.parametrize(("text", "left"), SECRETS)
def test_what_looks_like_a_secret_is_masked(text, left):
    assert clean(text) == left
    assert clean({"deep": [text]}) == {"deep": [left]}
    assert clean(left) == left


def test_published_records_have_nothing_to_hide():
    paths = sorted((ROOT / "leaderboards").rglob("records/*.json"))
    assert paths
    for path in paths[:: max(1, len(paths) // 40)]:
        document = json.loads(path.read_text())
        assert clean(document) == document, path


def test_keys_that_are_called_like_secrets_have_their_values_masked():
    assert clean({"api_key": "abc", "hub.token": "x", "max_tokens": "8"}) == {
        "api_key": MASK,
        "hub.token": MASK,
        "max_tokens": "8",
    }


@pytest.mark.parametrize(
    "text",
    [
        "0123456789abcdef0123456789abcdef01234567",  # a commit
        "clbench run strategy=pego scenario=dg strategy.max_tokens=5",
        "openai/clip-vit-base-patch16@refs/pr/3",
        "vit_base_patch16_224@/data/weights.safetensors",
        "https://github.com/KaiyangZhou/CoOp",
    ],
)
def test_what_is_no_secret_stays(text):
    assert clean(text) is text


def test_the_environment_is_an_allow_list(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_verysecretverysecret")
    monkeypatch.setenv("WANDB_API_KEY", "deadbeefdeadbeef")
    monkeypatch.setenv("ANYTHING", "particular-to-this-place")
    assert (
        call("run", *EAST, f"out={tmp_path}", "--quiet", monkeypatch=monkeypatch) == 0
    )
    text = json.dumps(only(tmp_path))
    for value in ("verysecret", "deadbeefdeadbeef", "particular-to-this-place"):
        assert value not in text
    assert set(only(tmp_path)["environment"]) == {
        *("python", "platform", "processor", "threads", "versions"),
        *("commit", "dirty"),
        "deterministic",
        "trust_remote_code",
    }


def test_a_record_has_no_secret_wherever_it_was_written(tmp_path, make_record):
    made = make_record()
    made = made.model_copy(
        update={
            "reason": "ConnectionError: https://me:word@host/x",
            "command": "clbench run scenario.root=https://me:word@host/x",
        }
    )
    record.write(made, tmp_path / "x.json")
    assert "word" not in (tmp_path / "x.json").read_text()
    assert (
        record.read(tmp_path / "x.json").reason == "ConnectionError: https://***@host/x"
    )


# --- homes ---


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home" / "me"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_a_home_is_a_tilde_in_cells_their_keys_and_their_commands(home):
    def cell(root: str) -> Cell:
        words = ["strategy=zeroshot", "scenario=nlu", f"scenario.root={root}"]
        return config.resolve(words)[0][0]

    long, short = cell(f"{home}/glue"), cell("'~/glue'")
    assert long.scenario.params["root"] == "~/glue"
    assert long.key() == short.key() != cell("/glue").key()
    assert str(home) not in long.command()
    assert Cell.from_dict(long.to_dict()).key() == long.key()


def test_plugins_are_handed_whole_paths(home, monkeypatch):
    (home / "glue").mkdir()
    words = ["strategy=zeroshot", "scenario=nlu", f"scenario.root={home / 'glue'}"]
    (cell,) = config.resolve([*words, "scenario.tasks=[sst2]"])[0]
    with pytest.raises(InputError, match=str(home / "glue")):
        build_scenario(cell).stream()


def test_only_whole_homes_at_the_start_of_paths_are_homes(home):
    assert homely(f"{home}/x and {home}") == "~/x and ~"
    assert homely(f"vit@{home}/w.safetensors") == "vit@~/w.safetensors"
    for other in (f"{home}lanie/x", f"/mnt{home}/x", "home/me"):
        assert homely(other) == other


@given(some.text(alphabet="ab/.@:~ ", max_size=8))
def test_expanding_gives_back_what_was_shortened(name):
    for start in ("", "vit@"):
        path = f"{start}{Path.home()}/{name}"
        assert expanded(homely(path)) == path or "~" in name or str(Path.home()) in name


# --- CIFAR-100 ---


def test_cifar_is_read_from_its_binary_version(tmp_path, monkeypatch):
    from importlib import import_module

    cifar = import_module("clbench.scenarios.clip.cifar")
    folder = tmp_path / cifar.FOLDER
    folder.mkdir()
    with pytest.raises(InputError, match="binary version"):
        cifar.read_cifar100(tmp_path, 32, cache=False)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (6, 3074), dtype=np.uint8)
    rows[:, 1] = [0, 1, 2, 2, 1, 0]
    (folder / "fine_label_names.txt").write_text("apple\nbear\ncan\n")
    (folder / "train.bin").write_bytes(rows[:4].tobytes())
    (folder / "test.bin").write_bytes(rows[4:].tobytes())
    found = cifar.read_cifar100(tmp_path, 32, cache=False)
    assert found.classes == ("apple", "bear", "can")
    assert found.train.labels.tolist() == [0, 1, 2, 2]
    picture = found.train.album.pictures[:][1]
    assert picture.shape == (32, 32, 3)
    # Red comes first, then green, then blue; row by row.
    assert picture[0, 1].tolist() == [rows[1, 3], rows[1, 2 + 1025], rows[1, 2 + 2049]]
    (folder / "test.bin").write_bytes(b"12345")
    with pytest.raises(InputError, match="5 bytes"):
        cifar.read_cifar100(tmp_path, 32, cache=False)


def test_options_that_are_recorded_change_no_key():
    plain, trusting = (
        config.resolve(["strategy=lora", "scenario=dg", "scenario.target=photo", *more])
        for more in ((), ("trust_remote_code=true",))
    )
    assert plain[0][0].key() == trusting[0][0].key()
    assert dataclasses.replace(trusting[1], trust_remote_code=False) == plain[1]
