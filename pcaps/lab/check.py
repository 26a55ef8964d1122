"""Holds captures against their truth, writes the table of cases, guards the size of the whole."""

import ipaddress
import json
import subprocess
import tempfile
from pathlib import Path

from . import capfile

LIMIT_BYTES = 8_000_000

HEAD = """# Captures of our own

Recorded from real programs by `record.py`, in network namespaces, with local servers that answer
under watched names and addresses for documentation (203.0.113.0/24, 2001:db8::/32). The home network is
10.20.0.0/24 and fd20:1567:1::/64. Each case has its capture, `truth.json` (what the programs say they
sent; nginx counts requests with their headers) and a README with what Egret must say.

    sudo python3 record.py             # all cases; names what it lacks (apt, pip)
    sudo python3 record.py vlan ipv6   # some
    python3 record.py --check          # captures against their truth, by tshark

To stay small, each flow keeps its first 12 packets with payload in either direction whole, and of later
ones the headers and 8 bytes (UDP: 24); lengths on the wire stay in the records, as from a packet broker that slices
or a sensor with a snap length. Together the captures stay below 8 MB; `record.py` fails above.

| case | holds | Egret must say | kB |
| --- | --- | --- | --- |
"""


def captures(folder):
    return sorted(folder.glob("traffic*"))


def write_table(root, cases):
    rows = []
    for case in cases:
        if size := sum(path.stat().st_size for path in captures(root / case.name)):
            rows.append(f"| `{case.name}` | {case.holds} | {case.says} | {size // 1000} |\n")
    (root / "README.md").write_text(HEAD + "".join(rows))


def packets(path):
    if path.suffix != ".pcapng":
        return capfile.read(path)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "plain.pcap")
        subprocess.run(["editcap", "-F", "pcap", path, plain], check=True)
        return list(capfile.read(plain))


def spans(paths):
    """Payload of each TCP flow and direction by its sequence numbers, of UDP by its lengths."""
    ends, sums = {}, {}
    for *_, frame in (packet for path in paths for packet in packets(path)):
        if not (found := capfile.transport(frame)):
            continue
        (proto, source, target, *ports), length, _, at = found
        key = (str(ipaddress.ip_address(source)), str(ipaddress.ip_address(target)), *ports)
        if proto == 17 or not length:
            sums[key] = sums.get(key, 0) + length
            continue
        header = at + (40 if len(source) == 16 else 20)
        seq = int.from_bytes(frame[header + 4 : header + 8], "big")
        first, last = ends.setdefault(key, (seq, 0))
        ahead = (seq + length - first) & 0xFFFFFFFF
        ends[key] = (first, max(last, ahead if ahead < 1 << 31 else 0))
    return sums | {key: last for key, (_, last) in ends.items()}


def names_seen(paths):
    field = "tls.handshake.extensions_server_name"
    told = [subprocess.run(["tshark", "-r", path, "-Y", field, "-T", "fields", "-e", field],
                           capture_output=True, text=True, check=True).stdout for path in paths]
    return {name for word in " ".join(told).split() for name in word.split(",")}


def carried(seen, flow, source, target):
    """Payload from one end of a flow of the truth to the other; `seen` is what `spans` found."""
    port = flow.get("client_port")
    return sum(size for (a, b, *ports), size in seen.items()
               if (a, b) == (flow[source], flow[target]) and flow["port"] in ports and (not port or port in ports))


def faults(folder):
    paths, truth = captures(folder), json.loads((folder / "truth.json").read_text())
    seen = spans(paths)
    for flow in truth["flows"]:
        for key, *ends in (("upload_bytes", "client", "server"), ("download_bytes", "server", "client")):
            told, found = flow[key], carried(seen, flow, *ends)
            more = (0.04 if flow["proto"] == "tcp" else 0.12) * sum((flow["upload_bytes"], flow["download_bytes"]))
            if not told <= found <= told + more + 8000:
                yield f"{flow['name']}: {key} {found} in the capture, {told} by the programs"
    if lost := {flow["sni"] for flow in truth["flows"] if flow.get("sni")} - names_seen(paths):
        yield f"no hello says {', '.join(lost)}"


def check(root, chosen):
    """0, or 1 when a capture disagrees with its truth or all together are too large."""
    told = [f"{name}: {fault}" for name in chosen for fault in faults(root / name)]
    total = sum(p.stat().st_size for p in root.glob("*/traffic*"))
    if total > LIMIT_BYTES:
        told.append(f"the captures have {total} bytes together, more than {LIMIT_BYTES}")
    print("\n".join(told) or f"{len(chosen)} cases agree with their truth; {total / 1e6:.1f} MB together")
    return 1 if told else 0
