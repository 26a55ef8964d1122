"""Captures: read, slice behind the headers as packet brokers do, write small."""

import gzip
import io
import struct

KEPT_PAYLOAD, FULL_PACKETS = {6: 8, 17: 24}, 12


def read(path):
    """Packets of a classic little-endian microsecond capture: (seconds, micros, length, bytes)."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    magic, link = struct.unpack_from("<I", data)[0], struct.unpack_from("<I", data, 20)[0]
    assert magic == 0xA1B2C3D4 and link == 1, f"{path}: not an Ethernet capture of ours"
    at = 24
    while at + 16 <= len(data):
        seconds, micros, kept, length = struct.unpack_from("<IIII", data, at)
        yield seconds, micros, length, data[at + 16 : at + 16 + kept]
        at += 16 + kept


def write(path, packets, snap=262144):
    out = io.BytesIO()
    out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snap, 1))
    for seconds, micros, length, frame in packets:
        out.write(struct.pack("<IIII", seconds, micros, len(frame), length) + frame)
    data = out.getvalue()
    path.write_bytes(gzip.compress(data, 9, mtime=0) if path.suffix == ".gz" else data)


def transport(frame, at=12):
    """(flow and direction, payload length, its offset, offset of the innermost IP header), or None."""
    kind, at = struct.unpack_from("!H", frame, at)[0], at + 2
    while kind == 0x8100:
        kind, at = struct.unpack_from("!H", frame, at + 2)[0], at + 4
    if kind == 0x0800 and frame[at + 9] in (6, 17):
        proto, total = frame[at + 9], struct.unpack_from("!H", frame, at + 2)[0]
        source, target, inner = frame[at + 12 : at + 16], frame[at + 16 : at + 20], at + (frame[at] & 15) * 4
    elif kind == 0x86DD and frame[at + 6] in (6, 17):
        proto, total = frame[at + 6], struct.unpack_from("!H", frame, at + 4)[0] + 40
        source, target, inner = frame[at + 8 : at + 24], frame[at + 24 : at + 40], at + 40
    else:
        return None
    ports = struct.unpack_from("!HH", frame, inner)
    if proto == 17 and ports[1] == 4789:
        return transport(frame, inner + 8 + 8 + 12)
    header = 8 if proto == 17 else (frame[inner + 12] >> 4) * 4
    return (proto, source, target, *ports), at + total - inner - header, inner + header, at


def cut(packets, whole=FULL_PACKETS):
    """The first `whole` packets with payload of each flow and direction stay whole (hello, answer,
    certificate); later ones keep their headers and 8 bytes (UDP: 24). Original lengths stay, so volumes do
    not change."""
    seen = {}
    for seconds, micros, length, frame in packets:
        found = transport(frame)
        if found and found[1] > 0:
            flow, _, payload_at, _ = found
            seen[flow] = seen.get(flow, 0) + 1
            if seen[flow] > whole:
                frame = frame[: payload_at + KEPT_PAYLOAD[flow[0]]]
        yield seconds, micros, length, frame


def without_machine(data):
    """A little-endian pcapng with the words on hardware and operating system blotted out, length kept."""
    data, at = bytearray(data), 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        option = at + {0x0A0D0D0A: 24, 1: 16}.get(kind, size)
        while option < at + size - 4:
            code, length = struct.unpack_from("<HH", data, option)
            if (kind, code) in ((0x0A0D0D0A, 2), (0x0A0D0D0A, 3), (1, 12)):
                data[option + 4 : option + 4 + length] = b"-" * length
            option += 4 + (length + 3) // 4 * 4
        at += size
    return bytes(data)
