"""Frames made by hand, capture files of them, and a cable between two network namespaces to send them over."""

import os
import random
import re
import struct
import subprocess

NEAR, FAR = "soakgen0", "soaktap0"


# ---- Traffic.


def ethernet(kind, body):
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + struct.pack(">H", kind) + body


def ip4(src, dst, protocol, body, ident):
    total = 20 + len(body)
    return ethernet(0x0800, struct.pack(">BBHHHBBHII", 0x45, 0, total, ident & 0xFFFF, 0, 64, protocol, 0, src, dst) + body)


def tcp(src, dst, ports, seq, ack, flags, payload=b"", ident=1):
    head = struct.pack(">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 65_535, 0, 0)
    return ip4(src, dst, 6, head + payload, ident)


def udp(src, dst, ports, payload, ident=1):
    return ip4(src, dst, 17, struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload, ident)


def hello(name):
    """A TLS ClientHello with a server name."""
    host = name.encode()
    sni = struct.pack(">HBH", len(host) + 3, 0, len(host)) + host
    extensions = struct.pack(">HH", 0, len(sni)) + sni + struct.pack(">HHB", 43, 3, 2) + b"\x03\x04"
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + struct.pack(">H", len(extensions)) + extensions
    shake = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(shake)) + shake


def query(name, ident):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\x01\0\x01"


def connection(rng, host, server, port, name, rounds, size):
    """The packets of a connection, in order."""
    a, b = rng.getrandbits(32), rng.getrandbits(32)
    there, back = (port, 443), (443, port)
    yield tcp(host, server, there, a, 0, 2)
    yield tcp(server, host, back, b, a + 1, 18)
    a, b = a + 1, b + 1
    yield tcp(host, server, there, a, b, 16)
    first = hello(name)
    yield tcp(host, server, there, a, b, 24, first)
    a += len(first)
    for n in range(rounds):
        data = bytes([23, 3, 3]) + struct.pack(">H", size - 5) + bytes([n & 255]) * (size - 5)
        yield tcp(host, server, there, a, b, 24, data, n)
        a += len(data)
        if n % 4 == 3:
            yield tcp(server, host, back, b, a, 24, data[:200], n)
            b += 200
    yield tcp(host, server, there, a, b, 17)
    yield tcp(server, host, back, b, a + 1, 17)
    yield tcp(host, server, there, a + 1, b + 1, 16)


def piece(seed, frames):
    """So many frames: connections interleaved, a flood and a scan among them."""
    rng = random.Random(seed)
    names = ["content.dropboxapi.com", "www.example.org", "upload.example.net", "api.github.com", "cdn.example.com"]
    # One host carries 4 MB out to a monitored service.
    upload = connection(rng, 0x0A000063, 0xC6336463, rng.randrange(1024, 65_000), names[0], 3_000, 1400)
    live, out = [upload], []
    while len(out) < frames:
        while len(live) < 400:
            host, server = 0x0A000100 + rng.randrange(250), 0xC6336400 + rng.randrange(64)
            rounds = rng.choice([2, 8, 30, 100])
            port = rng.randrange(1024, 65_000)
            live.append(connection(rng, host, server, port, rng.choice(names), rounds, rng.choice([90, 400, 1300])))
        at = rng.randrange(len(live))
        frame = next(live[at], None)
        if frame is None:
            live[at] = live[-1]
            live.pop()
        else:
            out.append(frame)
        kind = rng.random()
        ident = len(out) & 0xFFFF
        if kind < 0.20:  # A flood from anywhere at a server of ours.
            out.append(tcp(rng.getrandbits(32) | 0x40000000, 0x0A000005, (rng.randrange(1024, 65_535), 443), rng.getrandbits(32), 0, 2))
        elif kind < 0.25:  # A host of ours scans.
            out.append(tcp(0x0A000142, 0xCB007100 + rng.randrange(256), (40_000, rng.randrange(1, 65_535)), 1, 0, 2))
        elif kind < 0.30:
            host = 0x0A000100 + rng.randrange(250)
            out.append(udp(host, 0x0A000001, (rng.randrange(1024, 65_000), 53), query(f"h{rng.randrange(500)}.example.org", ident)))
        elif kind < 0.40:
            host = 0x0A000100 + rng.randrange(250)
            out.append(udp(host, 0xC6336500 + rng.randrange(50), (rng.randrange(1024, 65_000), 5004), bytes(160), ident))
    return out[:frames]


def write_pcap(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for i, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1_700_000_000 + i // 50_000, i % 50_000 * 20, len(frame), len(frame)) + frame)


# ---- The cable.


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


class Cable:
    def __init__(self):
        self.near, self.far = (f"soak-{os.getpid()}-{end}" for end in ("gen", "tap"))
        for ns in (self.near, self.far):
            ip("netns", "add", ns)
            for which in ("all", "default"):
                self.run(ns, "sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{which}/disable_ipv6", check=False)
        self.plug()

    def plug(self):
        ip("link", "add", NEAR, "netns", self.near, "type", "veth", "peer", "name", FAR, "netns", self.far)
        for ns, dev in ((self.near, NEAR), (self.far, FAR)):
            ip("-n", ns, "link", "set", dev, "up", "arp", "off")

    def unplug(self):
        ip("-n", self.far, "link", "del", FAR)

    def switch(self, state):
        ip("-n", self.far, "link", "set", FAR, state)

    def run(self, ns, *command, check=True):
        return subprocess.run(["ip", "netns", "exec", ns, *command], check=check, capture_output=True, text=True)

    def send(self, pcap, pps):
        """Sends a file. Gives the number of frames that went out."""
        said = self.run(self.near, "tcpreplay", "-q", f"--intf1={NEAR}", f"--pps={pps}", "--preload-pcap", str(pcap)).stdout
        failed = re.search(r"Failed packets:\s+(\d+)", said)
        sent = re.search(r"Successful packets:\s+(\d+)", said)
        if not sent or (failed and int(failed[1])):
            raise RuntimeError(said)
        return int(sent[1])

    def remove(self):
        for ns in (self.near, self.far):
            ip("netns", "del", ns, check=False)
