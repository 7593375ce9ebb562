#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A server with a thread for each connection, in Python alone: one getsockopt() tells the origin (pp_getsockopt(7)).

On a port without a split the header is still in the stream. `take` says how many of its bytes this program has to
discard, before anything else reads from the socket: forget that, and the header is the client's first line."""
import select
import socket
import socketserver
import struct
import time

SOL_PP, PP_TAKE = 0x5050, 2
NONE, PENDING, EXPIRED, VALID, LOCAL, BAD, FRAGMENTED = range(7)
TAKEN = 0x04  # of flags: the header is out of the stream
RECORD = struct.Struct("=8B4x4s16s16sII24x")  # state ... path, ports, src, dst, take, need


class Refused(Exception):
    """The peer is a proxy, and its header is bad or does not come."""


def origin(connection, seconds=3.0):
    """The client's (address, port); None: the peer is an ordinary client, or the proxy itself."""
    until = time.monotonic() + seconds
    while True:
        record = connection.getsockopt(SOL_PP, PP_TAKE, RECORD.size)
        state, _, _, family, _, reason, flags, _, ports, src, _, take, _ = RECORD.unpack(record)
        left = take
        while left:
            # they have arrived; recv() may give fewer at once
            left -= len(connection.recv(left))
        if state == NONE:
            return None
        if state in (EXPIRED, BAD):
            raise Refused(f"state {state}, reason {reason}")
        wait = until - time.monotonic()
        if state in (VALID, LOCAL) and (take or flags & TAKEN):
            if state == LOCAL or family not in (socket.AF_INET, socket.AF_INET6):
                return None
            size = 4 if family == socket.AF_INET else 16
            return socket.inet_ntop(family, src[:size]), int.from_bytes(ports[:2], "big")
        if wait <= 0:
            raise Refused("no header in time")
        if state in (PENDING, FRAGMENTED):
            select.select([connection], [], [], wait)
        else:
            time.sleep(0.005)  # another thread is discarding it


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            client = origin(self.request)
        except Refused as why:
            self.request.sendall(f"554 no origin: {why}\r\n".encode())
            return
        self.request.sendall(f"220 hello, {'%s port %d' % client if client else 'ordinary client'}\r\n".encode())
        # only now: makefile() reads ahead
        for line in self.request.makefile("rb"):
            self.request.sendall(line)


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Server(("::", 2525), Handler).serve_forever()
