"""What device management would read of an export, by parsers that are not Tollgate's; JSON on standard output.

    mdm_readers.py plist FILE            Python's plistlib: a preference domain or a configuration profile
    mdm_readers.py reg FILE FOLDER       hivex (libwin-hivex-perl): merged into a real hive, and read from it
    mdm_readers.py admx FOLDER ENTRIES   Python's ElementTree: each reference resolved, the entries made values
    mdm_readers.py rows FILE             the same for Intune's rows
"""

import json
import pathlib
import plistlib
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

NAMESPACE = "{http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions}"


def plist(path):
    root = plistlib.loads(pathlib.Path(path).read_bytes())
    return root


def empty_hive():
    """A registry hive with nothing in it: header, one bin, the root key and its security."""

    def cell(data):
        size = (len(data) + 4 + 7) // 8 * 8
        return struct.pack("<i", -size) + data.ljust(size - 4, b"\0")

    # A descriptor that refers to itself and says nothing.
    security = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)
    name = b"$$$PROTO.HIV"
    root_at = 32
    none = 0xFFFFFFFF

    def root(security_at):
        record = b"nk" + struct.pack("<HQIIIIIIIIII", 0x2C, 0, 0, none, 0, 0, none, none, 0, none, security_at, none)
        return cell(record + struct.pack("<IIIIIHH", 0, 0, 0, 0, 0, len(name), 0) + name)

    security_at = root_at + len(root(0))
    block = b"sk" + struct.pack("<HIIII", 0, security_at, security_at, 1, len(security)) + security
    cells = root(security_at) + cell(block)
    page = b"hbin" + struct.pack("<IIQQI", 0, 4096, 0, 0, 0) + cells
    free = 4096 - len(page)
    page += struct.pack("<i", free) + bytes(free - 4)
    header = b"regf" + struct.pack("<IIQIIIIIII", 1, 1, 0, 1, 3, 0, 1, root_at, 4096, 1)
    header = header.ljust(508, b"\0")
    checksum = 0
    for (word,) in struct.iter_unpack("<I", header):
        checksum ^= word
    return (header + struct.pack("<I", checksum)).ljust(4096, b"\0") + page


def reg(path, folder):
    text = pathlib.Path(path).read_bytes().decode("utf-16")
    assert text.startswith("Windows Registry Editor Version 5.00\r\n\r\n["), text[:60]
    key = re.search(r"^\[([^\\]+)\\(.+)\]\r$", text, re.M)
    hive = pathlib.Path(folder) / "hive"
    hive.write_bytes(empty_hive())
    merged = pathlib.Path(folder) / "merge.reg"
    # hivex works on one hive with Unix lines; its Perl takes text as Latin-1, so what is more goes as bytes.
    # regedit makes the keys above by itself.
    above = key[2].split("\\")[:-1]
    paths = ["\\".join([key[1], *above[: count + 1]]) for count in range(len(above))]
    begins, _, rest = text.partition("\r\n\r\n")
    text = "\r\n\r\n".join([begins, *(f"[{path}]" for path in paths), rest])
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith('"') and not line.isascii():
            said = re.fullmatch(r'("(?:[^"\\]|\\.)*")="((?:[^"\\]|\\.)*)"', line)
            units = (re.sub(r"\\(.)", r"\1", said[2]) + "\0").encode("utf-16-le")
            line = f"{said[1]}=hex(1):" + ",".join(f"{byte:02x}" for byte in units)
        lines.append(line)
    merged.write_text("\n".join(lines))
    subprocess.run(["hivexregedit", "--merge", "--prefix", key[1], hive, merged], check=True)
    shown = subprocess.run(
        ["hivexregedit", "--export", "--prefix", key[1], hive, "\\" + key[2]], check=True, capture_output=True, text=True
    ).stdout
    assert f"[{key[1]}\\{key[2]}]" in shown, shown[:200]
    values = {}
    for name, kind, data in re.findall(r'^"(.+)"=hex\((\d)\):(.*)$', shown, re.M):
        assert kind == "1", f"{name} is no REG_SZ but {kind}"
        units = bytes.fromhex(data.replace(",", ""))
        values[name] = units.decode("utf-16-le").removesuffix("\0")
    return {"key": f"{key[1]}\\{key[2]}", "values": values}


class Template:
    """An ADMX with its ADML, every reference in them resolved."""

    def __init__(self, admx, adml):
        self.root = ElementTree.fromstring(admx)
        assert self.root.tag == NAMESPACE + "policyDefinitions", self.root.tag
        order = [child.tag.removeprefix(NAMESPACE) for child in self.root]
        assert order == ["policyNamespaces", "resources", "supportedOn", "categories", "policies"], order
        self.categories = {one.get("name"): one for one in self.root.find(NAMESPACE + "categories")}
        self.policies = {one.get("name"): one for one in self.root.find(NAMESPACE + "policies")}
        if adml:
            self.resolve(ElementTree.fromstring(adml))

    def resolve(self, words):
        strings = {one.get("id"): one.text for one in words.iter(NAMESPACE + "string")}
        shown = {one.get("id"): one for one in words.iter(NAMESPACE + "presentation")}
        used = set()
        for element in self.root.iter():
            for value in element.attrib.values():
                for kind, name in re.findall(r"^\$\((string|presentation)\.(\w+)\)$", value):
                    assert name in (strings if kind == "string" else shown), f"{value} is nowhere"
                    used.add((kind, name))
        unused = {("string", name) for name in strings} | {("presentation", name) for name in shown}
        assert not unused - used, f"never used: {unused - used}"
        definitions = {one.get("name") for one in self.root.iter(NAMESPACE + "definition")}
        for name, policy in self.policies.items():
            assert policy.find(NAMESPACE + "parentCategory").get("ref") in self.categories, name
            assert policy.find(NAMESPACE + "supportedOn").get("ref") in definitions, name
            elements = [one.get("id") for group in policy.iter(NAMESPACE + "elements") for one in group]
            boxes = [box.get("refId") for box in shown[name]] if elements else []
            assert elements == boxes, f"{name}: {elements} {boxes}"

    def value(self, name, state, data):
        """What Windows writes for a policy in this state: the value's name and its text."""
        policy = self.policies[name]
        elements = policy.find(NAMESPACE + "elements")
        if elements is None:
            tag = "enabledValue" if state == "enabled" else "disabledValue"
            return policy.get("valueName"), policy.find(NAMESPACE + tag)[0].text
        assert state == "enabled"
        (element,) = elements
        kind = element.tag.removeprefix(NAMESPACE)
        if kind == "enum":
            words = [value.text for value in element.iter(NAMESPACE + "string")]
            assert data in words, f"{name}: {data} is none of {words}"
        elif kind == "decimal":
            assert element.get("storeAsText") == "true", name
            assert int(element.get("minValue")) <= int(data) <= int(element.get("maxValue")), name
        else:
            assert kind == "text", kind
            assert len(data) <= int(element.get("maxLength")), name
        return element.get("valueName"), data

    def path(self, policy):
        below = self.policies[policy].find(NAMESPACE + "parentCategory").get("ref")
        path = [below]
        while (parent := self.categories[path[0]].find(NAMESPACE + "parentCategory")) is not None:
            path.insert(0, parent.get("ref"))
        return "~".join(path)


def admx(folder, entries):
    (path,) = pathlib.Path(folder).glob("*.admx")
    adml = pathlib.Path(folder) / "en-US" / path.with_suffix(".adml").name
    template = Template(path.read_bytes(), adml.read_bytes())
    given = json.loads(pathlib.Path(entries).read_text())["policies"]
    values = dict(template.value(one["policy"], one["state"], one.get("value")) for one in given)
    keys = {policy.get("key") for policy in template.policies.values()}
    return {"keys": sorted(keys), "values": values, "policies": sorted(template.policies)}


def rows(path):
    first, *others = json.loads(pathlib.Path(path).read_text())
    app = re.fullmatch(r"\./Device/Vendor/MSFT/Policy/ConfigOperations/ADMXInstall/(\w+)/Policy/\w+", first["oma_uri"])[1]
    template = Template(first["value"], None)
    values = {}
    for row in others:
        assert row["data_type"] == "String"
        said = re.fullmatch(r"\./(?:Device|User)/Vendor/MSFT/Policy/Config/(\w+)~Policy~([\w~]+)/(\w+)", row["oma_uri"])
        assert said[1] == app and said[2] == template.path(said[3]), row["oma_uri"]
        parts = list(ElementTree.fromstring(f"<row>{row['value']}</row>"))
        data = [part for part in parts if part.tag == "data"]
        assert all(part.get("id") == said[3] for part in data), row
        name, value = template.value(said[3], parts[0].tag, data[0].get("value") if data else None)
        values[name] = value
    return {"values": values}


if __name__ == "__main__":
    found = {"plist": plist, "reg": reg, "admx": admx, "rows": rows}[sys.argv[1]](*sys.argv[2:])
    json.dump(found, sys.stdout)
