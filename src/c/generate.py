#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the part of the C API that mirrors C++ options, from the C++ headers: they are the only list of fields.

    src/c/generate.py            writes include/heron/c/{types,optimizers}.h, src/c/{fields,optimizers}.inc, and for the
                                 tests the list of all of it, tests/c_api/list.inc, and the layout of structs,
                                 tests/c_api/layout.inc
    src/c/generate.py --check    writes nothing; fails, naming the file, where one of them is not what it should be
    src/c/generate.py --unreleased
                                 writes a layout that differs from what it was in this minor version, too: only as long
                                 as no release has this version

It reads every public header. What it cannot turn into C it refuses, so that nothing is left out silently: an optimizer,
option, enumerator or named set of options either has its C counterpart, or stands in a list of coverage.py with the
reason why not. To add an option or an optimizer: write the C++ header, run this, commit what it writes.
"""
import argparse
import collections
import pathlib
import re
import sys
import textwrap

sys.dont_write_bytecode = True  # no __pycache__ among the sources
from coverage import (BY_HAND, CALLED, CLASSES, COVERED, CREATED_BY_HAND, FILLED, FORMULAS, GRAPH_HEADERS,
                      GRAPH_OPTIONS, IN_COMMENTS, NOT_COVERED, NOT_PRESETS, PLAIN_CLASSES, SKIPPED, TYPES, VERSIONED)
import layout
from cpp_headers import Header, Refusal, split_commas

SCALARS = {"float": "float", "double": "double", "bool": "bool", "int": "int", "std::uint8_t": "uint8_t",
           "std::uint32_t": "uint32_t", "std::uint64_t": "uint64_t", "const char*": "const char*", "void*": "void*",
           "std::string": "const char*", "Shape": "heron_shape", "Schedule": "heron_schedule"}
# What a name's capitals do not divide.
WORDS = [("AdamW", "Adamw"), ("GaLore", "Galore"), ("NorMuon", "Normuon"), ("AdaMuon", "Adamuon"),
         ("NorDion", "Nordion"), ("4Bit", "4bit"), ("DType", "Dtype"), ("SignSgd", "Signsgd")]
COLUMNS = 110

NOTE = "// Written by src/c/generate.py from the C++ headers; do not edit."
TYPES_HEAD = "// Enumerations and plain structs of the C API, and the version of these headers."
OPTIMIZERS_HEAD = """\
// The optimizers of the C API: for each its options, functions that fill them with defaults or with those of
// a published form, and a function that creates it.
//
// A field's comment begins with its default, where that is not 0, false or empty. heron_..._create() fails
// with HERON_ERROR_INVALID_ARGUMENT, naming the option, for one out of range; it copies what it needs of the
// options, and takes NULL for the defaults. The device must outlive the optimizer, which
// heron_optimizer_destroy() ends (c/train.h). Threads: optimizers of one device may be created from several
// threads at once."""
FIELDS_HEAD = "// Which field of C belongs to which of C++; included by c/convert.hpp."
SOURCE_HEAD = "// The functions that are declared beside options; included by c/optimizers.cpp."
LAYOUT = "tests/c_api/layout.inc"
LIST_HEAD = "// Structs, and optimizers in their published forms, of the C API; included by tests."


def snake(name):
    for word, plain in WORDS:
        name = name.replace(word, plain)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def c_name(name):
    return "heron_" + snake(name)


def enumerator(enum, value):
    return (c_name(enum) + "_" + value).upper()


# --- writing C

class Api:
    def __init__(self, root):
        include = root / "include" / "heron"
        optim = sorted("optim/" + path.name for path in (include / "optim").glob("*.hpp"))
        for path in sorted(include.rglob("*.hpp")):
            name = path.relative_to(include).as_posix()
            if name not in COVERED and name not in optim and not any(
                    name == known or known.endswith("/") and name.startswith(known) for known in NOT_COVERED):
                raise Refusal(f"{path}: neither covered by the C API nor listed as not covered")
        self.headers = [Header(include / name) for name in COVERED + optim]
        self.enums, self.structs, self.optimizers, self.raw = {}, {}, [], {}
        for header in self.headers:
            self.enums.update((enum.name, enum) for enum in header.enums)
            self.raw.update((name, (header, name, comment, body)) for name, comment, body in header.structs)
            self.optimizers += [(name, header) for name in header.optimizers if name != "LayerOptimizer"]
        for header in self.headers:  # a struct of optimizers is an optimizer's options, or belongs to such
            if header.path.parent.name == "optim":
                options = [name for name, _, _ in header.structs]
                for name in header.optimizers:
                    if name != "LayerOptimizer" and name + "Options" not in options:
                        raise Refusal(f"{header.path}: {name} has no {name}Options")
        self.order = []  # of what is written, dependencies first
        for name in TYPES:
            self.need(name)
        self.types = list(self.order)
        for name, _ in self.optimizers:
            self.need(name + "Options")
        for header in self.headers:
            for name, _, _ in header.structs:
                folder = header.path.parent.name
                public = folder == "optim" or name.endswith("Options") and folder != "linalg"
                if public and name not in self.order and name not in BY_HAND and name not in GRAPH_OPTIONS and (
                        header.path.name != "curvature.hpp"):
                    raise Refusal(f"{header.path}: {name} has no C counterpart; list it in TYPES or BY_HAND")
        for name, fields in BY_HAND.items():
            there = [field.name for field in self.read(name).fields]
            if there != fields.split():
                raise Refusal(f"{name} is converted by hand, with the fields {fields.split()}; it has {there}")
        written = {path.name: path.read_text(encoding="utf-8") for path in sorted((include / "c").glob("*.h"))
                   if path.name not in ("types.h", "optimizers.h")}
        declared = set(re.findall(r"\b(heron_\w+)\(", "".join(written.values())))
        self.operations = {function for path in [*(include / "linalg").glob("*.hpp"), include / "curvature.hpp"]
                           for function in Header(path).functions}
        self.by_hand = written
        self.counterparts = self.check_functions(declared)
        for name, text in written.items():
            self.check_comments(name, text)

    def check_functions(self, declared):
        """Each function of a class or namespace that the C API covers is declared in C, too, and so is each of several
        of one name. Returns what they are called there, by the name without the class."""
        called = {}
        for header in self.headers:
            name = header.path.name
            if name in GRAPH_HEADERS or header.path.parent.name + "/" in GRAPH_HEADERS:
                continue
            for name in header.classes:
                if name not in CLASSES + PLAIN_CLASSES and name not in header.optimizers:
                    raise Refusal(f"{header.path}: what is the class {name} in C? See CLASSES")
            functions = header.functions + [function for name, _, body in header.structs
                                            for function in header.struct_functions(name, body)]
            for function, count in collections.Counter(functions).items():
                owner, _, name = function.rpartition("::")
                if owner in PLAIN_CLASSES or owner in header.optimizers and name == "options":
                    continue
                stem = (c_name(owner) if owner else "heron") + "_"
                forms = CALLED.get(function, stem + ("get_" if stem + "get_" + name in declared else "") + name)
                forms = forms if isinstance(forms, tuple) else (forms,)
                if len(forms) != count:
                    raise Refusal(f"{header.path}: there are {count} functions {function}(); list the C counterpart of "
                                  "each in CALLED")
                for form in forms:
                    if form is not None and form not in declared:
                        raise Refusal(f"{header.path}: {function}() has no C counterpart; write {form}(), or say in "
                                      "CALLED why there is none")
                if forms[0] is not None:
                    called.setdefault(name, set()).add(forms[0])
        return {name: forms.pop() for name, forms in called.items() if len(forms) == 1} | IN_COMMENTS

    def check_comments(self, file, text):
        """Comments of C name functions of C alone, but for operations of graphs, which are said to be C++."""
        for line in text.split("\n"):
            for name in re.findall(r"(?<![\w.])(\w+)\(", line.partition("//")[2]):
                if not name.startswith("heron_") and name not in FORMULAS and name not in self.operations:
                    raise Refusal(f"include/heron/c/{file}: a comment names {name}(), which C does not have: {line}")

    def read(self, name):
        header, _, comment, body = self.raw[name]
        return header.read_struct(name, comment, body)

    def versioned(self, name):
        return name in VERSIONED or any(name == optimizer + "Options" for optimizer, _ in self.optimizers)

    def need(self, name):
        if name in self.order:
            return
        if name in self.enums:
            self.order.append(name)
            return
        if name not in self.raw:
            raise Refusal(f"{name}: not found in the headers that the C API covers")
        struct = self.read(name)
        struct.fields = [field for field in struct.fields if (name, field.name) not in SKIPPED]
        self.structs[name] = struct
        for field in struct.fields:
            for inner in re.findall(r"[A-Z]\w+", field.kind):
                if inner not in ("Shape", "Schedule") and not inner.startswith("Vk"):
                    self.need(inner)
        self.order.append(name)

    def c_type(self, kind):
        if kind in SCALARS:
            return SCALARS[kind]
        if kind.startswith("Vk"):
            return kind
        if kind in self.enums or kind in self.structs:
            return c_name(kind)
        raise Refusal(f"no C form of the type {kind}")

    def declare(self, field):
        """The C declarations of a field, and the statement that visits it."""
        kind, name = field.kind, field.name
        match = re.fullmatch(r"std::optional<(.*)>", kind)
        if match:
            return ([f"bool has_{name};", f"{self.c_type(match[1])} {name};"],
                    f"v.optional(c.has_{name}, c.{name}, o.{name});")
        match = re.fullmatch(r"std::vector<(.*)>", kind)
        if match:
            inner = self.c_type(match[1])
            return ([f"uint32_t {name}_count;", f"{inner} {name}[HERON_LIST_CAPACITY];",
                     f"const {inner}* {name}_list;"],
                    f"v.list(c.{name}_count, c.{name}, c.{name}_list, o.{name});")
        if kind == "std::map<std::uint32_t, std::vector<double>>":
            return ([f"heron_axis_exponents {name}[HERON_MAX_RANK];"], f"v.by_rank(c.{name}, o.{name});")
        if kind == "std::map<std::uint32_t, double>":
            return ([f"double {name}[HERON_MAX_RANK];"], f"v.by_rank(c.{name}, o.{name});")
        match = re.fullmatch(r"std::array<(.*), (\d+)>", kind) or re.fullmatch(r"(.*)\[(\d+)\]", kind)
        if match:
            return ([f"{self.c_type(match[1])} {name}[{match[2]}];"], f"v.array(c.{name}, o.{name});")
        return ([f"{self.c_type(kind)} {name};"], f"v(c.{name}, o.{name});")

    def reword(self, text, struct=None):
        """Names of C++ in a comment (of that struct) become those of C."""
        def qualified(match):
            owner, member = match.groups()
            if owner in self.enums and member in [value for value, _ in self.enums[owner].values]:
                return enumerator(owner, member)
            if owner in ("Plan", "Device", "Schedule", "Optimizer", "Buffer"):
                return c_name(owner) + "_" + member
            return c_name(owner) + "." + member if owner in self.structs or owner in BY_HAND else match[0]
        def call(match):
            if struct and match[1] in [preset.name for preset in struct.presets]:
                return f"{c_name(struct.name)}_{match[1]}("
            return self.counterparts.get(match[1], match[1]) + "("
        text = re.sub(r"\b([A-Z]\w+)::(\w+)", qualified, text)
        text = re.sub(r"\.then_(\w+)\(", r", heron_schedule_then_\1(", text)
        text = re.sub(r"(?<![\w.])([a-z]\w+)\(", call, text)
        known = {"EvaluationWeights", *self.enums, *self.structs, *BY_HAND}
        text = re.sub(r"\b[A-Z]\w+Options\b", lambda m: c_name(m[0]) if m[0] in known else m[0], text)
        text = re.sub(r"\b(invalid_argument|corrupt_file|unsupported|internal)\b(?=\))",
                      lambda match: "HERON_ERROR_" + match[0].upper(), text)
        text = re.sub(r"\b[A-Z][a-z]+[A-Z]\w+\b", lambda m: c_name(m[0]) if m[0] in known else m[0], text)
        return text.replace("nullopt: ", "without: ").replace("Throws", "Fails").replace("throws", "fails")

    def default_text(self, struct, field):
        text = None if struct.name in FILLED else field.default
        if text in (None, "", "0", "0.0", "0.0f", "false", "nullptr", "VK_NULL_HANDLE") or field.kind == "std::string":
            return ""
        if any(re.search(rf"\b{function}\(", text) for _, function in NOT_PRESETS):
            return f"as {c_name(struct.name)}_init() sets it"
        text = re.sub(r"(?<=[\d.])f\b|(?<=\d)'(?=\d)", "", self.reword(re.sub(r"\s+", " ", text), struct))
        return "= " + text.replace("{.", ".").replace("}", "").replace("{", "")

    def comment(self, lines, indent="", struct=None):
        text = [self.reword(line, struct) for line in lines]
        return [indent + "//" + (" " + line if line else "") for line in rewrap(text, COLUMNS - len(indent) - 3)]

    def write_enum(self, enum):
        out = self.comment(enum.comment)
        out.append(f"typedef enum {c_name(enum.name)} {{")
        for index, (value, remark) in enumerate(enum.values):
            out += member_lines(f"{enumerator(enum.name, value)} = {index},", [self.reword(line) for line in remark])
        out += [f"    {enumerator(enum.name, 'max_enum')} = 0x7fffffff  // makes it 32 bits wide; no value",
                f"}} {c_name(enum.name)};", ""]
        return out

    def write_type(self, name):
        return self.write_enum(self.enums[name]) if name in self.enums else self.write_struct(self.structs[name])

    def write_struct(self, struct):
        out = self.comment(struct.comment, struct=struct)
        out.append(f"typedef struct {c_name(struct.name)} {{")
        if self.versioned(struct.name):
            out.append(f"    heron_struct header;  // by {c_name(struct.name)}_init()")
        for field in struct.fields:
            declarations, _ = self.declare(field)
            remark = [self.reword(line, struct) for line in field.comment]
            default = self.default_text(struct, field)
            if default:
                remark[:1] = ["; ".join([default] + remark[:1])]
            if field.kind.startswith("std::map"):
                none = "a count of 0" if "vector" in field.kind else "0"
                remark.append(f"Element k - 1 is of k axes; {none}: the default.")
            out += member_lines(declarations[0], remark)
            for rest in declarations[1:]:
                out += member_lines(rest, ["not NULL: all of them are here instead"] if rest.endswith("_list;") else [])
        out += [f"}} {c_name(struct.name)};", ""]
        return out

    def preset_parameters(self, preset):
        """Of a named set: C parameters, C arguments, C++ arguments (each with a comma before it)."""
        declared, arguments, converted = "", "", []
        for part in split_commas(preset.parameters) if preset.parameters else []:
            kind, name = re.fullmatch(r"(.*?) (\w+)(?: = .*)?", part).groups()
            declared += f", {self.c_type(kind)} {name}"
            arguments += f", {name}"
            converted.append(f"enum_of<{kind}>({name})" if kind in self.enums else name)
        return declared, arguments, ", ".join(converted)

    def write_init(self, name):
        """The functions that fill options with defaults, and with those of each named set."""
        struct, c = self.structs[name], c_name(name)
        out, source = [], []
        for preset in [None] + struct.presets:
            declared, arguments, converted = self.preset_parameters(preset) if preset else ("", "", "")
            inline = f"{c}_{preset.name if preset else 'init'}"
            exported = f"heron_init_{c[6:]}" + (f"_{preset.name}" if preset else "")
            value = f"{name}::{preset.name}({converted})" if preset else f"{name}{{}}"
            if preset:
                out += self.comment(preset.comment, struct=struct)
            out += fold(f"HERON_API heron_result {exported}({c}* options, size_t bytes, uint32_t version{declared});")
            out += fold(f"static inline heron_result {inline}({c}* options{declared}) {{")
            out += [f"    return {exported}(options, sizeof *options, HERON_VERSION{arguments});", "}"]
            source += fold(f"heron_result {exported}({c}* options, size_t bytes, uint32_t version{declared}) {{")
            call = f"    return initialize(options, bytes, version, [&] {{ return {value}; }});"
            if len(call) > COLUMNS:
                call = f"    return initialize(options, bytes, version, [&] {{\n        return {value};\n    }});"
            source += [call, "}"]
        return out + [""], source

    def write_create(self, name):
        c = snake(name)
        declaration = (f"heron_result heron_{c}_create(const heron_device* device, const heron_{c}_options* options, "
                       "heron_optimizer** optimizer)")
        return (fold(f"HERON_API {declaration};") + [""],
                fold(declaration + " {") + [f"    return create_optimizer<{name}>(device, options, optimizer);", "}"])

    def visitor(self, name):
        out = ["template <>", f"struct Fields<{c_name(name)}> {{", f"    using Options = {name};",
               f'    static constexpr const char* kName = "{c_name(name)}";',
               "    template <class Visitor, class C, class O>",
               "    static void visit(const Visitor& v, C& c, O& o) {"]
        out += ["        " + self.declare(field)[1] for field in self.structs[name].fields]
        return out + ["    }", "};", ""]

    def by_dependency(self):
        """The headers, those without optimizers first, each after those whose types it uses."""
        home = {name: header for header in self.headers
                for name in [enum.name for enum in header.enums] + [raw for raw, _, _ in header.structs]}
        found = []

        def visit(header):
            if header in found:
                return
            for name, _, _ in header.structs:
                for field in self.structs[name].fields if name in self.structs else []:
                    for inner in re.findall(r"[A-Z]\w+", field.kind):
                        if home.get(inner, header) is not header:
                            visit(home[inner])
            found.append(header)
        for header in sorted(self.headers, key=lambda header: bool(header.optimizers)):
            visit(header)
        return found

    def files(self, root):
        types, optimizers, source, fields = [], [], [], []
        for name in self.types:
            types += self.write_type(name)
            if name in VERSIONED:
                declared, defined = self.write_init(name)
                types, source = types + declared, source + defined
        written = set(self.types)
        for header in self.by_dependency():
            owned = [name for name, at in self.optimizers if at is header]
            new = [name for name in self.order if name not in written and
                   (name in [enum.name for enum in header.enums] or name in [raw for raw, _, _ in header.structs])]
            if not owned and not new:
                continue
            place = "heron/" + header.path.relative_to(root / "include" / "heron").as_posix()
            first = header.head[:header.head.index("")] if "" in header.head else header.head
            optimizers += ["// --- " + " ".join(owned or [place]), ""]
            if owned:
                optimizers += self.comment(first) + [f"// Formulas, state and costs: {place}.", ""]
            for name in new:
                optimizers += self.write_type(name)
                if self.versioned(name):
                    declared, defined = self.write_init(name)
                    optimizers, source = optimizers + declared, source + defined
            for name in owned:
                if name not in CREATED_BY_HAND:
                    declared, defined = self.write_create(name)
                    optimizers, source = optimizers + declared, source + defined
            written.update(new)
        for name in self.order:
            if name in self.enums:
                fields += ["template <>", f"inline constexpr EnumValues kEnumValues<{c_name(name)}> = "
                           f'{{"{c_name(name)}", {len(self.enums[name].values)}}};', ""]
            else:
                fields += self.visitor(name)
        tests = [f"HERON_C_STRUCT({c_name(name)}, {c_name(name)}_init)"
                 for name in self.order if name in self.structs and self.versioned(name)]
        for name in list(self.structs) + list(BY_HAND):
            names = ", ".join(f"f{i}" for i in range(len(self.read(name).fields)))
            tests += fold(f"HERON_C_FIELDS({name}, {names})")
        for name, _ in self.optimizers:
            options, made = c_name(name + "Options"), f"heron_{snake(name)}_create"
            forms = [(f"{name}Options{{}}", f"{options}_init")]
            forms += [(f"{name}Options::{preset.name}()", f"{options}_{preset.name}")
                      for preset in self.structs[name + "Options"].presets if not preset.parameters]
            for value, init in forms if name not in CREATED_BY_HAND else []:
                tests += fold(f"HERON_C_OPTIMIZER({name}, ({value}), {options}, {init}, {made})")
        self.check_comments("types.h", "\n".join(types))
        self.check_comments("optimizers.h", "\n".join(optimizers))
        version = (root / "include" / "heron" / "version.hpp").read_text(encoding="utf-8")
        macros = re.findall(r"^#define HERON_VERSION_\w+ \d+$", version, re.M)
        headers = {
            "include/heron/c/types.h": header_file(TYPES_HEAD, macros + [""], ["heron/c/base.h", "heron/c/schedule.h"],
                                                   types),
            "include/heron/c/optimizers.h": header_file(OPTIMIZERS_HEAD, [], ["heron/c/types.h"], optimizers),
        }
        places = layout.table([*self.by_hand.values(), *headers.values()], [macro.split()[2] for macro in macros[:2]])
        return headers | {
            "src/c/fields.inc": inc_file(FIELDS_HEAD, fields),
            "src/c/optimizers.inc": inc_file(SOURCE_HEAD, source),
            "tests/c_api/list.inc": inc_file(LIST_HEAD, tests),
            LAYOUT: inc_file(layout.HEAD, places),
        }


def member_lines(declaration, remark, indent="    "):
    """A member with what is said about it: behind it where that fits, else above."""
    line = indent + declaration
    if len(remark) == 1 and len(line) + 5 + len(remark[0]) <= COLUMNS:
        return [f"{line}  // {remark[0]}"]
    return [(indent + "// " + part).rstrip() for part in rewrap(remark, COLUMNS - len(indent) - 3)] + [line]


def rewrap(lines, width):
    """Paragraphs that names made too long are filled again; the others stay as they are."""
    out, paragraph = [], []
    for line in lines + [None]:
        if line and not line.startswith(" "):
            paragraph.append(line)
            continue
        if any(len(part) > width for part in paragraph):
            paragraph = textwrap.wrap(" ".join(paragraph), width, break_long_words=False, break_on_hyphens=False)
        out += paragraph
        paragraph = []
        if line is not None:
            out.append(line)
    return out


def fold(line):
    """A declaration that is too long goes on behind its opening parenthesis, parameter by parameter."""
    indent = " " * (line.index("(") + 1)
    out, *rest = line.split(", ")
    lines = []
    for part in rest:
        if len(out) + len(part) + 3 > COLUMNS:
            lines.append(out + ",")
            out = indent + part
        else:
            out += ", " + part
    return lines + [out]


def header_file(head, macros, includes, body):
    system = [f"#include <{name}>" for name in ("stdbool.h", "stddef.h", "stdint.h", "vulkan/vulkan_core.h")]
    return "\n".join(
        ["// SPDX-License-Identifier: MIT", head, NOTE, "#pragma once", ""] + system + [""] + macros +
        [f'#include "{name}"' for name in includes] +
        ["", "#ifdef __cplusplus", 'extern "C" {', "#endif", ""] + body + ["#ifdef __cplusplus", "}", "#endif", ""])


def inc_file(head, body):
    return "\n".join(["// SPDX-License-Identifier: MIT", head, NOTE, ""] + body).rstrip("\n") + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a file is stale")
    parser.add_argument("--unreleased", action="store_true", help="change the layout of structs within a version")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    arguments = parser.parse_args()
    files = Api(arguments.root).files(arguments.root)
    frozen = arguments.root / LAYOUT
    changed = frozen.exists() and layout.broken(frozen.read_text(encoding="utf-8"), files[LAYOUT])
    stale = 0
    if changed and not arguments.unreleased:
        refusal = (f"the layout of structs changes within a minor version, it was {changed}: raise "
                   "HERON_VERSION_MINOR, or, as long as no release has it, run this with --unreleased")
        if not arguments.check:
            raise Refusal(refusal)
        print(refusal, file=sys.stderr)
        stale += 1
    for name, text in files.items():
        path = arguments.root / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if arguments.check:
            print(f"{name} is not what the C++ headers make of it; run src/c/generate.py", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refusal as refusal:
        sys.exit(f"src/c/generate.py: {refusal}")
