"""The merge-patch (RFC 7386) that makes one object exactly another. Pure.

What is to vanish is named with a null, so it vanishes whoever wrote it; under server-side apply it would stay with its
other owner.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def exactly(old: Object, new: Object) -> Object:
    """The patch that turns `old` into `new`; lists are replaced as a whole."""
    patch: Object = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        patch[name] = exactly(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return patch
