"""Whether the locks of a mounted file system are seen by other nodes.

Some mounts grant every lock, but only within the node: worse than none at all, because nobody notices. The kernel's
list of mounts tells. Sources: nfs(5) local_lock and nolock, mount.cifs(8) nobrl; a FUSE file system only passes locks
on if it implements them, which few do.
"""

from __future__ import annotations

import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_SHARED_FUSE = frozenset({"fuse.ceph", "fuse.ceph-fuse", "fuse.glusterfs", "fuse.juicefs"})
_LOCAL_OPTIONS = {
    "nfs": frozenset({"local_lock=all", "local_lock=flock", "nolock"}),
    "nfs4": frozenset({"local_lock=all", "local_lock=flock", "nolock"}),
    "cifs": frozenset({"nobrl"}),
    "smb3": frozenset({"nobrl"}),
}


def locks_are_shared(path: Path) -> bool:
    """True for what one node has for itself, too, and where the list of mounts cannot be read."""
    try:
        mounts = _MOUNTS.read_text()
    except OSError:
        return True
    return judge(mounts, path.resolve())


def judge(mounts: str, path: Path) -> bool:
    """`mounts` is in the format of proc(5), mountinfo; `path` is resolved."""
    length, shared = -1, True
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), before.split(" ")[4]))
        kind, _, options = after.split(" ", 2)
        # Of mounts at the same place the later one covers the earlier.
        if path.is_relative_to(point) and len(point.parts) >= length:
            local = _LOCAL_OPTIONS.get(kind, frozenset()) & set(options.split(","))
            foreign = kind.startswith("fuse.") and kind not in _SHARED_FUSE
            length, shared = len(point.parts), not local and not foreign
    return shared
