"""What schemathesis is told about the server that it fuzzes: who asks, and the names of things that are there.

Requests made up from the document alone are let in nowhere and name nothing. So a share of them carries the credential that
the operation takes, ids of a customer that exists, and codes and tokens that are right. They stand in a generated request as
marks like `@user@`, which are filled in when it is sent: what is generated depends on the seed alone.
"""

import itertools
import os
import re
import time

import requests
import schemathesis
from hypothesis import strategies
from schemathesis.generation.meta import TestPhase

ADMINISTRATOR = os.environ["OTP_ADMIN_TOKEN"]
SERVER = os.environ["OTP_FUZZ_SERVER"]

# After so many requests a customer is left alone, whatever its settings have become.
REQUESTS_OF_A_CUSTOMER = 300

# What a scheme of the document is answered with, by the name of a mark.
CREDENTIALS = {
    "apiKey": ["secret", "test", "publishable"],
    "apiKeyHeader": [],
    "accessToken": ["access"],
    "signupToken": ["signup"],
    "memberSession": [],
    "memberToken": ["member"],
    "administrator": ["administrator"],
}
ANYBODY = ["nobody", "nonsense", *itertools.chain.from_iterable(CREDENTIALS.values())]

# Fields that make a body right, of which there may be several sets.
BODIES = {
    "requestOtp": [{"email": "@address@"}, {"email": "@address@", "deliver": "caller"}],
    "verifyOtp": [
        {"challengeId": "@challenge@", "otp": "@code@"},
        {"email": "@asked@", "otp": "@code@"},
        {"challengeId": "@challenge@", "otp": "000000000"},
    ],
    "refresh": [{"refreshToken": "@refresh@"}, {"token": "@access@"}],
    "signUp": [{"email": "@address@", "companyName": "Acme", "password": "eleven pears in a teapot"}],
    "resendSignup": [{"email": "@address@"}],
    "confirmSignup": [{"email": "@signing@", "token": "@link@"}],
    "createSignupKey": [{"name": "Staging"}],
    "registerMember": [{"email": "@address@", "password": "eleven pears in a teapot"}],
    "confirmMember": [{"email": "@address@", "code": "000000000"}],
    "signInMember": [{"email": "@address@"}, {"email": "@address@", "password": "eleven pears in a teapot"}],
    "recoverMember": [{"email": "@address@"}],
    "acceptInvitation": [{"code": "nonsense"}],
    "createApp": [{"name": "App"}],
    "renameApp": [{"name": "App"}],
    "inviteToTeam": [{"email": "@address@", "role": role} for role in ("owner", "viewer")],
    "appointMember": [{"role": role} for role in ("owner", "viewer")],
    "createCustomer": [{"name": "Other", "email": "@address@"}],
    "editCustomer": [{"plan": plan} for plan in ("free", "pro", "enterprise")],
    "setCustomerStatus": [{"status": status} for status in ("active", "suspended", "cancelled")],
    "createKey": [{"name": "Key"}, {"name": "Key", "type": "publishable", "mode": "test"}],
    "addDomain": [{"domain": "acme.com"}, {"domain": "mail.acme.com"}],
    "sendTestOtp": [{"email": "@address@"}],
    "skipOnboarding": [{"skip": ["webhookConfigured"]}],
}

# Codes of answers after which a customer is of no use.
DEAD = {"invalid_api_key", "invalid_token", "invalid_session", "customer_suspended", "customer_cancelled", "ip_not_allowed"}

MARK = re.compile("@([a-z]+)@")


class Refused(Exception):
    """The server does not do what it has to, for requests to be filled in."""


def call(method, path, credential=None, **body):
    headers = {"X-Forwarded-For": next(ADDRESSES)}
    if credential:
        headers["Authorization"] = f"Bearer {credential}"
    answer = requests.request(method, SERVER + path, headers=headers, json=body or None, timeout=60)
    if not answer.ok:
        raise Refused(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json()


# Every request comes from another network, because limits count them.
ADDRESSES = (f"2001:db8:{number >> 16 & 0xFFFF:x}:{number & 0xFFFF:x}::1" for number in itertools.count(1))


NUMBERS = itertools.count(1)


def fresh_address():
    return f"user{next(NUMBERS)}@example.org"


class Customer:
    """A customer with keys, a user, a domain, and somebody who has just signed up."""

    def __init__(self):
        made = self.made()
        self.requests = 0
        self.id = made["customerId"]
        self.keys = {
            "secret": self.key(scopes=["otp:reveal"])["apiKey"],
            "test": self.key(mode="test")["apiKey"],
            "publishable": self.key(type="publishable")["apiKey"],
        }
        self.spare_key = self.key()["keyId"]
        self.user = self.sign_in()
        call("POST", "/admin/domains/verify", self.keys["secret"], domain="acme.com")
        # What the administrator does is done to another one, or this one would never last.
        self.other = self.made()

    @staticmethod
    def made():
        return call("POST", "/admin/customers", ADMINISTRATOR, name="Fuzz", email=fresh_address(), plan="enterprise")

    def key(self, **options):
        return call("POST", f"/admin/customers/{self.id}/api-keys", ADMINISTRATOR, name="Fuzz", **options)

    def ask(self):
        address = fresh_address()
        asked = call("POST", "/auth/request-otp", self.keys["secret"], email=address, deliver="caller")
        return {"asked": address, "challenge": asked["challengeId"], "code": asked["code"]}

    def sign_in(self):
        asked = self.ask()
        return call(
            "POST", "/auth/verify-otp", self.keys["secret"], challengeId=asked["challenge"], otp=asked["code"]
        )


def sign_up():
    """The address of somebody who signs up, and what the link in the mail carries."""
    address = fresh_address()
    call("POST", "/signup", email=address, companyName="Acme", password="eleven pears in a teapot")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for mail in call("GET", "/dev/mailbox/messages"):
            link = re.search(r"[?&]token=([A-Za-z0-9_.~%-]+)", mail["text"])
            if mail["to"] == address and link:
                return {"signing": address, "link": link.group(1)}
        time.sleep(0.02)
    raise Refused(f"no mail came to {address}")


class Cast:
    """Those who are there at present."""

    def __init__(self):
        self.customer = None
        self.signup_token = None
        self.crew = None

    def alive(self):
        if self.customer is None or self.customer.requests > REQUESTS_OF_A_CUSTOMER:
            self.customer = Customer()
        return self.customer

    def found(self, names, by):
        """What the marks of these names stand for in one request, by the name of who asks."""
        try:
            return self.known(names, by)
        except Refused:
            # The customer's settings or its end may be why; with a new one there is no excuse.
            self.customer = self.signup_token = self.crew = None
            return self.known(names, by)

    def known(self, names, by):
        customer, user = self.alive(), self.alive().user
        customer.requests += 1
        of_other = by == "administrator"
        found = {
            **customer.keys,
            "access": user["token"],
            "administrator": ADMINISTRATOR,
            "nonsense": "otp_live_sk_nonsense",
            "customer": customer.other["customerId"] if of_other else customer.id,
            "key": customer.other["keyId"] if of_other else customer.spare_key,
            "user": user["userId"],
            "session": user["sessionId"],
            "domain": "acme.com",
            "version": "1",
            "address": fresh_address(),
        }
        if names & {"asked", "challenge", "code"}:
            found |= customer.ask()
        if "refresh" in names:
            found["refresh"] = customer.sign_in()["refreshToken"]
        if names & {"signing", "link"}:
            found |= sign_up()
        if "signup" in names:
            found["signup"] = self.signed_up()
        if names & {"member", "app", "appmember", "membersession", "invitation"}:
            found |= self.member()
        return found

    def member(self):
        """A member with an app of its own, by the names of the marks."""
        if self.crew is None:
            signing, password = sign_up(), "eleven pears in a teapot"
            opened = call("POST", "/signup/verify", email=signing["signing"], token=signing["link"])
            let_in = call("POST", "/api/auth/login", email=signing["signing"], password=password, token=True)
            self.crew = {
                "member": let_in["token"],
                "app": opened["customerId"],
                "appmember": let_in["member"]["memberId"],
                "membersession": let_in["sessionId"],
                "invitation": "inv_1111111111111111111111",
            }
        return self.crew

    def signed_up(self):
        if self.signup_token is None:
            signing = sign_up()
            opened = call("POST", "/signup/verify", email=signing["signing"], token=signing["link"])
            self.signup_token = opened["signupToken"]
        return self.signup_token


CAST = Cast()


def of_path(path, name):
    """The mark for a name in a path."""
    if path.startswith("/api/"):
        of_app = {"id": "@app@", "memberId": "@appmember@", "invitationId": "@invitation@"}
        return of_app[name] if path.startswith("/api/app") else "@membersession@"
    if name == "id" and not path.startswith("/admin/customers"):
        return "@session@" if path.startswith("/auth") else "@user@"
    return {"id": "@customer@", "customerId": "@customer@", "keyId": "@key@", "sessionId": "@session@"}.get(
        name, f"@{name}@"
    )


def entitled(operation):
    """Those whom the operation lets in, by the names of their marks."""
    schemes = itertools.chain.from_iterable(operation.definition.raw.get("security", []))
    return [name for scheme in schemes for name in CREDENTIALS[scheme]] or ["nobody"]


def shown_by(case, name):
    """The request with the credential of somebody; `nonsense` leaves what was generated, if anything was."""
    case.headers.pop("X-OTP-API-Key", None)
    if name == "nobody":
        case.headers.pop("Authorization", None)
    elif name != "nonsense" or "Authorization" not in case.headers:
        case.headers["Authorization"] = f"Bearer @{name}@"
    return case


def named(case):
    """The request with names of what is there in its path."""
    case.path_parameters = {name: of_path(case.path, name) for name in case.path_parameters}
    return case


def told(case, fields):
    """The request with fields that are right in its body."""
    if isinstance(case.body, dict):
        case.body = {**case.body, **fields}
    return case


@schemathesis.hook
def before_generate_case(context, strategy):
    allowed = entitled(context.operation)
    credentials = strategies.sampled_from(allowed * 3 + ANYBODY)
    bodies = BODIES.get(context.operation.definition.raw["operationId"], [])
    fields = strategies.sampled_from([None, *bodies])

    def dressed(drawn):
        case, credential, is_named, right = drawn
        case = shown_by(case, credential)
        case = named(case) if is_named else case
        return told(case, right) if right else case

    return strategies.tuples(strategy, credentials, strategies.booleans(), fields).map(dressed)


TURNS = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta and case.meta.phase.name in (TestPhase.EXAMPLES, TestPhase.COVERAGE):
        turn = next(TURNS)
        allowed = entitled(context.operation)
        shown_by(case, allowed[turn // 2 % len(allowed)])
        if turn % 2:
            named(case)
    filled(case)
    case.headers["X-Forwarded-For"] = next(ADDRESSES)


def filled(case):
    """Puts what the marks of a request stand for in their place."""
    parts = [case.headers.get("Authorization", ""), case.path_parameters, case.body]
    names = {name for part in parts for name in marks(part)}
    if not names:
        return
    by = next(iter(marks(parts[0])), None)
    found = CAST.found(names, by)
    if by:
        case.headers["Authorization"] = replaced(parts[0], found)
    case.path_parameters = replaced(case.path_parameters, found)
    case.body = replaced(case.body, found)


def marks(value):
    if isinstance(value, str):
        yield from MARK.findall(value)
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(map(marks, value.values()))


def replaced(value, found):
    if isinstance(value, str):
        return MARK.sub(lambda mark: found.get(mark.group(1), mark.group(0)), value)
    if isinstance(value, dict):
        return {name: replaced(inner, found) for name, inner in value.items()}
    return value


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code not in (401, 403) or "json" not in response.headers.get("content-type", [""])[0]:
        return
    if response.json().get("code") in DEAD and is_ours(case.headers.get("Authorization", "")):
        CAST.customer = CAST.signup_token = CAST.crew = None


def is_ours(authorization):
    """Whether a request was let in until now: nonsense says nothing about the customer."""
    customer = CAST.customer
    tokens = [] if customer is None else [*customer.keys.values(), customer.user["token"]]
    of_signup = [CAST.signup_token or "@", (CAST.crew or {}).get("member", "@")]
    return any(token in authorization for token in [*tokens, *of_signup])
