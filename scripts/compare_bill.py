"""Holds a bill of materials (CycloneDX, JSON) against the list of crates that a binary
carries (the section `.dep-v0` that `cargo auditable` writes: JSON, deflated)."""

import json
import struct
import sys
import zlib

SECTION = ".dep-v0"
# Of an ELF file of 64 bits, little endian: where its table of sections is, and what
# the fields of an entry are.
TABLE_AT, ENTRY_SIZE_AT, NAMES_AT = 0x28, 0x3A, 0x3E
ENTRY = struct.Struct("<IIQQQQIIQQ")


def section(binary: bytes, name: str) -> bytes:
    """What is in a section of an ELF file."""
    if binary[:6] != b"\x7fELF\x02\x01":
        sys.exit("the binary is no ELF file of 64 bits, little endian")
    (table,) = struct.unpack_from("<Q", binary, TABLE_AT)
    size, count, names = struct.unpack_from("<HHH", binary, ENTRY_SIZE_AT)
    entries = [ENTRY.unpack_from(binary, table + size * of) for of in range(count)]
    names_begin = entries[names][4]
    for entry in entries:
        begin = names_begin + entry[0]
        if binary[begin : binary.index(b"\0", begin)] == name.encode():
            return binary[entry[4] : entry[4] + entry[5]]
    sys.exit(f"the binary has no section {name}: it was not built by `make release`")


def carried(path: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Name and version of each crate that is in the binary, and of those that made it
    too: build scripts' and procedural macros."""
    with open(path, "rb") as file:
        told = json.loads(zlib.decompress(section(file.read(), SECTION)))
    everything, inside = set(), set()
    for of in told["packages"]:
        crate = (of["name"], of["version"])
        everything.add(crate)
        if of.get("kind", "runtime") == "runtime":
            inside.add(crate)
    return inside, everything


def billed(path: str) -> set[tuple[str, str]]:
    """Name and version of each crate that is on the bill."""
    with open(path, encoding="utf-8") as file:
        bill = json.load(file)
    listed = [bill["metadata"]["component"], *bill["components"]]
    return {(of["name"], of["version"]) for of in listed}


def main() -> None:
    """The bill must have all that is in the binary, and no more than what made it."""
    (inside, everything), bill = carried(sys.argv[1]), billed(sys.argv[2])
    for name, version in sorted(inside - bill):
        print(f"in the binary, not on the bill: {name} {version}")
    for name, version in sorted(bill - everything):
        print(f"on the bill, not of the binary: {name} {version}")
    if inside - bill or bill - everything:
        sys.exit(1)
    print(f"{len(inside)} crates in the binary, all on the bill of {len(bill)}")


main()
