"""Writes otp-core/src/numbering/plan.txt from the metadata of libphonenumber, as the package `phonenumbers` carries it:

    python xtask/peers/numbering.py > otp-core/src/numbering/plan.txt

Each pattern becomes an automaton; walking all of them along the digits of a calling code gives the shortest prefixes behind
which every number of a length is of one country and one class.
"""

import re._parser as sre
import sys
from collections import defaultdict

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

# As libphonenumber asks, first to last.
TYPES = [
    ("premium_rate", "p"), ("toll_free", "p"), ("shared_cost", "p"), ("voip", "m"), ("personal_number", "p"),
    ("pager", "p"), ("uan", "p"), ("voicemail", "p"), ("fixed_line", "l"), ("mobile", "m"),
]
# Of prefixes that are longer, the kindest class stands for all behind it.
DEEPEST = 7
KINDEST = "mlp"
# Reserved for places that ISO 3166 counts as parts of Saint Helena.
PART_OF = {"AC": "SH", "TA": "SH"}


class Automaton:
    """A pattern over digits, by sets of states."""

    def __init__(self, pattern):
        self.edges, self.silent = [], []
        start, end = self.new(), self.new()
        self.build(sre.parse(pattern), start, end)
        self.start, self.end = self.close({start}), end
        self.memo = {}

    def new(self):
        self.edges.append([])
        self.silent.append([])
        return len(self.edges) - 1

    def build(self, tree, start, end):
        for operation, value in tree:
            after = self.new()
            self.one(str(operation), value, start, after)
            start = after
        self.silent[start].append(end)

    def one(self, operation, value, start, end):
        if operation == "LITERAL":
            self.edges[start].append(({value - 48}, end))
        elif operation == "IN":
            self.edges[start].append((digits(value), end))
        elif operation == "SUBPATTERN":
            self.build(value[-1], start, end)
        elif operation == "BRANCH":
            for branch in value[1]:
                self.build(branch, start, end)
        elif operation == "MAX_REPEAT":
            least, most, tree = value
            for number in range(int(most)):
                if number >= least:
                    self.silent[start].append(end)
                after = self.new()
                self.build(tree, start, after)
                start = after
            self.silent[start].append(end)
        else:
            raise ValueError(operation)

    def close(self, states):
        found, todo = set(states), list(states)
        while todo:
            for state in self.silent[todo.pop()]:
                if state not in found:
                    found.add(state)
                    todo.append(state)
        return frozenset(found)

    def step(self, states, digit):
        key = (states, digit)
        if key not in self.memo:
            self.memo[key] = self.close({to for state in states for known, to in self.edges[state] if digit in known})
        return self.memo[key]


def digits(members):
    found = set()
    for operation, value in members:
        operation = str(operation)
        if operation == "LITERAL":
            found.add(value - 48)
        elif operation == "RANGE":
            found.update(range(value[0] - 48, value[1] - 47))
        elif operation == "CATEGORY":
            found.update(range(10))
        else:
            raise ValueError(operation)
    return found


class Code:
    """A calling code: which numbers behind it are whose."""

    def __init__(self, code, regions):
        self.code, self.parts, self.automata, lengths = code, [], [], set()
        for region in regions:
            meta = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            leading = self.automaton(meta.leading_digits and f"(?:{meta.leading_digits})\\d{{0,14}}")
            kinds = []
            for name, letter in TYPES:
                described = getattr(meta, name)
                pattern = described and described.national_number_pattern
                if pattern and pattern != "NA":
                    possible = described.possible_length or meta.general_desc.possible_length
                    kinds.append((name, letter, self.automaton(pattern), frozenset(possible)))
                    lengths.update(possible)
            self.parts.append((PART_OF.get(region, region), leading, kinds))
        self.lengths = sorted(lengths - {-1})
        self.walked = {}

    def automaton(self, pattern):
        if not pattern:
            return None
        self.automata.append(Automaton(pattern))
        return len(self.automata) - 1

    def accepts(self, states, number):
        return number is not None and self.automata[number].end in states[number]

    def outcome(self, states, length):
        for region, leading, kinds in self.parts:
            if leading is not None:
                if not self.accepts(states, leading):
                    continue
            found = [
                (name, letter) for name, letter, number, possible in kinds
                if length in possible and self.accepts(states, number)
            ]
            if found:
                names = [name for name, _ in found]
                mobile_too = names[0] == "fixed_line" and "mobile" in names
                return region, "m" if mobile_too else found[0][1]
            if leading is not None:
                return None
        return None

    def step(self, states, digit):
        return tuple(automaton.step(known, digit) for automaton, known in zip(self.automata, states))

    def results(self, states, left, length):
        """What the numbers are that have so many digits more."""
        key = (states, left, length)
        if key not in self.walked:
            if left == 0:
                self.walked[key] = frozenset([self.outcome(states, length)])
            elif not any(states):
                self.walked[key] = frozenset([None])
            else:
                after = (self.results(self.step(states, digit), left - 1, length) for digit in range(10))
                self.walked[key] = frozenset().union(*after)
        return self.walked[key]

    def rules(self):
        yield from self.walk("", tuple(automaton.start for automaton in self.automata), self.lengths)

    def walk(self, prefix, states, lengths):
        decided, open_ones = {}, []
        for length in lengths:
            results = self.results(states, length - len(prefix), length)
            if len(results) == 1 or len(prefix) == min(DEEPEST, length):
                kindest = min((result for result in results if result), key=lambda of: KINDEST.index(of[1]), default=None)
                if kindest:
                    decided.setdefault(kindest, []).append(length)
            else:
                open_ones.append(length)
        for (region, letter), of_lengths in sorted(decided.items()):
            yield prefix, region, letter, of_lengths
        for digit in range(10) if open_ones else ():
            yield from self.walk(prefix + str(digit), self.step(states, digit), open_ones)


def main():
    print(f"# libphonenumber {phonenumbers.__version__} by xtask/peers/numbering.py. Its metadata is the work of the")
    print("# libphonenumber authors, under the Apache License 2.0. A line: digits behind the +; those that may follow; country,")
    print("# class (m mobile or internet, l landline, p premium, shared or free) and how many digits there are in all, in hexadecimal.")
    grouped = defaultdict(str)
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        if regions != ("001",):
            for prefix, region, letter, lengths in Code(code, regions).rules():
                total = "".join(f"{length + len(str(code)):x}" for length in sorted(lengths))
                whole = f"{code}{prefix}"
                grouped[whole[:-1], f"{region}{letter}{total}"] += whole[-1]
    print("\n".join(sorted(f"{stem} {following} {what}" for (stem, what), following in grouped.items())))


sys.setrecursionlimit(10_000)
main()
