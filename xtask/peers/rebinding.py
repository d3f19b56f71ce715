"""A DNS server for tests, whose answers change from one question to the next: prints its port.

Of rebind.test it says a public address, then 127.0.0.1, and so on in turn; of mixed.test both at once; of every other name
127.0.0.1. No answer may be kept. The public address is of 3ffe::/16, which was given back (RFC 3701) and leads nowhere. The
server ends when its standard input does.
"""

import itertools
import sys

from dnslib import AAAA, QTYPE, RR, A
from dnslib.server import BaseResolver, DNSLogger, DNSServer

PUBLIC = ("AAAA", AAAA("3ffe::1"))
LOOPBACK = ("A", A("127.0.0.1"))


class Rebinding(BaseResolver):
    def __init__(self):
        # Each look-up is two questions, one for each kind of address.
        self.turns = itertools.cycle([PUBLIC, PUBLIC, LOOPBACK, LOOPBACK, LOOPBACK])

    def resolve(self, request, handler):
        asked = QTYPE[request.q.qtype]
        name = str(request.q.qname).lower()
        answers = {"rebind.test.": lambda: [next(self.turns)], "mixed.test.": lambda: [PUBLIC, LOOPBACK]}
        reply = request.reply()
        for kind, data in answers.get(name, lambda: [LOOPBACK])():
            if kind == asked:
                reply.add_answer(RR(request.q.qname, QTYPE.reverse[kind], ttl=0, rdata=data))
        return reply


server = DNSServer(Rebinding(), address="127.0.0.1", port=0, logger=DNSLogger("-request,-reply,-truncated"))
server.start_thread()
print(server.server.server_address[1], flush=True)
sys.stdin.read()
