"""What a file says, whatever wrote it: JSON, several JSON documents, one a line, or YAML; UTF-8 or UTF-16, gzipped or not. Pure.

Sources: AWS CLI User Guide, "Setting the output format" (json, yaml, yaml-stream); PowerShell's about_Redirection (`>` writes UTF-16 up to 5.1);
RFC 8259 8.1 (byte order mark); YAML 1.2 core schema, in which the command line writes: `off` is a word there and no boolean.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from typing import Any

import yaml

AT_MOST = 1 << 30  # bytes of one file once unpacked: what is larger is no answer of a describe call
_GZIP = b"\x1f\x8b"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Unreadable(ValueError):
    """Why a file says nothing, in words for a person."""


def documents(body: bytes, *, is_yaml: bool = False) -> list[Any]:
    """The documents in a file's bytes, in their order. Raises Unreadable."""
    text = _text(_unpacked(body)).strip()
    if not text:
        raise Unreadable("is empty")
    try:
        return _of_yaml(text) if is_yaml else _of_json(text)
    except ValueError as problem:
        if not is_yaml and text[0] not in "{[" and re.match(r"(- )?[\"']?\w+[\"']?:(\s|$)", text):
            return _of_yaml(text)  # `--output yaml > Vpcs.json`
        raise Unreadable(f"is not JSON: {problem}" if not is_yaml else f"is not YAML: {problem}") from None
    except RecursionError:
        raise Unreadable("is nested too deep") from None


def _unpacked(body: bytes) -> bytes:
    if not body.startswith(_GZIP):
        return body
    out = bytearray()
    while body:
        member = zlib.decompressobj(wbits=31)
        try:
            out += member.decompress(body, AT_MOST - len(out))
        except zlib.error as problem:
            raise Unreadable(f"is not gzip: {problem}") from None
        if member.unconsumed_tail or len(out) >= AT_MOST:
            raise Unreadable(f"is over {AT_MOST >> 20} MiB once unpacked")
        if not member.eof:
            raise Unreadable("is a gzip file that was cut short")
        body = member.unused_data.lstrip(b"\0")
    return bytes(out)


def _text(body: bytes) -> str:
    coding = next((name for mark, name in _MARKS if body.startswith(mark)), "")
    if not coding:  # JSON begins with ASCII, so zero bytes tell UTF-16 without a mark
        coding = "utf-16-be" if body[:1] == b"\0" else "utf-16-le" if body[1:2] == b"\0" else "utf-8"
    try:
        return body.decode(coding)
    except UnicodeDecodeError:
        raise Unreadable(f"is not text in {coding.upper()}") from None


def _of_json(text: str) -> list[Any]:
    """One document or several one after another, as pages that were put together; commas between them do not matter."""
    reader, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        document, at = reader.raw_decode(text, at)
        found.append(document)
        at = _next(text, at)
    return found


_BETWEEN = re.compile(r"[\s,\ufeff]*")


def _next(text: str, at: int) -> int:
    match = _BETWEEN.match(text, at)
    return match.end() if match else at


class _Core(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.2's core schema: PyYAML reads 1.1, which makes `off` a boolean, 12:34:56 a number and a time of a time."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _form, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", list("-+.0123456789")),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_form})$"), _first)
_Core.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


def _of_yaml(text: str) -> list[Any]:
    try:
        # The command line writes no aliases, and a few lines of them can stand for gigabytes.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Core)):
            raise Unreadable("has YAML aliases, which the AWS command line does not write")
        return list(yaml.load_all(text, Loader=_Core))  # a safe loader, of fewer types
    except yaml.YAMLError as problem:
        raise Unreadable(f"is not YAML: {' '.join(str(problem).split())[:160]}") from None
    except RecursionError:
        raise Unreadable("is nested too deep") from None
