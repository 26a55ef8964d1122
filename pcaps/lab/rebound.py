"""Puts a file by HTTP/3 (aioquic), the second half from another port, as if a translator of addresses had forgotten the
first: `rebound.py NAME FILE CA`. The connection and its ids stay; prints the two ports."""

import asyncio
import socket
import sys
from pathlib import Path

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.quic.configuration import QuicConfiguration


class Client(QuicConnectionProtocol):
    def __init__(self, *given, **more):
        super().__init__(*given, **more)
        self.http, self.answered = H3Connection(self._quic), asyncio.Event()

    def quic_event_received(self, event):
        for answer in self.http.handle_event(event):
            if answer.stream_ended:
                self.answered.set()

    def port(self):
        return self._transport.get_extra_info("sockname")[1]


async def put(name, data, ca):
    setup = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=name)
    setup.load_verify_locations(ca)
    async with connect(name, 443, configuration=setup, create_protocol=Client) as client:
        stream, half = client._quic.get_next_available_stream_id(), len(data) // 2
        client.http.send_headers(stream, [(b":method", b"PUT"), (b":scheme", b"https"), (b":authority", name.encode()),
                                          (b":path", b"/files/secret.zip")])
        client.http.send_data(stream, data[:half], end_stream=False)
        client.transmit()
        while client._quic._streams[stream].sender._buffer:
            await asyncio.sleep(0.05)
        ports = [client.port()]
        fresh = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        fresh.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        fresh.bind(("::", 0))
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: client, sock=fresh)
        ports.append(client.port())
        client.http.send_data(stream, data[half:], end_stream=True)
        client.transmit()
        await asyncio.wait_for(client.answered.wait(), 60)
        print(*ports)


asyncio.run(put(sys.argv[1], Path(sys.argv[2]).read_bytes(), sys.argv[3]))
