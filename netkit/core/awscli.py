"""boto3 calls as lines and scripts for the AWS command line, which run as they are printed. Pure.

A line that needs an id which an earlier call makes looks it up by its netkit:run tag, so each line runs by itself, in order.
A script catches the ids in shell variables instead, and keeps them in a file beside it for the script that takes it all back.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from botocore import xform_name

Request = Mapping[str, Any]
Fill = Callable[["Ref"], str]
_LOADED = ("file://", "fileb://")  # the AWS command line reads these files in place of the value
_PLAIN_WORD = re.compile(r"[\w<.:/@+*][\w<>.:/@+*-]*")  # in a list of words none may look like an option or JSON
# Flags whose other side the command line names in its own way (awscli, customizations/ec2: network ACL entries).
_NO = {"egress": "ingress"}


@dataclass(frozen=True)
class Ref:
    """A value out of the answer of an earlier step, as Ref("role", "Role.Arn"). In an undo, step "" is the step itself."""

    step: str
    path: str

    def __str__(self) -> str:
        return f"<{self.step}.{self.path}>" if self.step else f"<{self.path}>"

    @property
    def variable(self) -> str:
        """The shell variable that holds it in a script."""
        name = re.sub(r"[^a-z0-9]+", "_", f"{self.step}_{xform_name(self.path.rpartition('.')[2])}".lower())
        return name if name[:1].isalpha() else f"v_{name}"

    @property
    def query(self) -> str:
        """Its path as the command line's --query (JMESPath) has it."""
        parts = [f"[{part}]" if part.isdecimal() else f".{part}" for part in self.path.split(".")]
        return "".join(parts).removeprefix(".")


@dataclass(frozen=True)
class Line:
    """One call of a script. key: its step; references in the request are of steps before it."""

    key: str
    service: str
    operation: str
    request: Request
    region: str = ""


def aws_command(service: str, operation: str, request: Request, region: str = "", *, fill: Fill | None = None) -> str:
    """A boto3 call as an `aws` command: options in kebab case, structures as JSON, quoted for a POSIX shell.

    A value that the command line would read as something else (an option, JSON, a file to load) is given in a form in which
    it is only a value. fill: what the shell puts in place of a Ref; without it that stands as <step.path>.
    """
    refs: dict[str, Ref] = {}
    plain: dict[str, Any] = {name: _marked(value, refs, fill) for name, value in request.items()}
    words = ["aws", {"s3": "s3api"}.get(service, service), operation.replace("_", "-")]
    if any(isinstance(value, str) and value.startswith(_LOADED) for value in plain.values()):
        words += ["--cli-input-json", json.dumps(plain)]
    else:
        words += [word for name, value in plain.items() for word in _option(xform_name(name, "-"), value)]
    words += ["--region", region] if region else []
    return " ".join(_quoted(word, refs, fill) for word in words)


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--{_NO.get(name, f'no-{name}')}"]
    if isinstance(value, list) and value and all(_PLAIN_WORD.fullmatch(str(one)) for one in value):
        return [f"--{name}", *map(str, value)]
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]


def _marked(value: Any, refs: dict[str, Ref], fill: Fill | None) -> Any:
    """The value with each Ref as a mark of plain letters, which quoting leaves whole; as <step.path> without a fill."""
    if isinstance(value, Ref):
        mark = f"NETKIT-REF-{len(refs)}-" if fill else str(value)
        refs[mark] = value
        return mark
    if isinstance(value, Mapping):
        return {name: _marked(one, refs, fill) for name, one in value.items()}
    return [_marked(one, refs, fill) for one in value] if isinstance(value, list | tuple) else value


def _quoted(word: str, refs: Mapping[str, Ref], fill: Fill | None) -> str:
    """The word for a shell, with what takes the place of its marks outside of the single quotes."""
    if fill is None:
        return shlex.quote(word)
    if (
        word in refs
    ):  # of an answer that is a list each item is a word of its own; ids hold nothing that a shell would read
        several = refs[word].path.endswith("s")
        return fill(refs[word]) if several else f'"{fill(refs[word])}"'
    text = shlex.quote(word)
    for mark, ref in refs.items():
        text = text.replace(mark, f"'\"{fill(ref)}\"'" if text.startswith("'") else f'"{fill(ref)}"')
    return text


def from_variable(ref: Ref) -> str:
    """A Ref as a script has it."""
    return f"${{{ref.variable}}}"


def from_tag(run_tag: str, run_id: str, prefix: str, region: str, *, several: bool = False) -> str:
    """The ids (or the first of them) that begin with a prefix and carry a run's tag, as a shell looks them up."""
    found = f"Tags[?starts_with(ResourceId, '{prefix}')].ResourceId"
    query = found if several else f"{found} | [0]"
    words = ["aws", "ec2", "describe-tags", "--filters", f"Name=key,Values={run_tag}", f"Name=value,Values={run_id}"]
    words += ["--query", query, "--output", "text", *(["--region", region] if region else [])]
    return f"$({shlex.join(words)})"


def exclusion_lookup(subnet: str, region: str) -> str:
    """The id of a subnet's exclusion from Block Public Access, as a shell looks it up."""
    query = f"VpcBlockPublicAccessExclusions[?ends_with(ResourceArn, '/{subnet}') && !contains(State, 'delete')].ExclusionId | [0]"
    words = ["aws", "ec2", "describe-vpc-block-public-access-exclusions", "--query", query, "--output", "text"]
    return f"$({shlex.join([*words, *(['--region', region] if region else [])])})"


_HEAD = "#!/usr/bin/env bash\n# {}\nset -euo pipefail"


def script(title: str, lines: Sequence[Line], wanted: Sequence[Ref], ids: str) -> str:
    """The calls in order as a bash script that stops at the first refusal.

    wanted  what later lines, and the undo, need of the answers: caught in variables, and written to the file `ids` at once
    """
    caught: dict[str, dict[str, Ref]] = {}
    for ref in wanted:
        caught.setdefault(ref.step, {})[ref.variable] = ref
    made = [text for line in lines for text in _called(line, list(caught.get(line.key, {}).values()), ids)]
    return "\n".join([_HEAD.format(title), *made])


def _called(line: Line, refs: Sequence[Ref], ids: str) -> Iterator[str]:
    command = aws_command(line.service, line.operation, line.request, line.region, fill=from_variable)
    if not refs:
        yield command
        return
    first = refs[0]
    if len(refs) == 1:
        yield f"{first.variable}=$({command} --query {shlex.quote(first.query)} --output text)"
    else:  # one call, several parts of its answer; a variable of its own, since set -e does not see what <(…) ends with
        parts = f"[{', '.join(ref.query for ref in refs)}]"
        yield f"answer=$({command} --query {shlex.quote(parts)} --output text)"
        yield f'read -r {" ".join(ref.variable for ref in refs)} <<< "$answer"'
    for ref in refs:
        yield f"printf '%s=%q\\n' {ref.variable} \"${ref.variable}\" >> {shlex.quote(ids)}"


def undo_script(title: str, lines: Sequence[Line], ids: str) -> str:
    """The calls that take it all back, in their order; the ids are those that the first script wrote down."""
    needs = any(refs_in(line.request) for line in lines)
    calls = [aws_command(line.service, line.operation, line.request, line.region, fill=from_variable) for line in lines]
    return "\n".join([_HEAD.format(title), *([f". ./{shlex.quote(ids)}"] if needs else []), *calls])


def refs_in(value: Any) -> list[Ref]:
    """The references in a request."""
    if isinstance(value, Ref):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [ref for one in inner for ref in refs_in(one)]


def owned_by(step: str, value: Any) -> Any:
    """An undo's request with its references to the step itself by the step's name."""
    if isinstance(value, Ref):
        return value if value.step else replace(value, step=step)
    if isinstance(value, Mapping):
        return {name: owned_by(step, one) for name, one in value.items()}
    return [owned_by(step, one) for one in value] if isinstance(value, list | tuple) else value
