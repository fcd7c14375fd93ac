#!/bin/sh
# Make network.jsonl.gz anew: real traffic in an empty network namespace, read by the real Suricata.
# Needs root (for the namespace), suricata 7, tcpdump, iproute2,
# and a python that has `cryptography` (PYTHON=.venv/bin/python). See README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}
python=${PYTHON:-python3}
mkdir -p "$work"

"$python" "$here/certificates.py" "$work"
unshare --net "$python" "$here/record.py" "$work"

for pcap in "$work"/*.pcap; do
    name=$(basename "$pcap" .pcap)
    mkdir -p "$work/$name"
    suricata -c "$here/suricata.yaml" -S "$here/local.rules" -k none -r "$pcap" -l "$work/$name" >"$work/$name/run.log" 2>&1
done
"$python" "$here/pack.py" "$work" "$here/../../src/tocsin/demo/network.jsonl.gz"
