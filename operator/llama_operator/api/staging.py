"""What operator and stager, or collector, say to each other, as typed data.

The operator writes a `Request` into the arguments of the stager's container. The stager answers while it runs with its
`Progress` (over HTTP, on `Request.port`), and at its end with a `Report` or a `Failed` (the termination message).
Nothing here is secret: Secrets are mounted, and a request only names the files they are in.
"""

from __future__ import annotations

from typing import Literal

import msgspec

PROGRESS_PATH = "/progress"

MARGIN_SECONDS = 600.0
"""How far the clocks of operator, nodes and file server may differ: what was staged later than this before the list of
a `Collect` was made is kept."""

BATCH = 512
"""llama-server's --ubatch-size, unless it is told another."""

Phase = Literal["waiting", "asking", "checking", "downloading"]
"""`waiting` for another pod's download, `asking` the source, `checking` bytes that are here, `downloading` new ones."""


class Url(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="url", tag_field="kind"):
    """`headers` is a folder in which every file is a request header: its name, and its value as content."""

    url: str
    headers: str = ""


class HuggingFace(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="huggingFace", tag_field="kind"
):
    """Either `file` or `quantization` is given. `token` is the path of a file that holds the access token."""

    endpoint: str
    repo: str
    revision: str
    file: str = ""
    quantization: str = ""
    token: str = ""


class S3(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="s3", tag_field="kind"):
    """`credentials` is a folder with files accessKeyID, secretAccessKey and perhaps sessionToken; without it the
    credentials come from the environment (workload identity), or the object is public."""

    uri: str
    endpoint: str = ""
    region: str = ""
    credentials: str = ""


class InPlace(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="inPlace", tag_field="kind"
):
    """A file on a mounted volume or image: checked, and served where it is (`File.path`)."""


class File(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One file to have in place at `path`, which is absolute.

    `path` of a split model ends with -00001-of-0000N.gguf and so do its neighbours; all parts are staged. `role` is
    model, projector, draft or the name of an adapter as `adapter/NAME`; `field` is where the spec asks for it.
    """

    role: str
    field: str
    path: str
    source: Url | HuggingFace | S3 | InPlace
    sha256: str = ""


class Engine(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    """What llama-server will be told, as far as it takes memory.

    `context` are the tokens of each of the `slots`, `batch` those that are read at a time (its --ubatch-size); `keys`
    and `values` are llama.cpp's names of types; without `flash` attention a batch takes far more. `checkpoints` is how
    many each slot may have. `prompt_cache` is in bytes, and `spare` if nobody has asked for it. `limit` is the
    container's memory limit in bytes; 0 if there is none, or if a device has the model in its memory.
    """

    context: int
    slots: int = 1
    batch: int = BATCH
    keys: str = "f16"
    values: str = "f16"
    flash: bool = True
    checkpoints: int = 0
    prompt_cache: int = 0
    spare: bool = False
    limit: int = 0


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """API keys: `given` is the path of the file in a Secret, `served` that of the one that llama-server gets."""

    given: str
    served: str


class Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """`root` is the writable volume, empty if nothing is to be downloaded; `quota` its limit in bytes, 0 for none.

    `keys` are those of the server that starts next, if it has any.
    """

    files: tuple[File, ...]
    root: str = ""
    quota: int = 0
    port: int = 0
    engine: Engine | None = None
    keys: Keys | None = None


class Staged(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file that is in place; `bytes` of all `parts` together.

    `sha256` is missing for a file on a volume whose digest nobody asked for, and for a split one. `parameters` counts
    the values of all tensors. `revision` is the commit at the hub, or what the spec says where a mirror tells none.
    """

    role: str
    bytes: int
    architecture: str = ""
    name: str = ""
    quantization: str = ""
    parameters: int = 0
    sha256: str = ""
    revision: str = ""
    parts: int = 1


class Memory(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What llama-server will take, in bytes, by the headers of the files; `total` is the sum of the others.

    `weights` of all files; `kv_cache` what is kept of the tokens of all slots, or the state of recurrent layers;
    `compute` what one batch takes on its way; `process` the program with its vocabulary; `checkpoints` when all slots
    have as many as they may. `partial`: something is not known and counts as nothing, such as the cache of an
    architecture that is not in the stager's tables.
    """

    weights: int
    kv_cache: int
    compute: int
    prompt_cache: int
    process: int
    total: int
    checkpoints: int = 0
    partial: bool = False


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """All files are in place; told in the order of the request, the model first.

    A termination message has 4096 bytes: with more than about ten files there is less about each but the first, and
    with more than about fifty the last ones are left out.
    """

    files: tuple[Staged, ...]
    memory: Memory | None = None


class Failed(msgspec.Struct, frozen=True, omit_defaults=True):
    """`reason` is one of `llama_operator.stage.failures.Reason`; for DiskFull and QuotaExceeded `need` is what did not
    fit, in bytes, to be handed on as `Collect.need`."""

    reason: str
    message: str
    need: int = 0


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the stager is with the file of `role`: bytes of `total` (0: not known), and bytes per second lately."""

    phase: Phase
    role: str
    bytes: int = 0
    total: int = 0
    rate: int = 0


class Collect(msgspec.Struct, frozen=True, omit_defaults=True):
    """Take from the volume `root` what is not in use.

    `live` names the links (relative to the root) of all models that exist and all pods that still do, as they were at
    `as_of` (Unix seconds, by the operator's clock, read before the list was made). Unused files go all (Delete), or
    only until `need` bytes are free and within the `quota` (bytes, 0 for none), those first that were staged least
    recently (Keep).
    """

    root: str
    live: tuple[str, ...]
    as_of: int
    when_unused: Literal["Keep", "Delete"] = "Keep"
    need: int = 0
    quota: int = 0


class Collected(msgspec.Struct, frozen=True):
    """How many links, files and unfinished downloads were removed, how many `bytes` that freed, and how many of
    `need` are `missing` all the same."""

    links: int
    files: int
    downloads: int
    bytes: int
    missing: int
