# SPDX-License-Identifier: MIT
"""Reads structs, enumerations, classes and functions, with their comments, from the public C++ headers. Knows the
little of C++ that they use, and refuses the rest."""
import re

from coverage import NOT_PRESETS


class Refusal(Exception):
    pass


class Field:
    def __init__(self, kind, name, default, comment):
        self.kind, self.name, self.default, self.comment = kind, name, default, comment


class Struct:
    def __init__(self, name, comment):
        self.name, self.comment, self.fields, self.presets = name, comment, [], []


class Preset:
    def __init__(self, name, parameters, comment):
        self.name, self.parameters, self.comment = name, parameters, comment


class Enum:
    def __init__(self, name, comment):
        self.name, self.comment, self.values = name, comment, []


class Header:
    """Structs, enumerations, classes and functions of one header, with their comments."""

    def __init__(self, path):
        self.path = path
        self.structs, self.enums, self.classes, self.optimizers, self.functions = [], [], [], [], []
        lines = path.read_text(encoding="utf-8").split("\n")
        start = lines.index("#pragma once")
        self.head = [line[3:] for line in lines[1:start]]
        comment, i = [], start + 1
        while i < len(lines):
            line = lines[i]
            i += 1
            if line.startswith("//"):
                comment.append(line[3:])
                continue
            code, _, behind = line.partition("  // ")
            opening = re.match(r"(struct|enum class) (?:HERON_API )?(\w+)(?: : [\w:]+)? \{(.*)", code)
            optimizer = re.match(r"class HERON_API (\w+) : public (?:Layer)?Optimizer \{", line)
            function = re.match(r"(?:HERON_API|constexpr) [\w:<>,&* ]+?[ &*](\w+)\(", line)
            defined = re.match(r"class (?:HERON_API )?(\w+)(?: final)?(?: : [\w:, ]+)? \{$", line)
            if function:
                self.functions.append(function[1])
            if defined:
                self.classes.append(defined[1])
                self.functions += self.public_functions(defined[1], lines[i:lines.index("};", i)])
            elif re.match(r"class ", line) and not re.match(r"class \w+;", line):
                raise Refusal(f"{path}: cannot read '{line}'")
            if optimizer:
                self.optimizers.append(optimizer[1])
            elif path.parent.name == "optim" and ": public " in line:
                raise Refusal(f"{path}: is this an optimizer? {line}")
            if opening:
                kind, name, rest = opening.groups()
                body = []
                if behind:
                    comment.append(behind[0].upper() + behind[1:] + ".")
                if rest.endswith("};"):
                    body = [part.strip() + "," for part in rest[:-2].split(",") if part.strip()]
                else:
                    while lines[i] != "};":
                        body.append(lines[i])
                        i += 1
                    i += 1
                if kind == "struct":
                    self.structs.append((name, comment, body))
                else:
                    self.enums.append(self.read_enum(name, comment, body))
            comment = []

    def public_functions(self, name, body):
        """Class::function of each public function that is neither an operator nor a constructor."""
        found, public = [], False
        for line in body:
            if re.match(r"(public|private|protected):", line):
                public = line == "public:"
            function = re.match(r"    (?:static |virtual )?(?:const )?[\w:<>,&* ]+?[ &*](\w+)\(", line)
            if public and function and function[1] != name and not re.match(r"    return|.*\boperator\b", line):
                found.append(f"{name}::{function[1]}")
        return found

    def struct_functions(self, name, body):
        """Struct::function of each function of a plain struct's objects that is no operator."""
        texts = [text.removeprefix("HERON_API ") for text, _, _ in members(body, ";")]
        functions = [re.match(r"(?!static )[\w:<>*& ]+? (\w+)\(", text) for text in texts]
        return [f"{name}::{function[1]}" for function in functions if function]

    def read_enum(self, name, comment, body):
        enum = Enum(name, comment)
        for text, before, after in members(body, ","):
            match = re.fullmatch(r"(\w+)(?: = \d+)?", text)
            if not match:
                raise Refusal(f"{self.path}: cannot read the enumerator '{text}' of {name}")
            enum.values.append((match[1], before + joined(after)))
        for index, (text, _, _) in enumerate(members(body, ",")):
            if " = " in text and int(text.split(" = ")[1]) != index:
                raise Refusal(f"{self.path}: {name} must count from 0")
        return enum

    def read_struct(self, name, comment, body):
        struct = Struct(name, comment)
        for text, before, after in members(body, ";"):
            text = re.sub(r"^HERON_API ", "", text)
            preset = re.match(r"static (?:constexpr )?(\w+) (\w+)\((.*?)\)", text)
            if preset:
                if preset[1] == name:
                    struct.presets.append(Preset(preset[2], preset[3], before + joined(after)))
                elif (name, preset[2]) not in NOT_PRESETS:
                    raise Refusal(f"{self.path}: what is {name}::{preset[2]}() in C?")
                continue
            if re.match(r"[\w:<>*& ]+? (operator==|\w+)\(", text):  # a member function
                continue
            match = re.fullmatch(r"((?:const )?[\w:]+(?:<.*?>+)?[*&]?) (\w.*)", text, re.S)
            if not match:
                raise Refusal(f"{self.path}: cannot read '{text}' of {name}")
            for number, declarator in enumerate(split_commas(match[2])):
                declared = re.fullmatch(r"(\w+)(\[\d+\])?\s*(?:= ?(.*)|\{(.*)\})?", declarator, re.S)
                if not declared:
                    raise Refusal(f"{self.path}: cannot read '{declarator}' of {name}")
                default = declared[3] if declared[3] is not None else declared[4]
                notes = before + joined(after) if number == 0 else []
                struct.fields.append(Field(match[1] + (declared[2] or ""), declared[1], default, notes))
        return struct


def members(body, end):
    """(text, comment lines before it, comment lines after it) of each member; `end` ends one."""
    found, before, statement = [], [], ""
    depth = 0
    for line in body:
        code, slashes, remark = line.partition("//")
        code, remark = code.strip(), remark.removeprefix(" ").rstrip()
        if not code and slashes:
            continues = found and not before and not statement and len(line) - len(line.lstrip()) > 4 and found[-1][2]
            (found[-1][2] if continues else before).append(remark)
            continue
        if not code:
            before = []
            continue
        statement = (statement + " " + code).strip()
        depth += sum(code.count(c) for c in "{(") - sum(code.count(c) for c in "})")
        function = end == ";" and depth == 0 and statement.endswith("}") and "(" in statement
        if depth == 0 and (statement.endswith(end) or function) or end == "," and depth == 0:
            text = statement.rstrip(end + "}" if function else end).strip()
            found.append((text, before, [remark] if slashes else []))
            before, statement = [], ""
    if statement:
        raise Refusal(f"cannot read '{statement}'")
    return found


def joined(lines):
    """A remark behind a member and its continuations, as one line."""
    return [" ".join(lines)] if lines else []


def split_commas(text):
    parts, depth = [""], 0
    for c in text:
        depth += (c in "({<") - (c in ")}>")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts]


