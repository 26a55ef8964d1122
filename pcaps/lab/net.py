"""Network namespaces of one recording: clients - switch with the tap - gateway - servers.

    c1 10.20.0.11 --+
    c2 10.20.0.12 --+-- tap: bridge, port `out` -- gw 10.20.0.1 -- srv 203.0.113.x, 2001:db8:113::x
    px 10.20.0.5  --+

With `wire`, the bridge's port goes through two wire.py instead (loss, tags); between them the
frames are as on a real cable, and there the tap sits. With `vxlan`, switch and gateway speak
VXLAN over `out`. Everything is named egp-*, and `close` takes it away again.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from . import names

CLIENTS = {"c1": 11, "c2": 12, "px": 5}
SPACES = [*CLIENTS, "tap", "gw", "srv"]
WIRE = Path(__file__).with_name("wire.py")


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], check=True, text=True, **more)


def remove_spaces():
    """Also what an earlier run may have left. Only our own names."""
    for space in SPACES:
        subprocess.run(["ip", "netns", "del", f"egp-{space}"], stderr=subprocess.DEVNULL)
        shutil.rmtree(f"/etc/netns/egp-{space}", ignore_errors=True)
    with contextlib.suppress(OSError):
        os.rmdir("/etc/netns")


class Net:
    def __init__(self, work, wire=None, vxlan=False, ipv6=False, dns=False):
        self.work, self.processes = Path(work), []
        try:
            self.build(wire, vxlan, ipv6, dns)
        except BaseException:
            self.close()
            raise

    def build(self, wire, vxlan, ipv6, dns):
        remove_spaces()
        for space in SPACES:
            run("ip", "netns", "add", f"egp-{space}")
            self.ip(space, "link", "set", "lo", "up")
            self.write_hosts(space, ipv6, by_dns=dns and space in CLIENTS)
        self.make_switch(wire, vxlan)
        self.make_gateway(vxlan)
        self.make_servers()
        if dns:
            self.spawn("gw", *self.dnsmasq(ipv6))

    # Building blocks

    def ip(self, space, *argv):
        run("ip", "-n", f"egp-{space}", *argv)

    def cable(self, a, port_a, b, port_b, mtu=1500):
        """Two interfaces joined; no offload, so that frames are as on a cable."""
        run("ip", "link", "add", port_a, "mtu", mtu, "netns", f"egp-{a}", "type", "veth",
            "peer", "name", port_b, "mtu", mtu, "netns", f"egp-{b}")
        for space, port in ((a, port_a), (b, port_b)):
            self.run(space, "ethtool", "-K", port, "tx", "off", "tso", "off", "gso", "off",
                     "gro", "off", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.ip(space, "link", "set", port, "up")

    def mac(self, space, port, number):
        self.ip(space, "link", "set", port, "address", f"02:00:0a:14:00:{number:02x}")

    def make_switch(self, wire, vxlan):
        for scope in ("all", "default"):
            self.run("tap", "sysctl", "-qw", f"net.ipv6.conf.{scope}.disable_ipv6=1")
        self.ip("tap", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self.ip("tap", "link", "set", "br0", "up")
        self.cable("tap", "out", "gw", "lan", mtu=1600 if vxlan else 1500)
        for name, number in CLIENTS.items():
            self.cable("tap", f"p-{name}", name, "eth0")
            self.mac(name, "eth0", number)
            self.ip("tap", "link", "set", f"p-{name}", "master", "br0")
            self.ip(name, "addr", "add", f"10.20.0.{number}/24", "dev", "eth0")
            self.ip(name, "addr", "add", f"fd20:1567:1::{number}/64", "dev", "eth0", "nodad")
            self.ip(name, "route", "add", "default", "via", "10.20.0.1")
            self.ip(name, "route", "add", "default", "via", "fd20:1567:1::1")
        if wire:
            self.make_wire(wire)
        elif vxlan:
            self.make_vtep("tap", "out", 1, 2)
            self.ip("tap", "link", "set", "vx42", "master", "br0")
        else:
            self.ip("tap", "link", "set", "out", "master", "br0")

    def make_wire(self, options):
        self.cable("tap", "acc0", "tap", "acc1")
        self.cable("tap", "mid0", "tap", "mid1")
        self.ip("tap", "link", "set", "acc0", "master", "br0")
        for near, far in (("acc1", "mid0"), ("out", "mid1")):
            self.spawn("tap", sys.executable, WIRE, near, far, *options)

    def make_vtep(self, space, port, own, other):
        self.ip(space, "addr", "add", f"172.16.0.{own}/24", "dev", port)
        self.ip(space, "link", "add", "vx42", "mtu", "1500", "type", "vxlan", "id", "42", "dstport",
                "4789", "local", f"172.16.0.{own}", "remote", f"172.16.0.{other}", "dev", port)
        self.ip(space, "link", "set", "vx42", "up")

    def make_gateway(self, vxlan):
        lan = "vx42" if vxlan else "lan"
        if vxlan:
            self.make_vtep("gw", "lan", 2, 1)
        self.mac("gw", lan, 1)
        self.ip("gw", "addr", "add", "10.20.0.1/24", "dev", lan)
        self.ip("gw", "addr", "add", "fd20:1567:1::1/64", "dev", lan, "nodad")
        self.cable("gw", "wan", "srv", "eth0")
        self.ip("gw", "addr", "add", "192.0.2.1/30", "dev", "wan")
        self.ip("gw", "addr", "add", "2001:db8::1/64", "dev", "wan", "nodad")
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.run("gw", "sysctl", "-qw", f"{key}=1")
        self.ip("gw", "route", "add", "203.0.113.0/24", "via", "192.0.2.2")
        self.ip("gw", "route", "add", "2001:db8:113::/64", "via", "2001:db8::2")

    def make_servers(self):
        self.ip("srv", "addr", "add", "192.0.2.2/30", "dev", "eth0")
        self.ip("srv", "addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
        for name in names.SERVICES:
            self.ip("srv", "addr", "add", names.address(name) + "/32", "dev", "lo")
            self.ip("srv", "addr", "add", names.address(name, 6) + "/128", "dev", "lo", "nodad")
        self.ip("srv", "route", "add", "default", "via", "192.0.2.1")
        self.ip("srv", "route", "add", "default", "via", "2001:db8::1")

    # Names

    def write_hosts(self, space, ipv6, by_dns):
        folder = Path(f"/etc/netns/egp-{space}")
        folder.mkdir(parents=True)
        lines = [f"{names.address(n, v)} {n}" for n in names.SERVICES
                 for v in ((6,) if ipv6 else (4,)) if not by_dns]
        (folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", f"127.0.1.1 {socket.gethostname()}", *lines, ""]))
        (folder / "nsswitch.conf").write_text("hosts: files" + " dns" * by_dns + "\n")
        (folder / "resolv.conf").write_text("nameserver 10.20.0.1\noptions timeout:1\n")

    def dnsmasq(self, ipv6):
        rules = [f"--local=/{n}/" for n in names.SERVICES]
        rules += [f"--host-record={n},{names.address(n)}"
                 + (f",{names.address(n, 6)}" if ipv6 else "") for n in names.SERVICES]
        return ["dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--user=root",
                "--local-ttl=300", "--pid-file=", "--listen-address=10.20.0.1", *rules]

    # Programs

    def run(self, space, *argv, **more):
        return run("ip", "netns", "exec", f"egp-{space}", *argv, **more)

    def spawn(self, space, *argv, **more):
        more.setdefault("stdout", open(self.work / "programs.log", "ab"))
        more.setdefault("stderr", subprocess.STDOUT)
        argv = ["ip", "netns", "exec", f"egp-{space}", *map(str, argv)]
        process = subprocess.Popen(argv, start_new_session=True, **more)
        self.processes.append(process)
        return process

    def stop(self, process, how=signal.SIGTERM):
        """Ends a program that we started, and what it started in its own session."""
        if process.poll() is None:
            os.killpg(process.pid, how)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def wait_for(self, space, *ports, udp=False):
        """Until these are listened on."""
        for _ in range(100):
            told = self.run(space, "ss", "-Hlun" if udp else "-Hltn", stdout=subprocess.PIPE).stdout
            if all(f":{port} " in told for port in ports):
                return
            time.sleep(0.05)
        raise RuntimeError(f"nothing listens on {ports} in {space}; see {self.work}/programs.log")

    def close(self):
        for process in reversed(self.processes):
            self.stop(process)
        remove_spaces()
