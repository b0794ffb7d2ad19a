#!/bin/sh
# Runs in the guest, as root: makes the working tree quick to read, then runs the command.
# Usage: guest.sh RESULTS PYTHON-PREFIX STANDARD-LIBRARY ROOT COMMAND...
#
# The root of the guest is the host's, over 9p without any cache: each import would ask the host again. The same tree,
# mounted once more with a cache, is laid over the folders that Python reads. Results are the one folder written back.
set -eu
results=$1 prefix=$2 library=$3 root=$4
shift 4
mkdir -p /run/rig/host /run/rig/results
mount -t 9p -o ro,trans=virtio,cache=loose,msize=512000,version=9p2000.L rigfast /run/rig/host
mount --bind "$results" /run/rig/results
for folder in "$library" "$prefix" "$root"; do
    mount --bind "/run/rig/host$folder" "$folder"
done
mount --bind /run/rig/results "$results"
# A terminal has no workstation extra: python-can would import asammdf (numpy, pandas) at every start, if it were there.
for package in "$prefix"/lib/python3*/site-packages/asammdf; do
    if [ -d "$package" ]; then mount -t tmpfs none "$package"; fi
done
# What a stalled sender catches up with goes through this queue on a virtual bus (1000 frames; the rest is dropped).
echo 30000 >/proc/sys/net/core/netdev_max_backlog
ip link set lo up
modprobe -a can can-raw vcan kvaser_pci loop ext4
cd "$root"
code=0
"$@" || code=$?
echo "$code" >"$results/exit"
sync
exit "$code"
