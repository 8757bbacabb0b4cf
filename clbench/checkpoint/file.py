"""One checkpoint as the content of a safetensors file, with a hash over all of it.

The plain part is JSON in the file's header, the tensors are the file's. The hash is of
the whole content with zeros in the place of the hash, so that a change anywhere shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import torch
from safetensors.torch import load, save
from torch import Tensor

from clbench.checkpoint.codec import pack, unpack

if TYPE_CHECKING:
    from hashlib import _Hash

HASH, EMPTY = "sha256", "0" * 64


LARGEST = 100_000_000
"""Bytes that a safetensors header has at the most."""

PART = 2**20
"""Bytes that are hashed at once."""


class Damaged(ValueError):
    """The content is not what was written; the message says how that shows."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        facts: Plain values that say what it is a checkpoint of, read without the rest.
        tree: The plain part of the state.
        tensors: Those of the state, on the CPU.
    """

    facts: Mapping[str, Any]
    tree: Any
    tensors: Mapping[str, Tensor]

    def state(self, device: torch.device) -> Any:
        """The state; tensors that were not on the CPU are on `device`."""
        return unpack(self.tree, self.tensors, device)


def encode(facts: Mapping[str, Any], state: Any) -> list[bytes | memoryview]:
    """The content of a file, in parts that follow one another.

    Raises:
        TypeError: `state` holds something else than tensors and plain values.
    """
    tree, tensors = pack(state)
    metadata = {
        "facts": json.dumps(facts),
        "state": json.dumps(tree, allow_nan=False),
        HASH: EMPTY,
    }
    content = memoryview(save(_apart(tensors), metadata))
    place = _place(bytes(content[: 8 + _length(content)]), EMPTY)
    digest = _digest(content, place)
    return [content[:place], digest.encode(), content[place + 64 :]]


def decode(content: bytes) -> Checkpoint:
    """The checkpoint whose file has this content.

    Raises:
        Damaged: It is not what was written.
    """
    view = memoryview(content)
    header = bytes(view[: 8 + _length(view)])
    metadata = _metadata(header)
    if _digest(view, _place(header, metadata[HASH])) != metadata[HASH]:
        raise Damaged("its hash differs")
    return Checkpoint(_facts(metadata), json.loads(metadata["state"]), load(content))


def facts_of(path: Path) -> dict[str, Any]:
    """What the checkpoint at `path` says of itself, without looking at the rest.

    Raises:
        Damaged: Its header cannot be read.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return _facts(_metadata(_header(file)))


def verified(path: Path) -> dict[str, Any]:
    """What the checkpoint at `path` says of itself, if all of it is as it was written.

    Its tensors are not loaded, so that it may be larger than the memory.

    Raises:
        Damaged: It is not what was written.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        header = _header(file)
        metadata = _metadata(header)
        place = _place(header, metadata[HASH])
        found = _hash_of(memoryview(header), place)
        while part := file.read(PART):
            found.update(part)
    if found.hexdigest() != metadata[HASH]:
        raise Damaged("its hash differs")
    return _facts(metadata)


def read(path: Path) -> Checkpoint:
    """The checkpoint at `path`.

    Raises:
        Damaged: It is not what was written.
        OSError: It cannot be read.
    """
    return decode(path.read_bytes())


def _length(content: memoryview) -> int:
    """Bytes of the header, which follow the 8 that say so."""
    return int.from_bytes(content[:8], "little")


def _header(file: BinaryIO) -> bytes:
    """The first part of a file, from its length to the end of its JSON."""
    start = file.read(8)
    return start + file.read(min(_length(memoryview(start)), LARGEST))


def _metadata(header: bytes) -> dict[str, str]:
    """The texts in a header.

    Raises:
        Damaged: There are none, or not all that a checkpoint has.
    """
    try:
        found = json.loads(header[8:])["__metadata__"]
        return {name: str(found[name]) for name in ("facts", "state", HASH)}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged("its header cannot be read") from error


def _facts(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(metadata["facts"])
    except ValueError as error:
        raise Damaged("its header cannot be read") from error
    if not isinstance(found, dict):
        raise Damaged("its header cannot be read")
    return found


def _place(header: bytes, digest: str) -> int:
    """Where the digest stands; quotes within the plain part are escaped.

    Raises:
        Damaged: It does not stand where it is read.
    """
    key = f'"{HASH}":"'.encode()
    found = header.find(key + digest.encode() + b'"')
    if found < 0:
        raise Damaged("its header cannot be read")
    return found + len(key)


def _digest(content: memoryview, place: int) -> str:
    return _hash_of(content, place).hexdigest()


def _hash_of(content: memoryview, place: int) -> _Hash:
    """Of `content` with zeros in the place of the digest; more can be added."""
    found = hashlib.sha256(content[:place])
    found.update(EMPTY.encode())
    found.update(content[place + len(EMPTY) :])
    return found


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors`, none of which lies in the memory of another: safetensors asks that."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in tensors.items():
        start = value.untyped_storage().data_ptr()
        found[name] = value.clone() if start in seen else value
        seen.add(start)
    return found
