"""Every error netkit raises, under one root.

    NetkitError
    ├── InputError (ValueError)     refused before the first AWS call; nothing was done
    │   ├── ParameterError          a notebook parameter: unknown, missing, ill-typed, secret-looking
    │   ├── WindowError             empty, reversed or local-time window
    │   ├── FieldError              a flow-log field that does not exist, or that a query needs and the log lacks
    │   ├── QueryError              a query name, value or identifier that is refused
    │   ├── SourceError             a file or table that cannot be read as what it should be
    │   └── TargetError             sandbox or aws: the wrong account, an endpoint override
    ├── AwsError                    AWS answered no
    │   ├── AccessError             denied: not the same as empty
    │   └── CredentialsError        expired, missing or invalid credentials
    ├── QueryFailed                 an engine accepted the query and then failed it
    ├── BudgetError                 the estimate is above the budget; nothing was started
    ├── PlanError                   a Plan that cannot be applied
    │   ├── NotArmedError           apply() without armed=True
    │   ├── ConflictError           something with that name exists and differs
    │   └── StepFailed              one step failed; what was done before it is in the ledger
    ├── FindingError                a finding that breaks the contract
    ├── NotebookFailed              a notebook raised; the partial notebook is kept and named
    │   └── NotebookRefused (InputError)  it raised an InputError: the input is bad, which only the notebook could see
    ├── SandboxError                the local AWS did not start or is not there
    └── MissingExtra                a package that only some need (the sandbox's, JupyterLab) is not installed

A message has at most three lines: what failed, on which resource, what to do next. The same three are fields, so a
caller need not parse them. No message carries frame locals, request headers or key material.
"""

from __future__ import annotations

import re

# Forms of key material. AWS: IAM User Guide, "IAM identifiers" (unique id prefixes) and SigV4's query parameters; others: RFC 6750
# (Bearer), RFC 7519 (JWT), RFC 3986 (userinfo), RFC 7468 (PEM), and the token prefixes that GitHub, Slack and Stripe document.
_GONE = "[redacted]"
_FORMS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{12,}"
    r"|(?:IQoJ|FwoG|FQoG|FwoD|FQoD)(?:[A-Za-z0-9/+]|%2[BbFf]){80,}(?:=|%3[Dd]){0,2}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|[rs]k_live_[A-Za-z0-9]{16,}",
    re.DOTALL,
)
_AFTER_WORDS = re.compile(r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/-]{16,}=*|(://[^\s/:@\"']*:)[^\s/@\"']+(?=@)")
_NAMED = re.compile(
    r"""(?ix)(?<![a-z])(
      (?:[a-z0-9]+[_-])*(?:password|passwd|passphrase|secret|secret_?(?:access)?_?key|secretaccesskey|client_?secret|api_?key|private_?key)
      (?:\\?["'])?\s*[:=]\s*
    | (?:x-amz-(?:signature|credential|security-token)|signature(?==[0-9A-Fa-f]{32})|(?:[a-z]+[_-]?)?(?:access|auth|session|security|refresh|id)[_-]?token|pwd)
      (?:\\?["'])?(?:\s*=\s*|\s*:\s*(?=\\?["']))
    )(\\?["'])?(?!\[redacted\])((?(2)[^"'\\\r\n]|[^\s"'&,;|<>\\)\]}]){4,})"""
)
_RUN = re.compile(r"(?:%[0-9A-Fa-f]{2}|[A-Za-z0-9/+]){40,}")
_OTHER_SIGN = re.compile(r"(%(?!2[BbFf])[0-9A-Fa-f]{2})")
_TURN = re.compile(r"(?=[a-z][A-Z0-9]|[A-Z][a-z0-9]|[0-9][A-Za-z])")
_KEY_LENGTH, _LONGEST_PATH = 40, 200


def _random(text: str) -> bool:
    """Whether 40 characters are a key rather than a path or a digest.

    A key changes between small, capital and digit some 20 times. A delivery path of the same length and alphabet, as
    logs/AWSLogs/123456789012/vpcflowlogs/us, changes a few times; a digest has no capitals.
    """
    return any(c.isupper() for c in text) and any(c.islower() for c in text) and len(_TURN.findall(text)) >= 8


def _no_words(text: str) -> bool:
    """The same of a part of a path, whose folders may be words with capitals: a key holds hardly any word."""
    return _random(text) and len(re.sub(r"[A-Z]?[a-z]{3,}", "", text)) > _KEY_LENGTH / 2


def _without_keys(run: re.Match[str]) -> str:
    return "".join(part if _OTHER_SIGN.fullmatch(part) else _without_key(part) for part in _OTHER_SIGN.split(run[0]))


def _without_key(part: str) -> str:
    """A run of a key's alphabet without a secret key that stands in it whole, or between slashes."""
    text = re.sub(r"%2[BbFf]", lambda sign: "+" if sign[0][2] in "Bb" else "/", part)
    if len(text) == _KEY_LENGTH:
        return _GONE if _random(text) else part
    if text != part or len(text) > _LONGEST_PATH:  # a picture or an archive, in which anything may stand by chance
        return part
    for start in (0, *(at + 1 for at, sign in enumerate(text) if sign == "/")):
        end = start + _KEY_LENGTH
        if end <= len(text) and text[end : end + 1] in ("", "/") and _no_words(text[start:end]):
            return text[:start] + _GONE + text[end:]
    return part


def looks_secret(text: str) -> bool:
    """Whether a text holds what redact() would blank out."""
    return redact(text) != text


def redact(text: str) -> str:
    """The text with key material blanked out: access key ids, what has the shape of a secret key or token, also URL-encoded,

    private keys, JSON Web Tokens, and what stands behind password=, Bearer and the like.
    """
    text = _AFTER_WORDS.sub(lambda found: f"{found[1] or found[2]}{_GONE}", _FORMS.sub(_GONE, text))
    text = _NAMED.sub(lambda found: f"{found[1]}{found[2] or ''}{_GONE}", text)
    return _RUN.sub(_without_keys, text)


class NetkitError(Exception):
    """Root of all netkit errors: `what` failed, on which `subject`, and `hint`, what to do next."""

    def __init__(self, what: str, *, subject: str = "", hint: str = "") -> None:
        self.what = redact(what)
        self.subject = redact(subject)
        self.hint = redact(hint)
        super().__init__(self.what, self.subject, self.hint)

    def __str__(self) -> str:
        lines = (self.what, f"on: {self.subject}" if self.subject else "", f"next: {self.hint}" if self.hint else "")
        return "\n".join(" ".join(line.split()) for line in lines if line)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.subject, self.hint), vars(self))


def _rebuild(kind: type[NetkitError], what: str, subject: str, hint: str) -> NetkitError:
    return kind(what, subject=subject, hint=hint)


class InputError(NetkitError, ValueError):
    """Bad input, refused before the first AWS call."""


def input_errors() -> set[str]:
    """The names of InputError and all its kinds, for who knows an error of another process by its name."""
    kinds, left = {InputError}, [InputError]
    while left:
        below = left.pop().__subclasses__()
        kinds |= set(below)
        left += below
    return {kind.__name__ for kind in kinds}


class ParameterError(InputError):
    """A notebook parameter that is unknown, missing, ill-typed or looks like a secret."""


class WindowError(InputError):
    """A window that is empty, reversed, unbounded or in local time."""


class FieldError(InputError):
    """A flow-log field that does not exist, or that a query needs and the log does not carry."""


class QueryError(InputError):
    """A query name, parameter value or identifier that is refused."""


class SourceError(InputError):
    """A file, folder, bucket or table that cannot be read as flow logs."""


class TargetError(InputError):
    """The target is not the one that was named: wrong account, or an endpoint override beside target="aws"."""


class AwsError(NetkitError):
    """AWS refused a call; `what` has the operation and AWS's own code and message.

    status   of HTTP, 0 where no answer came
    retries  how often the call was repeated before that answer: an earlier try may have done the work
    """

    status: int = 0
    retries: int = 0


class AccessError(AwsError):
    """AWS denied a call. Denied is not empty."""


class CredentialsError(AwsError):
    """Credentials are missing, expired or not valid."""


class QueryFailed(NetkitError):
    """A query engine accepted a query and then failed it; `what` has its reason."""


class BudgetError(NetkitError):
    """The estimate is above the budget, so nothing was started."""


class PlanError(NetkitError):
    """A Plan that cannot be applied."""


class NotArmedError(PlanError):
    """apply() was called without armed=True."""


class ConflictError(PlanError):
    """Something with that name exists and differs; it is never replaced."""


class StepFailed(PlanError):
    """One step of a plan failed. What was done before it is in the ledger; run it again to go on."""


class FindingError(NetkitError):
    """A finding that breaks the findings contract."""


class NotebookFailed(NetkitError):
    """A notebook raised an error; `subject` is the partial notebook that was kept."""


class NotebookRefused(NotebookFailed, InputError):
    """A notebook refused its input (an InputError in a cell); `subject` is the partial notebook that was kept."""


class SandboxError(NetkitError):
    """The local AWS did not start, or is not there."""


class MissingExtra(NetkitError):
    """A package that only some need is not installed; `hint` is the command that installs it."""
