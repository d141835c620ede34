#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails, naming them, where a type or a function of the public headers has no comment.

A type has one above or behind its first line, or its members have; a function above or behind it, or its group, the
lines without a blank one between them. (Doxygen knows neither of the latter, so that its own warnings would ask for
comments that repeat a name: docs/api/Doxyfile switches them off. Small members of classes are not looked at.)
"""
import pathlib
import re
import sys

TYPE = re.compile(r"(?:typedef )?(?:class|struct|enum class|enum) (?:HERON_API )?(\w+)\b.*\{")
FUNCTION = re.compile(r" *HERON_API [^={]*?\b(\w+)\(")
# Said once for all of them, at the top of c/base.h, c/newton.h and c/optimizers.h.
SAID_ONCE = re.compile(r"heron_init_\w+|heron_\w+_(create|destroy)")


def commented(line):
    return "//" in line


def has_comment_above(lines, i):
    return lines[i - 1].lstrip().startswith("//")


def undocumented(lines):
    for i, line in enumerate(lines):
        kind, function = TYPE.match(line), FUNCTION.match(line)
        if kind:
            end = i
            while not re.match(r"\}|.*\};", lines[end]):
                end += 1
            if not has_comment_above(lines, i) and not any(map(commented, lines[i:end + 1])):
                yield i + 1, kind[1]
        elif function and not SAID_ONCE.fullmatch(function[1]):
            end = i
            while not re.search(r"[;{]", lines[end]):
                end += 1
            first = i
            while lines[first - 1].strip() and not lines[first].lstrip().startswith("//"):
                first -= 1
            if not lines[first].lstrip().startswith("//") and not commented(lines[end]):
                yield i + 1, function[1]


def main():
    include = pathlib.Path(__file__).resolve().parents[2] / "include"
    found = [f"{path.relative_to(include)}:{line}: {name} has no comment"
             for path in sorted(include.rglob("*.h*"))
             for line, name in undocumented(path.read_text(encoding="utf-8").split("\n"))]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
