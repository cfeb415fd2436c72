"""Words of an `aws` command line, as people paste them. Pure; what they mean is each wing's own."""

from __future__ import annotations

from collections.abc import Sequence

from netkit.core.errors import InputError


def command_options(words: Sequence[str], *, hint: str = "as --name VALUE") -> list[tuple[str, list[str]]]:
    """The options of a command line with their values, in its order: the words behind `aws SERVICE OPERATION`.

    Raises InputError, with the hint, for a word before any option.
    """
    held: list[tuple[str, list[str]]] = []
    for word in words:
        option, equals, value = word.partition("=")
        if word.startswith("--"):
            held.append((option, [value] if equals else []))
        elif held:
            held[-1][1].append(word)
        else:
            raise InputError(f"{word[:60]!r} stands before any option", hint=hint)
    return held
