"""Find the file of a repository that holds a quantisation, by the names alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.source import split
from llama_operator.stage.text import one_line

_TOKEN = r"(?<![A-Za-z0-9_]){}(?![A-Za-z0-9_])"
_KNOWN = re.compile(
    _TOKEN.format(r"(?:UD-)?(?:I?Q[1-9][A-Z0-9_]*|TQ[1-9]_[0-9]|BF16|FP?16|FP?32|(?:MX|NV)FP[0-9](?:_MOE)?)"),
    re.IGNORECASE,
)
_PROJECTOR, _OTHER = re.compile(r"mmproj", re.IGNORECASE), re.compile(r"imatrix", re.IGNORECASE)
_SHOWN = 24


def choose(paths: Sequence[str], quantization: str, *, projector: bool) -> str:
    """The one GGUF file whose path contains `quantization` as a word, upper or lower case.

    Projectors (mmproj) are looked at if and only if one is wanted. Raises `Failure`: NotFound if there is none,
    InvalidSource if there are several, or if it is in parts: their number is in the name that llama-server needs.
    """
    files = [path for path in paths if _is_model(path, projector=projector)]
    wanted = re.compile(_TOKEN.format(re.escape(quantization)), re.IGNORECASE)
    found = [path for path in files if wanted.search(path)]
    whole = [path for path in found if split.number(path) in (None, 1)]
    if not whole:
        raise Failure(Reason.NOT_FOUND, f"no file is of quantization {quantization}; {_offer(files)}")
    if len(whole) > 1:
        raise Failure(
            Reason.INVALID_SOURCE,
            f"several files are of quantization {quantization}: {_list(whole)}; set huggingFace.file to one of them",
        )
    if split.number(whole[0]):
        raise Failure(
            Reason.INVALID_SOURCE,
            f"quantization {quantization} is split into parts; set huggingFace.file to {one_line(whole[0])} instead",
        )
    return whole[0]


def _is_model(path: str, *, projector: bool) -> bool:
    return path.endswith(".gguf") and not _OTHER.search(path) and bool(_PROJECTOR.search(path)) == projector


def _offer(files: Sequence[str]) -> str:
    known = sorted({match[0].upper() for path in files if (match := _KNOWN.search(path))})
    if known:
        return f"there are {_list(known)}"
    return f"set huggingFace.file to one of {_list(files)}" if files else "the repository has no such GGUF files"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(one_line(name, 120) for name in names[:_SHOWN]) + more
