"""A line with delay to a network namespace of its own, for kernels without netem. Needs root and /dev/net/tun.

Both ends are TUN devices of MTU 1500; this process carries their packets, each after its delay. Packets are handed over
as the kernel's TCP made them (GSO, up to 64 KiB), so that carrying them costs little.

    python -m benchmarks.staging.line NAMESPACE MILLISECONDS       # prints "ready", and ends with its standard input
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque

NEAR, FAR = "10.213.0.1", "10.213.0.2"
_TUNSETIFF, _TUNSETOFFLOAD, _TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_OFFLOAD = 0x01 | 0x02  # checksums and TCPv4 segments are the receiver's: <linux/if_tun.h>
_LARGEST = 1 << 17


def main(namespace: str, milliseconds: str) -> None:
    near, far = _device(f"{namespace}-near"), _device(f"{namespace}-far")
    for command in (
        f"ip netns add {namespace}",
        f"ip link set {namespace}-far netns {namespace}",
        f"ip addr add {NEAR}/30 dev {namespace}-near",
        f"ip link set {namespace}-near up txqueuelen 10000",
        f"ip -n {namespace} addr add {FAR}/30 dev {namespace}-far",
        f"ip -n {namespace} link set {namespace}-far up txqueuelen 10000",
        f"ip -n {namespace} link set lo up",
    ):
        subprocess.run(command.split(), check=True)
    try:
        print("ready", flush=True)
        _carry({near: far, far: near}, float(milliseconds) / 1000)
    finally:
        subprocess.run(["ip", "netns", "del", namespace], check=True)


def _device(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    fcntl.ioctl(fd, _TUNSETOFFLOAD, _OFFLOAD)
    return fd


def _carry(ends: dict[int, int], delay: float) -> None:
    """Until standard input ends."""
    poll = select.epoll()
    for fd in (*ends, sys.stdin.fileno()):
        poll.register(fd, select.EPOLLIN)
    waiting: deque[tuple[float, int, bytes]] = deque()
    while True:
        wait = max(waiting[0][0] - time.monotonic(), 0.0) if waiting else -1
        for fd, _ in poll.poll(wait):
            if fd not in ends:
                return
            _take(fd, ends[fd], delay, waiting)
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, to, packet = waiting.popleft()
            try:
                os.write(to, packet)
            except BlockingIOError:
                continue  # lost, as on any line


def _take(fd: int, to: int, delay: float, waiting: deque[tuple[float, int, bytes]]) -> None:
    for _ in range(64):
        try:
            packet = os.read(fd, _LARGEST)
        except BlockingIOError:
            return
        waiting.append((time.monotonic() + delay, to, packet))


if __name__ == "__main__":
    main(*sys.argv[1:])
