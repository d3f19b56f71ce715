"""An SMTP server for tests: prints its port, then one JSON line for each mail that it takes.

usage: smtp.py [--tls none|starttls|implicit] [--cert FILE --key FILE] [--login USER:PASSWORD] [--ascii]

A recipient whose local part begins with temp451 is refused with 451, one with perm550 with 550, and so on for every code;
the answer quotes the address, as many servers do. The server ends when its standard input does.
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import re
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

ENHANCED = {"4": "4.7.1", "5": "5.1.1"}


def refusal(address):
    """The answer that the address asks for, or None."""
    wanted = re.match(r"(?:temp|perm)([45]\d\d)", address)
    if wanted is None:
        return None
    code = wanted.group(1)
    return f"{code} {ENHANCED[code[0]]} <{address}> is refused, as it wishes"


def body(message, kind):
    part = message.get_body(preferencelist=(kind,))
    return None if part is None else part.get_content().replace("\r\n", "\n").rstrip("\n")


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = refusal(address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        raw = email.message_from_bytes(envelope.content)
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        taken = {
            "connection": ":".join(map(str, session.peer)),
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "login": session.auth_data,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in raw.items()],
            "subject": parsed["subject"],
            "sender": parsed["from"].addresses[0].display_name,
            "sender_addresses": [address.addr_spec for address in parsed["from"].addresses],
            "content_type": parsed.get_content_type(),
            "text": body(parsed, "plain"),
            "html": body(parsed, "html"),
        }
        print(json.dumps(taken), flush=True)
        return "250 2.0.0 OK, queued"


def authenticator(login):
    def check(server, session, envelope, mechanism, data):
        given = f"{data.login.decode()}:{data.password.decode()}"
        # With `handled=True`, the default, a failure would be left without an answer.
        return AuthResult(success=given == login, handled=False, auth_data=data.login.decode())

    return check


def tls_context(options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    return context


def protocol(options):
    settings = {"hostname": "peer.test", "enable_SMTPUTF8": not options.ascii}
    if options.login:
        settings |= {
            "authenticator": authenticator(options.login),
            "auth_required": True,
            # Of TLS that a connection began with it does not know.
            "auth_require_tls": options.tls == "starttls",
        }
    if options.tls == "starttls":
        settings |= {"tls_context": tls_context(options), "require_starttls": True}
    return SMTP(Handler(), **settings)


async def serve(options):
    loop = asyncio.get_running_loop()
    implicit = tls_context(options) if options.tls == "implicit" else None
    server = await loop.create_server(lambda: protocol(options), "127.0.0.1", 0, ssl=implicit)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", choices=["none", "starttls", "implicit"], default="none")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--login", metavar="USER:PASSWORD")
    parser.add_argument("--ascii", action="store_true", help="take no addresses beyond ASCII")
    # Clients that break off, and a password without STARTTLS, are what some tests want.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    asyncio.run(serve(parser.parse_args()))


main()
