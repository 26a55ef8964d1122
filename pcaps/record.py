#!/usr/bin/env python3
"""Records Egret's own captures: record.py [CASE...]   (no CASE: all; --list, --check)

Needs root and Linux. Real programs talk to a local server under watched names inside network
namespaces (lab/net.py), and nothing leaves them. Each case becomes pcaps/CASE/traffic.pcap[.gz],
truth.json (what the programs themselves say they sent) and README.md.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from lab import check, net, servers
from lab.cases import CASES
from lab.recording import Recording
import lab.more  # noqa: F401  (adds the cases of proxies, QUIC and DNS)
import lab.sides  # noqa: F401  (adds the cases of who is at home)

HERE = Path(__file__).resolve().parent
TOOLS = {"ip": "iproute2", "ethtool": "ethtool", "tcpdump": "tcpdump", "openssl": "openssl", "curl": "curl",
         "nginx": "nginx-light", "git": "git", "dnsmasq": "dnsmasq-base", "rclone": "rclone",
         "chromium": "chromium", "tinyproxy": "tinyproxy", "microsocks": "microsocks", "tshark": "tshark",
         "dumpcap": "wireshark-common"}
MODULES = ("requests", "hypercorn", "aioquic", "niquests")
VERSIONS = {"nginx": "nginx -v", "openssl": "openssl version", "rclone": "rclone version", "tinyproxy": "tinyproxy -v",
            "ss": "ss -V",
            "microsocks": "dpkg-query -Wf${Package}/${Version} microsocks"}


def missing(only_check):
    tools = {"tshark": "tshark", "editcap": "wireshark-common"} if only_check else TOOLS
    lacking = [f"apt-get install {package}" for tool, package in tools.items() if not shutil.which(tool)]
    if not only_check:
        lacking += [f"pip install {module}" for module in MODULES if not find_spec(module)]
        lacking += [] if os.geteuid() == 0 else ["to be run as root"]
    return lacking


def version(program):
    if program in MODULES:
        return f"{program} {metadata.version(program)}"
    argv = VERSIONS.get(program, f"{program} --version").split()
    done = subprocess.run(argv, capture_output=True, text=True)
    return f"{program} {re.search(r'[0-9]+([.][0-9]+)+', done.stdout + done.stderr)[0]}"


def readme(case):
    programs = ", ".join(version(p) for p in case.programs)
    return (f"# {case.name}\n\n{case.holds}\n\nEgret must say: {case.says}\n\n"
            f"Recorded by `record.py {case.name}` from: {programs}. Volumes as the programs tell them: `truth.json`.\n")


def record(case, certs, work):
    recording = Recording(work / case.name, certs, **case.topology)
    try:
        case.make(recording)
        size = recording.save(HERE / case.name, case.alerts, readme(case), case.file)
    finally:
        recording.close()
    print(f"{case.name:28}{size / 1000:8.0f} kB", flush=True)


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("cases", nargs="*", metavar="CASE")
    cli.add_argument("--list", action="store_true", help="say the cases and stop")
    cli.add_argument("--check", action="store_true", help="only hold the captures against their truth (tshark)")
    args = cli.parse_args()
    known = {case.name: case for case in CASES}
    if args.list:
        sys.exit("\n".join(known))
    if wrong := [name for name in args.cases if name not in known]:
        sys.exit(f"no such case: {' '.join(wrong)}; --list says which there are")
    if lacking := missing(args.check):
        sys.exit("record.py needs: " + "; ".join(lacking))
    chosen = args.cases or list(known)
    if not args.check:
        with tempfile.TemporaryDirectory(prefix="egret-pcaps-") as work:
            servers.make_certificates(work)
            try:
                for name in chosen:
                    record(known[name], Path(work), Path(work) / "cases")
            finally:
                net.remove_spaces()
        check.write_table(HERE, CASES)
    sys.exit(check.check(HERE, chosen))


if __name__ == "__main__":
    main()
