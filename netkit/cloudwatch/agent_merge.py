"""Several files of the CloudWatch agent as the one configuration that it runs, as its append-config does. Pure.

The agent merges even a single file so before it looks at it: what it takes no notice of is gone, and a log file given twice is
there once. Source: CloudWatch User Guide, "Multiple CloudWatch agent configuration files"; the agent's own merge
(amazon-cloudwatch-agent, translator/jsonconfig).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from netkit.cloudwatch.agent_grammar import Problem, identity

SECTIONS = ("agent", "metrics", "logs", "traces", "opentelemetry")
"""What the agent reads; any other member of the document is left out."""

# What is merged member by member, and below it the lists that are put together; whatever else must be equal in all files.
_MAPS: dict[str, Any] = {
    "agent": {},
    "metrics": {"metrics_collected": {"procstat": "list", "jmx": "list or one"}},
    "logs": {
        "logs_collected": {kind: {"collect_list": "list"} for kind in ("files", "windows_events", "journald")},
        "metrics_collected": {"ecs": {}, "kubernetes": {}, "prometheus": {}},
    },
    "traces": {"traces_collected": {}},
    "opentelemetry": {"collect": {}},
}


def merge_agent_configs(files: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], list[Problem]]:
    """The configuration that files (by name) make together, in the order of their names, and an error for each member that two
    of them set differently: the agent refuses them all then.

    metrics and logs are put together plugin by plugin, collect lists and procstat entry by entry, the same entry once; namespace,
    append_dimensions, agent and the like must be equal wherever they are. None of the files is changed.
    """
    made: dict[str, Any] = {}
    found: list[Problem] = []
    from_file: dict[str, str] = {}
    for name in sorted(files):
        document = {key: files[name][key] for key in SECTIONS if key in files[name]}
        _into(made, copy.deepcopy(document), _MAPS, "", name, from_file, found)
    return made, found


def normal(config: Mapping[str, Any]) -> dict[str, Any]:
    """One file as the agent sees it."""
    return merge_agent_configs({"": config})[0]


def _into(
    made: dict[str, Any], given: Mapping[str, Any], rules: Mapping[str, Any], path: str, file: str, seen: dict[str, str], found: list[Problem]
) -> None:  # fmt: skip
    for key, value in given.items():
        here = f"{path}.{key}" if path else key
        rule = rules.get(key)
        if isinstance(rule, Mapping):
            _into(made.setdefault(key, {}), value if isinstance(value, dict) else {}, rule, here, file, seen, found)
        elif rule == "list" or (rule and isinstance(value, list)):
            _extend(made, key, value)
        elif key not in made:
            made[key], seen[here] = value, file
        elif identity(made[key]) != identity(value):
            message = f"differs between {seen.get(here, '')} and {file}: the agent refuses both, they must be equal"
            found.append(Problem("error", here, message))


def _extend(made: dict[str, Any], key: str, value: Any) -> None:
    """Entries behind those that are there, each once; what is no list, or an empty one, is left out as if it were not there."""
    if not isinstance(value, list) or not value:
        return
    held = made.setdefault(key, [])
    known = {identity(one) for one in held}
    for one in value:
        if identity(one) not in known:
            known.add(identity(one))
            held.append(one)
