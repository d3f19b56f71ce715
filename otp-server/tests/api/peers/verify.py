"""Verifies tokens by PyJWT. Exits 3 when it refuses one."""

import json
import sys

import jwt

given = json.load(sys.stdin)
keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(given["jwks"]).keys}

for entry in given["tokens"]:
    token = entry["token"]
    key = keys[jwt.get_unverified_header(token)["kid"]]
    required = ["iss", "sub", "aud", "sid", "jti", "iat", "nbf", "exp"]
    try:
        claims = jwt.decode(
            token,
            key.key,
            algorithms=[entry["algorithm"]],
            issuer=given["issuer"],
            audience=given["audience"],
            options={"require": required},
        )
    except jwt.InvalidTokenError as refusal:
        print(repr(refusal), file=sys.stderr)
        sys.exit(3)
    assert claims["sid"] == entry["session"] and "otp" in claims["amr"], claims
