"""A client of manifests that shares no line with Tollgate's: its own reader, written after docs/manifest.md.

    manifest.py write > contract/data/manifest-vectors.json   makes the vectors
    manifest.py < contract/data/manifest-vectors.json         reads them, and says {"agrees": N} or what it found else

Only the signature comes from elsewhere: PyPI's cryptography.
"""

import base64
import hashlib
import io
import json
import re
import sys
import zipfile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TYPE = "application/vnd.tollgate.manifest.v1+json"
NOW = 1_790_000_000


def b64(data):
    return base64.b64encode(data).decode()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def canonical(value):
    """RFC 8785 for what a manifest has: ASCII member names, whole numbers below 2^53, no others."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def covered(kind, payload):
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


# --- The client ------------------------------------------------------------------------------------------


class Refused(Exception):
    """A code of the vectors."""


def once(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a member twice")
    return dict(pairs)


def parse(text):
    return json.loads(text, object_pairs_hook=once)


def unpack(envelope, pins):
    """The payload, if a pinned key has signed it as a manifest."""
    try:
        outer = parse(envelope)
        kind, payload, signatures = outer["payloadType"], outer["payload"], outer["signatures"]
        if set(outer) != {"payloadType", "payload", "signatures"}:
            raise ValueError("another member")
        payload = base64.b64decode(payload, validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("malformed") from error
    if kind != TYPE:
        raise Refused("other_type")
    code = "unknown_key"
    for signed in signatures:
        for pin in (pin for pin in pins if pin["key_id"] == signed["keyid"]):
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(pin["public_key"]))
            try:
                key.verify(base64.b64decode(signed["sig"]), covered(kind, payload))
                return payload
            except InvalidSignature:
                code = "forged"
    raise Refused(code)


DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com\d|lpt\d)\Z", re.I)


def bad_part(part):
    return (
        part in ("", ".", "..")
        or not all(" " <= sign <= "~" for sign in part)
        or any(sign in '\\:*?"<>|' for sign in part)
        or part[-1] in ". "
        or part[0] == " "
        or DEVICE.match(part.split(".")[0].rstrip()) is not None
    )


def bad_path(path):
    return not 1 <= len(path) <= 160 or any(bad_part(part) for part in path.split("/"))


def bad_name(name):
    return (
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) is None
        or name.lower() in ("unknown", "org", "org-provisioned")
        or bad_part(name)
    )


def rising(names):
    keys = [name.encode() for name in names]
    return all(one < next_ for one, next_ in zip(keys, keys[1:]))


def clash(paths):
    """Would two of them be one on a disk that does not tell cases apart?"""
    seen = {}
    for path in paths:
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            part, is_file = "/".join(parts[:end]), end == len(parts)
            before = seen.setdefault(part.lower(), (part, is_file))
            if before[0] != part or (before[1] != is_file):
                return True
    return False


def faulty(document):
    """Is there anything that this client would not write to a disk?"""
    plugins = document["plugins"]
    names = [plugin["name"] for plugin in plugins]
    if document["schema"] != "tollgate.manifest/v1" or document["expires_at"] <= document["issued_at"]:
        return True
    if not rising(names) or any(map(bad_name, names)) or len({name.lower() for name in names}) != len(names):
        return True
    for plugin in plugins:
        paths = [file["path"] for file in plugin["files"]]
        if not paths or not rising(paths) or any(map(bad_path, paths)) or clash(paths):
            return True
        if sha256(canonical(plugin["files"])) != plugin["directory_sha256"]:
            return True
    have = {
        "plugin": names,
        "skill": [it["id"] for it in document["skills"]],
        "agent": [it["id"] for it in document["agents"]],
        "mcp_server": [it["id"] for it in document["managed_mcp_servers"]],
    }
    for gone in document["revocations"]:
        if gone["id"].lower() in (name.lower() for name in have[gone["kind"]]):
            return True
    by_name = {plugin["name"]: {file["path"]: file["sha256"] for file in plugin["files"]} for plugin in plugins}
    texts = [(it, f"skills/{it['id']}/SKILL.md") for it in document["skills"]]
    texts += [(it, f"agents/{it['id']}.md") for it in document["agents"]]
    return any(
        by_name.get(it["plugin"], {}).get(path) != sha256(it["instructions"].encode()) for it, path in texts
    )


def believe(envelope, pins):
    """A document that may be looked at."""
    payload = unpack(envelope, pins)
    document = parse(payload)
    if canonical(document) != payload or faulty(document):
        raise Refused("faults")
    return document, sha256(payload)


def follow(document, digest, known, audience, now):
    """How it stands to what this laptop has."""
    if audience is not None and document["audience"] != audience:
        raise Refused("other_audience")
    if document["issued_at"] > now + 300:
        raise Refused("from_the_future")
    if known:
        now = max(now, known["issued_at"])
        if known["catalogue"] != document["catalogue"]:
            raise Refused("other_catalogue")
        if document["version"] < known["version"]:
            raise Refused("older")
        if known["sha256"] == digest:
            return "stale" if now >= document["expires_at"] else "same"
        if (document["version"], document["audience"]) == (known["version"], known["audience"]):
            raise Refused("differs")
    if now >= document["expires_at"]:
        raise Refused("expired")
    return "new"


def open_archive(data, archive, files):
    """The files, each as it is listed, and nothing else."""
    if sha256(data) != archive["sha256"] or len(data) != archive["bytes"]:
        raise Refused("other_archive")
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        entries = opened.infolist()
        if sorted(entry.filename for entry in entries) != sorted(file["path"] for file in files):
            raise Refused("other_files")
        for file in files:
            entry = opened.getinfo(file["path"])
            if entry.is_dir() or (entry.external_attr >> 28) not in (0, 8) or entry.file_size != file["bytes"]:
                raise Refused("other_files")
            if sha256(opened.read(entry)) != file["sha256"]:
                raise Refused("other_files")
    return True


def check(vectors):
    """Every vector that this client reads in another way than it says."""
    found, read = [], 0

    def same(name, got, wanted):
        nonlocal read
        read += 1
        if got != wanted:
            found.append({"vector": name, "got": repr(got)[:200], "wanted": repr(wanted)[:200]})

    def code(act, *given):
        try:
            return act(*given)
        except Refused as refused:
            return str(refused)

    for one in vectors["documents"]:
        name, key = one["name"], Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vectors["key"]["seed"]))
        payload = canonical(one["document"])
        same(name + ": canonical", payload.decode(), one["canonical"])
        same(name + ": covered", b64(covered(TYPE, payload)), one["covered"])
        same(name + ": sha256", sha256(payload), one["sha256"])
        same(name + ": signature", b64(key.sign(covered(TYPE, payload))), one["signature"])
        same(name + ": envelope", unpack(one["envelope"], vectors["pins"]), payload)
    for one in vectors["directories"]:
        same(one["name"], sha256(canonical(one["files"])), one["directory_sha256"])
    for one in vectors["archives"]:
        data = base64.b64decode(one["zip"])
        got = code(open_archive, data, one["archive"], one["files"])
        same(one["name"], "ok" if got is True else got, one["result"])
    for one in vectors["opening"]:
        got = code(believe, one["envelope"], one["pins"])
        same(one["name"], got if isinstance(got, str) else "ok", one["result"])
    for one in vectors["following"]:
        document, digest = believe(one["envelope"], vectors["pins"])
        same(one["name"], code(follow, document, digest, one["known"], one["audience"], one["now"]), one["result"])
    for path in vectors["paths"]["good"] + vectors["paths"]["bad"]:
        same("path " + repr(path), bad_path(path), path in vectors["paths"]["bad"])
    for name in vectors["names"]["good"] + vectors["names"]["bad"]:
        same("name " + repr(name), bad_name(name), name in vectors["names"]["bad"])
    return found, read


# --- The vectors -----------------------------------------------------------------------------------------

SEED = hashlib.sha256(b"a key of the vectors, which signs nothing else").digest()
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
OTHER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"another").digest())


def pin(key_id, key):
    return {"key_id": key_id, "public_key": b64(key.public_key().public_bytes_raw())}


PINS = [pin("vectors", KEY)]


def sign(payload, key=KEY, key_id="vectors", kind=TYPE):
    return {"keyid": key_id, "sig": b64(key.sign(covered(kind, payload)))}


def envelope(payload, *signatures, kind=TYPE):
    signatures = signatures or (sign(payload, kind=kind),)
    return json.dumps({"payloadType": kind, "payload": b64(payload), "signatures": list(signatures)})


def listed(path, text, executable=False):
    data = text.encode()
    return {"path": path, "sha256": sha256(data), "bytes": len(data), "executable": executable}


def pack(texts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        for path, (text, executable) in texts.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            entry.create_system = 3
            # Stored: its bytes depend on nobody's compressor.
            opened.writestr(entry, text)
    return out.getvalue()


def plugin(name, texts, version="1.0.0", installation="required"):
    files = [listed(path, text, executable) for path, (text, executable) in sorted(texts.items())]
    data = pack(dict(sorted(texts.items())))
    return {
        "name": name,
        "version": version,
        "installation": installation,
        "archive": {"sha256": sha256(data), "bytes": len(data)},
        "directory_sha256": sha256(canonical(files)),
        "files": files,
    }


SKILL = '---\nname: triage\ndescription: "Sorts tickets"\n---\n\nSort it. Stra\u00dfe, \u65e5\u672c.\n'
AGENT = "---\nname: desk\n---\n\nHelp.\n"
TEXTS = {
    ".claude-plugin/plugin.json": ('{"name":"acme-skills","version":"1.0.0"}\n', False),
    "agents/desk.md": (AGENT, False),
    "hooks/run.sh": ("#!/bin/sh\n", True),
    "skills/triage/SKILL.md": (SKILL, False),
}


def small():
    return {
        "schema": "tollgate.manifest/v1",
        "catalogue": "acme",
        "audience": "everyone",
        "version": 1,
        "issued_at": NOW,
        "expires_at": NOW + 86_400,
        "on_expiry": "keep",
        "plugins": [],
        "skills": [],
        "agents": [],
        "managed_mcp_servers": [],
        "revocations": [],
    }


def full():
    return small() | {
        "audience": "finance",
        "version": 7,
        "on_expiry": "remove",
        "plugins": [plugin("acme-skills", TEXTS), plugin("ledger", {"SKILL.md": ("x", False)}, "2.0.1", "available")],
        "skills": [
            {"id": "triage", "description": "Sorts tickets", "plugin": "acme-skills", "instructions": SKILL}
        ],
        "agents": [
            {
                "id": "desk",
                "description": "Helps \"quickly\"\n",
                "plugin": "acme-skills",
                "skills": ["triage"],
                "model": "claude-sonnet-5",
                "mcp_servers": ["tickets"],
                "instructions": AGENT,
            }
        ],
        "managed_mcp_servers": [
            {"id": "local", "transport": "stdio", "command": "/opt/x/mcp", "args": ["--ro"], "tool_policy": {}},
            {
                "id": "tickets",
                "transport": "http",
                "url": "https://gateway.example.com/mcp/tickets",
                "tool_policy": {"*": "blocked", "comment": "ask", "search": "allow"},
            },
        ],
        "revocations": [
            {"kind": "plugin", "id": "quick-export", "reason": "Sent tables outside"},
            {"kind": "mcp_server", "id": "old"},
        ],
    }


def changed(**members):
    return envelope(canonical(small() | members))


def with_files(*paths, order=None):
    files = [listed(path, "") for path in paths]
    one = plugin("one", {"x": ("", False)})
    return changed(plugins=[one | {"files": files, "directory_sha256": sha256(canonical(files))}])


def opening():
    payload = canonical(full())
    policy = "application/vnd.tollgate.policy.v1+json"
    yield "well signed", envelope(payload), PINS, "ok"
    yield "two signatures, one of a pinned key", envelope(payload, sign(payload, OTHER, "next"), sign(payload)), PINS, "ok"
    yield "two pinned keys, one signature", envelope(payload), [pin("next", OTHER), *PINS], "ok"
    yield "another key under the pinned name", envelope(payload, sign(payload, OTHER)), PINS, "forged"
    yield "a name that is not pinned", envelope(payload, sign(payload, OTHER, "next")), PINS, "unknown_key"
    yield "no signature", json.dumps(json.loads(envelope(payload)) | {"signatures": []}), PINS, "unknown_key"
    other = payload.replace(b'"version":7', b'"version":8')
    yield "a payload that was changed", envelope(other, sign(payload)), PINS, "forged"
    yield "signed as a policy", envelope(payload, kind=policy), PINS, "other_type"
    yield "signed as a policy, called a manifest", envelope(payload, sign(payload, kind=policy)), PINS, "forged"
    yield "no envelope", "{}", PINS, "malformed"
    yield "a member more in the envelope", envelope(payload)[:-1] + ',"x":1}', PINS, "malformed"
    yield "not canonical: a space", envelope(payload.replace(b":7", b": 7")), PINS, "faults"
    yield "not canonical: another order", envelope(json.dumps(small(), separators=(",", ":")).encode()), PINS, "faults"
    yield "expires before it is issued", changed(expires_at=NOW), PINS, "faults"
    yield "another schema", changed(schema="tollgate.manifest/v2"), PINS, "faults"
    one, two = plugin("one", {"x": ("", False)}), plugin("two", {"x": ("", False)})
    yield "plugins out of order", changed(plugins=[two, one]), PINS, "faults"
    yield "a plugin twice", changed(plugins=[one, one]), PINS, "faults"
    yield "plugins that differ by case", changed(plugins=[one | {"name": "One"}, one]), PINS, "faults"
    yield "files out of order", with_files("b", "a"), PINS, "faults"
    yield "a path that leads out", with_files("../x"), PINS, "faults"
    yield "a path from the root", with_files("/x"), PINS, "faults"
    yield "a device's name", with_files("docs/nul.txt"), PINS, "faults"
    yield "files that differ by case", with_files("A.md", "a.md"), PINS, "faults"
    yield "folders that differ by case", with_files("A/x", "a/y"), PINS, "faults"
    yield "a file where a folder is", with_files("a", "a/b"), PINS, "faults"
    yield "another directory digest", changed(plugins=[one | {"directory_sha256": "0" * 64}]), PINS, "faults"
    gone = [{"kind": "plugin", "id": "ONE"}]
    yield "revoked and listed", changed(plugins=[one], revocations=gone), PINS, "faults"
    other = full()
    other["skills"][0]["instructions"] += "And tell nobody.\n"
    yield "instructions that the file does not have", envelope(canonical(other)), PINS, "faults"


def following():
    def known(document):
        return {name: document[name] for name in ("catalogue", "audience", "version", "issued_at")} | {
            "sha256": sha256(canonical(document))
        }

    now, end = full(), NOW + 86_400
    had = known(now)

    def one(name, document, known, result, audience=None, at=NOW + 60):
        sealed = envelope(canonical(document))
        return {"name": name, "envelope": sealed, "known": known, "audience": audience, "now": at, "result": result}

    later = now | {"version": 8, "issued_at": NOW + 60}
    yield one("nothing was known", now, None, "new")
    yield one("the same", now, had, "same")
    yield one("the same, a second before it expires", now, had, "same", at=end - 1)
    yield one("the same, when it expires", now, had, "stale", at=end)
    yield one("a higher version", later, had, "new")
    yield one("a higher version that has expired", later, had, "expired", at=end)
    yield one("nothing was known, and it has expired", now, None, "expired", at=end)
    yield one("an older version", now | {"version": 6}, had, "older")
    yield one("another text of the same version", now | {"on_expiry": "keep"}, had, "differs")
    yield one("the same version of another audience", now | {"audience": "platform"}, had, "new")
    yield one("another audience than the pinned", later, had, "other_audience", audience="platform")
    yield one("the pinned audience", later, had, "new", audience="finance")
    yield one("another catalogue", later | {"catalogue": "evil"}, had, "other_catalogue")
    yield one("300 s from now", now | {"issued_at": NOW + 360}, None, "new")
    yield one("301 s from now", now | {"issued_at": NOW + 361}, None, "from_the_future")
    young = now | {"version": 8, "issued_at": NOW - 200, "expires_at": NOW - 100}
    yield one("expired, by a clock that was set back", young, had, "expired", at=NOW - 150)


def archives():
    files = [listed(path, text, executable) for path, (text, executable) in TEXTS.items()]

    def one(name, data, result="ok", of=None):
        of = data if of is None else of
        archive = {"sha256": sha256(of), "bytes": len(of)}
        return {"name": name, "zip": b64(data), "archive": archive, "files": files, "result": result}

    good = pack(TEXTS)
    yield one("a plugin", good)
    yield one("in another order", pack(dict(reversed(TEXTS.items()))))
    yield one("other bytes than the digest", good + b"\0", "other_archive", of=good)
    yield one("a file more", pack(TEXTS | {"x": ("", False)}), "other_files")
    yield one("a file that leads out", pack(TEXTS | {"../x": ("", False)}), "other_files")
    fewer = {path: text for path, text in TEXTS.items() if path != "hooks/run.sh"}
    yield one("a file fewer", pack(fewer), "other_files")
    yield one("another text", pack(TEXTS | {"hooks/run.sh": ("#!/bin/su\n", True)}), "other_files")


def directories():
    yield "one empty file", [listed("a", "")]
    yield "four files", [listed(path, text, executable) for path, (text, executable) in TEXTS.items()]
    yield "sorted by bytes: - . / 0 A _ a", [listed(path, path) for path in ("a-b", "a.b", "a/b", "a0b", "aAb", "a_b", "aab")]


def make():
    documents = []
    for name, document in (("the least", small()), ("all members", full())):
        payload = canonical(document)
        documents.append({
            "name": name,
            "document": document,
            "canonical": payload.decode(),
            "sha256": sha256(payload),
            "covered": b64(covered(TYPE, payload)),
            "signature": sign(payload)["sig"],
            "envelope": envelope(payload),
        })
    return {
        "schema": "tollgate.manifest-vectors/v1",
        "about": "Vectors for clients of manifests: docs/manifest.md says what each is for. Made by tests/data/manifest.py.",
        "key": {"seed": SEED.hex()} | PINS[0],
        "pins": PINS,
        "documents": documents,
        "directories": [
            {"name": name, "files": files, "canonical": canonical(files).decode(), "directory_sha256": sha256(canonical(files))}
            for name, files in directories()
        ],
        "archives": list(archives()),
        "opening": [
            {"name": name, "envelope": sealed, "pins": pins, "result": result} for name, sealed, pins, result in opening()
        ],
        "following": list(following()),
        "paths": {
            "good": ["a", ".mcp.json", "a b.md", "COM", "com10", "console", "x/y-z_1.txt", "a..b", "x" * 160],
            "bad": [
                "", ".", "..", "/a", "a//b", "a/", "a/../b", "./a", "a\\b", "C:/x", "a:b", "a*", "a?", "a.", "a ", " a",
                "CON", "con.txt", "x/AUX", "nul .txt", "COM1", "lpt9.md", "conin$", "a\u00e9", "a\n", "a\u0000b",
                "\u202ea", "x" * 161,
            ],
        },
        "names": {
            "good": ["a", "deploy-review_2.0", "X" * 64],
            "bad": ["", ".x", "-x", "a b", "a/b", "org", "Unknown", "org-provisioned", "aux", "a.", "\u00e9", "x" * 65],
        },
    }


if sys.argv[1:] == ["write"]:
    json.dump(make(), sys.stdout, indent=1, ensure_ascii=True)
    print()
else:
    differs, count = check(json.load(sys.stdin))
    json.dump({"differs": differs} if differs else {"agrees": count}, sys.stdout)
    print()
