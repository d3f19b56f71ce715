# Makes the codes of each URI at each time, or at each counter, by pyotp.
import json
import sys

import pyotp

codes = []
for asked in json.load(sys.stdin):
    otp = pyotp.parse_uri(asked["uri"])
    assert (otp.issuer, otp.name) == (asked["issuer"], asked["account"]), (otp.issuer, otp.name)
    codes.append([otp.at(moment) for moment in asked["at"]])
print(json.dumps(codes))
