# SPDX-License-Identifier: MIT
"""Sizes of the C API's structs, places of their members, where pointers have 64 bits, and numbers of enumerators: the
table that freezes them within a minor version. A compiler checks it, in tests/c_api/c_layout.c."""
import re

from cpp_headers import Refusal

HEAD = ("// Sizes of the C API's structs and places of their members, in bytes, where pointers have 64 bits, and\n"
        "// numbers of enumerators; included by c_layout.c. They stay within a minor version (heron/heron.h).")
BYTES = {"bool": 1, "uint8_t": 1, "uint16_t": 2, "int": 4, "uint32_t": 4, "float": 4, "VkBufferUsageFlags": 4,
         "VkPhysicalDeviceType": 4, "uint64_t": 8, "int64_t": 8, "double": 8, "size_t": 8, "VkDeviceSize": 8,
         "VkDeviceAddress": 8}
HANDLES = ["VkBuffer", "VkDevice", "VkInstance", "VkPhysicalDevice", "VkPipelineCache", "VkQueue", "VkSemaphore"]


def sizes_and_places(headers):
    """(struct, bytes, [(member, byte)]) of each struct in the texts of headers."""
    text = re.sub(r"//.*", "", "\n".join(headers))
    numbers = {name: int(value) for name, value in re.findall(r"#define (\w+) (\d+)\n", text)} | {"VK_UUID_SIZE": 16}
    known = {name: (size, size) for name, size in BYTES.items()}
    known |= {name: (4, 4) for name in re.findall(r"typedef enum (\w+) \{", text)}
    known |= {name: (8, 8) for name in HANDLES + re.findall(r"typedef \w+ \(\*(\w+)\)\(", text)}
    structs = dict(re.findall(r"typedef struct (\w+) \{\n(.*?)\n\} \1;", text, re.S))
    found = {}

    def measure(kind, owner):
        if kind.endswith("*") or kind.startswith("PFN_"):
            return 8, 8
        if kind in structs and kind not in known:
            known[kind] = lay_out(kind)
        if kind not in known:
            raise Refusal(f"{owner}: how many bytes has a {kind}? See src/c/layout.py")
        return known[kind]

    def lay_out(struct):
        at, widest, members = 0, 1, []
        for statement in structs[struct].split(";"):
            statement = " ".join(statement.split())
            if not statement:
                continue
            function = re.fullmatch(r".*\(\*(\w+)\)\(.*\)", statement)
            member = re.fullmatch(r"(?:const )?(.*?) (\w+)(?:\[(\w+)\])?", statement)
            if not function and not member:
                raise Refusal(f"{struct}: cannot read '{statement}'")
            name = function[1] if function else member[2]
            size, alignment = (8, 8) if function else measure(member[1], f"{struct}.{name}")
            count = 1
            if not function and member[3]:
                count = int(member[3]) if member[3].isdigit() else numbers[member[3]]
            at += -at % alignment
            members.append((name, at))
            at += size * count
            widest = max(widest, alignment)
        size = at + -at % widest
        found[struct] = (size, members)
        return size, widest

    for struct in structs:
        measure(struct, struct)
    return [(struct, *found[struct]) for struct in structs]


def table(headers, version):
    """Its lines; `version`: (major, minor)."""
    lines = [f"HERON_LAYOUT_VERSION({version[0]}, {version[1]})", ""]
    for struct, size, members in sizes_and_places(headers):
        lines.append(f"HERON_LAYOUT_STRUCT({struct}, {size})")
        lines += [f"HERON_LAYOUT_MEMBER({struct}, {name}, {at})" for name, at in members]
    for body in re.findall(r"typedef enum \w+ \{\n(.*?)\n\}", "\n".join(headers), re.S):
        lines += [f"HERON_LAYOUT_ENUMERATOR({name}, {number})"
                  for name, number in re.findall(r"(\w+) = (-?\d+)\b", re.sub(r"//.*", "", body))]
    return lines


def broken(old, new):
    """The first line of a table of the same version that the new one does not have, or None."""
    present = set(new.split("\n"))
    lines = [line for line in old.split("\n") if line.startswith("HERON_LAYOUT_")]
    if not lines or lines[0] not in present:
        return None
    return next((line for line in lines if line not in present), None)
