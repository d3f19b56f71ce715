"""Tells of each number on standard input what libphonenumber takes it for: country and class as in plan.txt, or `-`."""

import sys

import phonenumbers
from phonenumbers import PhoneNumberType as Type

CLASSES = {
    Type.MOBILE: "m", Type.FIXED_LINE_OR_MOBILE: "m", Type.VOIP: "m", Type.FIXED_LINE: "l", Type.UNKNOWN: "-",
}
PART_OF = {"AC": "SH", "TA": "SH"}

for line in sys.stdin:
    try:
        number = phonenumbers.parse(line.strip())
        country = phonenumbers.region_code_for_number(number)
        # It forgives a trunk prefix, which is no part of a number in international form.
        as_written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == line.strip()
        known = as_written and country not in (None, "001") and phonenumbers.is_valid_number(number)
        told = PART_OF.get(country, country) + CLASSES.get(phonenumbers.number_type(number), "p") if known else "-"
    except phonenumbers.NumberParseException:
        told = "-"
    print(told)
