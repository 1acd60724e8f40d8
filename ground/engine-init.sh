#!/bin/sh
# Runs in new network, mount, pid, ipc and uts namespaces: turns a folder into the root and becomes dockerd.
# engine-init.sh ROOT STATE CGROUP: STATE/engine holds data/ and will hold docker.sock. Of the host's folders
# only STATE is seen inside, under its own name, so that kind can mount files of it into nodes.
set -eu

root=$1 state=$2 cgroup=$3

echo 1 >/proc/sys/net/ipv4/ip_forward

mount --bind "$root" "$root" # a root has to be a mount
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys # shows this network namespace's devices
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
if [ -d /lib/modules ]; then
  mkdir -p usr/lib/modules
  mount --rbind /lib/modules usr/lib/modules
fi
mkdir -p ".$state"
mount --bind "$state" ".$state"
echo "nameserver 127.0.0.1" >etc/resolv.conf # the forwarder answers there
mkdir -p tmp/host
pivot_root . tmp/host
cd /
umount -l /tmp/host
rmdir /tmp/host
ip link set lo up

exec dockerd --host "unix://$state/engine/docker.sock" --data-root "$state/engine/data" --exec-root /run/docker \
  --pidfile /run/docker.pid --group root --cgroup-parent "/$cgroup" --exec-opt native.cgroupdriver=cgroupfs
