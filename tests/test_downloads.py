"""Downloads: plain files and repositories of a hub, from servers on this machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import socket
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clbench import cli
from clbench.assets import door, fetch, hashes, hub, lock
from clbench.assets.door import Door
from clbench.assets.need import Plain
from clbench.contract import InputError
from clbench.models.lm import load_lm
from clbench.models.needs import hub as model
from clbench.models.vision import image_backbone
from clbench.pocket.models import lm as pocket


class Server(BaseHTTPRequestHandler):
    """Serves `files`, parts of them where asked; may cut its next answer short."""

    files: ClassVar[dict[str, bytes]] = {}
    facts: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[str]] = []
    cut: ClassVar[int] = 0

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        kind = type(self)
        kind.asked.append(
            f"{self.command} {path} {self.headers.get('Range', '')}".strip()
        )
        if path in kind.facts:
            self._send(200, json.dumps(kind.facts[path]).encode(), body=body)
            return
        content = kind.files.get(path)
        if content is None:
            self._send(404, b"", body=body)
            return
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if start >= len(content):
            self._send(416, b"", body=body)
            return
        self._send(206 if asked else 200, content[start:], body=body, whole=content)

    def _send(
        self, code: int, content: bytes, *, body: bool, whole: bytes | None = None
    ) -> None:
        kind = type(self)
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        if whole is not None:
            digest = hashlib.sha256(whole).hexdigest()
            self.send_header("ETag", f'"{digest}"')
            self.send_header("X-Linked-Etag", f'"{digest}"')
            self.send_header("X-Linked-Size", str(len(whole)))
            self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if not body:
            return
        if whole is not None and kind.cut:
            self.wfile.write(content[: kind.cut])
            kind.cut = 0
            self.close_connection = True
            return
        self.wfile.write(content)


COMMIT = "a" * 40


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[tuple[type[Server], str]]:
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path / "cache"))
    kind = type("Here", (Server,), {"files": {}, "facts": {}, "asked": [], "cut": 0})
    made = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield kind, f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()
    thread.join()


# --- plain files ---


def test_a_download_that_stopped_is_gone_on_with(server, tmp_path):
    kind, url = server
    content = bytes(range(256)) * 2000
    kind.files["/a.dat"], kind.cut = content, 200_000
    known = f"sha256:{hashlib.sha256(content).hexdigest()}"
    plain = Plain(f"{url}/a.dat", known, "below/a.dat")
    with pytest.raises(InputError, match="goes on where it stopped") as caught:
        fetch.fetch(plain, tmp_path / "data")
    assert "\n" not in str(caught.value)
    (partial,) = (tmp_path / "data").rglob("*.part")
    assert 0 < partial.stat().st_size <= 200_000
    had = partial.stat().st_size
    assert fetch.fetch(plain, tmp_path / "data").read_bytes() == content
    assert kind.asked[-1] == f"GET /a.dat bytes={had}-"
    assert not list((tmp_path / "data").rglob("*.part"))


def test_a_download_with_another_hash_is_not_kept(server, tmp_path):
    kind, url = server
    kind.files["/a.dat"] = b"not what was asked for"
    plain = Plain(f"{url}/a.dat", f"sha256:{'0' * 64}", "a.dat")
    with pytest.raises(InputError, match="has another hash"):
        fetch.fetch(plain, tmp_path)
    assert not [path for path in tmp_path.rglob("a.dat*") if path.is_file()]


def test_what_is_not_there_is_one_line(server, tmp_path):
    _, url = server
    plain = Plain(f"{url}/none.dat", f"md5:{'0' * 32}", "a.dat")
    with pytest.raises(InputError, match="404") as caught:
        fetch.fetch(plain, tmp_path)
    assert "\n" not in str(caught.value)


def archive(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        file.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def test_archives_are_unpacked_and_do_not_leave_their_folder(server, tmp_path):
    kind, url = server
    data = tmp_path / "data"
    for name, good in (("inner/x.bin", True), ("../out.bin", False)):
        content = archive(name, b"tensors")
        kind.files["/a.tar.gz"] = content
        plain = Plain(
            f"{url}/a.tar.gz", f"md5:{hashlib.md5(content).hexdigest()}", ".", True
        )
        if good:
            assert fetch.fetch(plain, data) == data
            assert (data / name).read_bytes() == b"tensors"
        else:
            with pytest.raises(InputError, match="outside"):
                fetch.fetch(plain, data)
    assert not (tmp_path / "out.bin").exists()
    kind.files["/b.gz"] = gzip.compress(b"rows")
    digest = hashlib.sha256(kind.files["/b.gz"]).hexdigest()
    plain = Plain(f"{url}/b.gz", f"sha256:{digest}", "raw/b", True)
    assert fetch.fetch(plain, data).read_bytes() == b"rows"
    bad = Plain(f"{url}/b.gz", f"sha256:{digest}", "../b", True)
    with pytest.raises(InputError, match="cannot be the name"):
        fetch.fetch(bad, data)


def test_prepare_fetches_plain_files(server, tmp_path, monkeypatch, capsys):
    from importlib import import_module

    kind, url = server
    cifar = import_module("clbench.scenarios.clip.cifar")
    needs = import_module("clbench.scenarios.clip.needs")
    content = archive(f"{cifar.FOLDER}/train.bin", bytes(2 * cifar.ROW))
    kind.files["/c.tar.gz"] = content
    known = f"sha256:{hashlib.sha256(content).hexdigest()}"
    plain = Plain(f"{url}/c.tar.gz", known, ".", True)
    monkeypatch.setattr(needs, "DOWNLOADS", {"CIFAR100": (plain,)})
    words = ["strategy=finetune", "scenario=clip", "scenario.dataset=mtil"]
    argv = ["clbench", "data", "prepare", *words, f"scenario.root={tmp_path}"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr()
    # The other ten are named with their homes.
    assert stop.value.code == 1
    assert "clip/mtil/cifar100: 1 files" in " ".join(said.out.split())
    assert said.err.count("error: ") == 10
    assert (tmp_path / cifar.FOLDER / "train.bin").is_file()


def test_data_of_which_a_file_is_missing_are_not_here(server, tmp_path):
    from clbench.assets.need import Local

    kind, url = server
    plains = []
    for name in ("a", "b"):
        kind.files[f"/{name}.gz"] = gzip.compress(name.encode())
        digest = hashlib.sha256(kind.files[f"/{name}.gz"]).hexdigest()
        plains.append(
            Plain(f"{url}/{name}.gz", f"sha256:{digest}", f"raw/{name}", True)
        )
    need = Local(
        kind="data",
        name="two",
        place=tmp_path,
        patterns=("raw/*",),
        downloads=tuple(plains),
    )
    fetch.fetch(plains[0], tmp_path)
    assert need.here() is None
    assert need.lacking() == f"{tmp_path} has no raw/b"
    assert need.absent() == plains[1:]
    fetch.fetch(plains[1], tmp_path)
    assert need.here() == tmp_path
    assert [path.name for path in need.files(tmp_path)] == ["a", "b"]


# --- a hub ---


@pytest.fixture
def repositories(server, tmp_path, monkeypatch):
    """A hub that has the pocket LM as owner/lm, and owner/old with a pickle alone."""
    kind, url = server
    names = "huggingface_hub.constants"
    monkeypatch.setattr(f"{names}.ENDPOINT", url)
    monkeypatch.setattr(f"{names}.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(f"{names}.HF_HUB_OFFLINE", False)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(f"{names}.HUGGINGFACE_CO_URL_TEMPLATE", template)
    folder = pocket.folder()
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".md"}
    offer(kind, "owner/lm", files)
    offer(kind, "owner/old", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    return kind


def offer(
    kind: type[Server], repository: str, files: dict[str, bytes], what: str = "models"
) -> None:
    """Have a hub answer for a repository."""
    tree = [
        {
            "type": "file",
            "path": name,
            "size": len(content),
            "oid": hashlib.sha1(name.encode()).hexdigest(),
            "lfs": {
                "oid": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "pointerSize": 100,
            },
        }
        for name, content in files.items()
    ]
    about = {
        "id": repository,
        "sha": COMMIT,
        "siblings": [{"rfilename": name} for name in files],
        "private": False,
        "downloads": 0,
        "tags": [],
    }
    start = f"/api/{what}/{repository}"
    place = f"/{repository}" if what == "models" else f"/{what}/{repository}"
    kind.facts[start] = about
    for revision in ("main", COMMIT):
        kind.facts[f"{start}/revision/{revision}"] = about
        kind.facts[f"{start}/tree/{revision}"] = tree
        for name, content in files.items():
            kind.files[f"{place}/resolve/{revision}/{name}"] = content


def test_a_repository_is_fetched_once_noted_and_then_here(repositories, monkeypatch):
    import torch

    with door.opened(Door()) as opened:
        found = load_lm("owner/lm")
    ids = torch.tensor([[1, 5, 6]])
    with torch.no_grad():
        gap = found.model(ids).logits - load_lm("pocket").model(ids).logits
    assert gap.abs().max() == 0
    used = opened.used["owner/lm"]
    assert (used.kind, used.revision) == ("weights", COMMIT)
    weights = {file.name: file for file in used.files}["model.safetensors"]
    content = (pocket.folder() / "model.safetensors").read_bytes()
    assert weights.sha256 == hashlib.sha256(content).hexdigest()
    # From now on no network is asked.
    repositories.asked.clear()
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("network"))
    with door.opened(Door(offline=True)):
        load_lm("owner/lm")
    assert repositories.asked == []


def saved(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_models_of_timm_come_from_their_repositories(repositories, tmp_path):
    import timm
    import torch
    from timm.models import save_for_hf

    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = timm.create_model("test_vit", num_classes=1000).eval()
    save_for_hf(made, str(tmp_path / "vit"), safe_serialization=True)
    files = saved(tmp_path / "vit")
    name = timm.get_pretrained_cfg("test_vit").hf_hub_id
    offer(repositories, name, files)
    offer(repositories, "owner/vit", files)
    pixels = torch.randn(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = made.reset_classifier(0) or made(pixels)
        for spoken, repository in (
            ("test_vit", name),
            ("hf-hub:owner/vit", "owner/vit"),
            (f"hf-hub:owner/vit@{COMMIT}", "owner/vit"),
        ):
            with door.opened(Door()) as opened:
                found = image_backbone(spoken).eval()
            torch.testing.assert_close(found(pixels), expected)
            assert opened.used[repository].revision == COMMIT


def test_a_clip_comes_at_the_revision_that_is_named(repositories):
    from clbench.models.clip import load_clip
    from clbench.pocket.models import clip

    offer(repositories, "owner/clip", saved(clip.folder()))
    # There is no branch of this name: what is asked for is the commit.
    del repositories.facts["/api/models/owner/clip"]
    with door.opened(Door()) as opened:
        assert load_clip(f"owner/clip@{COMMIT}").image_size == 32
        assert image_backbone(f"owner/clip@{COMMIT}").image_size == 32
    assert opened.used["owner/clip"].revision == COMMIT


def test_a_data_set_of_the_hub_is_read_from_its_folder(repositories):
    pytest.importorskip("datasets")
    from importlib import import_module

    files = import_module("clbench.scenarios.dpo.files")
    rows = [
        {"prompt": f"question {n}", "chosen": "yes", "rejected": "no"} for n in range(5)
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    both = {"train.jsonl": content, "loader.py": b"raise SystemExit('it ran')"}
    offer(repositories, "owner/pairs", both, "datasets")
    with door.opened(Door()) as opened:
        assert len(files.read_hub("hub:owner/pairs@main").found) == 5
    assert [f.name for f in opened.used["owner/pairs"].files] == ["train.jsonl"]


def test_what_is_not_here_is_not_asked_for_offline(repositories):
    with (
        door.opened(Door(offline=True)),
        pytest.raises(InputError, match="not in the cache, and offline=true"),
    ):
        load_lm("owner/lm")
    assert repositories.asked == []


def test_a_repository_of_pickles_is_refused_with_the_revision_that_has_none(
    repositories,
):
    with pytest.raises(InputError, match=r"pickle \(pytorch_model.bin\)") as caught:
        model("owner/old").fetch()
    assert "refs/pr/N" in str(caught.value)
    asked = " ".join(repositories.asked)
    assert "resolve" not in asked
    repositories.facts["/api/models/owner/old/discussions"] = {
        "discussions": [
            {
                "num": 3,
                "title": "Adding `safetensors` variant of this model",
                "author": {"name": hub.CONVERTER},
                "isPullRequest": True,
                "status": "open",
                "createdAt": "2023-03-01T00:00:00.000Z",
                "repo": {"name": "owner/old", "type": "model"},
            }
        ],
        "count": 1,
        "start": 0,
    }
    with pytest.raises(InputError, match="owner/old@refs/pr/3 has safetensors"):
        model("owner/old").fetch()


def test_a_damaged_file_of_the_cache_is_found(repositories, tmp_path):
    place = model("owner/lm").fetch()
    weights = place / "model.safetensors"
    hub.verify(weights)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.resolve().write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
        hub.verify(weights)
    with door.opened(Door()), pytest.raises(InputError, match="is damaged"):
        load_lm("owner/lm")


def test_a_lock_file_pins_the_revision(repositories, tmp_path):
    need = model("owner/lm")
    file = tmp_path / "x.lock"
    file.write_text(lock.dump([hashes.asset(need, need.fetch())]))
    # The branch moves on; what the file says is still in the cache.
    (tmp_path / "hub" / "models--owner--lm" / "refs" / "main").write_text("b" * 40)
    assert need.here() is None
    known = lock.read(file)
    assert known.pinned(need).here() is not None
    with door.opened(Door(offline=True, lock=known)) as opened:
        load_lm("owner/lm")
    assert opened.used["owner/lm"].revision == COMMIT
