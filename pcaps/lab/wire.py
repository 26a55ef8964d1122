#!/usr/bin/env python3
"""A piece of wire between two interfaces: wire.py NEAR FAR [--loss P --reorder P --delay-ms N] [--tag VID]

It stands in for `tc netem` and for 802.1Q interfaces, which not every kernel has, and loses the
same frames again when run again. With --tag, frames on FAR carry the tag and frames on NEAR do not.
"""

import argparse
import heapq
import random
import select
import socket
import struct
import time

SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING, TAG_VALID = 263, 8, 4, 0x10


def open_port(name):
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
    port.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    port.bind((name, 0))
    return port


def receive(port):
    """One frame and its VLAN tag, which the kernel has taken out of it; None for our own."""
    frame, extra, _, sender = port.recvmsg(65536, 256)
    if sender[2] == PACKET_OUTGOING:
        return None, None
    for level, kind, data in extra:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
            return frame, tci & 0xFFF if status & TAG_VALID else None
    return frame, None


def retag(frame, tag, outward, vid):
    """The frame as the other side wants it; None when it is not ours to carry."""
    if vid is None:
        return frame
    if outward:
        return frame[:12] + struct.pack("!HH", 0x8100, vid) + frame[12:]
    return frame if tag == vid else None


def main():
    cli = argparse.ArgumentParser()
    cli.add_argument("near")
    cli.add_argument("far")
    cli.add_argument("--loss", type=float, default=0)
    cli.add_argument("--reorder", type=float, default=0)
    cli.add_argument("--delay-ms", type=float, default=0)
    cli.add_argument("--tag", type=int)
    args = cli.parse_args()
    chance = random.Random(args.near)
    near, far = open_port(args.near), open_port(args.far)
    other, waiting, count = {near: far, far: near}, [], 0
    while True:
        pause = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        for port in select.select([near, far], [], [], pause)[0]:
            frame, tag = receive(port)
            frame = frame and retag(frame, tag, port is near, args.tag)
            if frame is None or chance.random() < args.loss:
                continue
            late = 2 if chance.random() < args.reorder else 1
            count += 1
            due = time.monotonic() + late * args.delay_ms / 1000
            heapq.heappush(waiting, (due, count, frame, other[port]))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, frame, port = heapq.heappop(waiting)
            port.send(frame)


if __name__ == "__main__":
    main()
