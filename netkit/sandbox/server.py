"""The sandbox's server: moto on 127.0.0.1, seeded, with its gaps filled and the world laid out. Run by netkit.sandbox.up()."""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from moto.athena.models import AthenaBackend
from moto.athena.responses import AthenaResponse
from moto.cloudwatch.models import CloudWatchBackend
from moto.logs.models import LogsBackend
from moto.moto_api._internal import mock_random
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import S3Backend
from werkzeug.serving import make_server

from netkit import sandbox
from netkit.sandbox.gate import Gate
from netkit.sandbox.labs import seeds
from netkit.sandbox.services import athena, cloudwatch_api, flowlogs_api, mirror_api, network_insights, reach_api
from netkit.sandbox.world import cloudwatch as cloudwatch_world
from netkit.sandbox.world import delivery, world
from netkit.sandbox.world import mirror as mirror_world

REGION = "us-east-1"
SEED = 20261119


def install() -> None:
    """Fill moto's gaps, and deliver flow logs when their destination is first looked at."""
    flowlogs_api.install()
    reach_api.install()
    network_insights.install()
    mirror_api.install()
    cloudwatch_api.install()
    AthenaBackend.start_query_execution = athena.start_query_execution  # type: ignore[method-assign]
    AthenaResponse.get_query_execution = _get_query_execution  # type: ignore[method-assign]
    AthenaResponse.start_query_execution = _start_query_execution  # type: ignore[method-assign]
    for name in ("list_objects", "get_object", "head_object"):
        _before(S3Backend, name, _look_in_bucket)
    for name in ("start_query", "filter_log_events", "get_log_events", "describe_log_streams"):
        _before(LogsBackend, name, _look_in_group)
    _before(LogsBackend, "describe_log_groups", _look_in_groups)
    for name in ("get_metric_data", "get_metric_statistics"):
        _before(CloudWatchBackend, name, _look_at_metrics)
    _before(CloudWatchBackend, "list_metrics", _list_metrics)


def _get_query_execution(self: AthenaResponse) -> str:
    return json.dumps(athena.execution_json(self.athena_backend.executions[self._get_param("QueryExecutionId")]))


def _start_query_execution(self: AthenaResponse) -> str:
    backend: Any = self.athena_backend
    execution_id = backend.start_query_execution(
        self._get_param("QueryString"),
        self._get_param("QueryExecutionContext") or {},
        self._get_param("ResultConfiguration") or {},
        self._get_param("WorkGroup") or "primary",
        self._get_param("ExecutionParameters"),
    )
    return json.dumps({"QueryExecutionId": execution_id})


def _before(owner: type, name: str, look: Callable[..., None]) -> None:
    """Have `look` run, with the same arguments, before a method of moto's."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        look(self, *args, **kwargs)
        return method(self, *args, **kwargs)

    setattr(owner, name, wrapped)


def _look_in_bucket(backend: S3Backend, bucket: Any, key: str | None = "", *_: Any, **more: Any) -> None:
    name = getattr(bucket, "name", bucket)
    wanted = str(key or more.get("prefix") or more.get("key_name") or "")
    delivery.deliver_to(str(name), wanted)
    mirror_world.deliver_to(str(name), wanted)


def _look_in_group(backend: LogsBackend, groups: Any = "", *_: Any, **more: Any) -> None:
    names = groups or more.get("log_group_name") or more.get("log_group_names") or []
    for name in [names] if isinstance(names, str) else names:
        delivery.deliver_to_log_group(str(name))
        cloudwatch_world.deliver_logs(str(name))


def _look_in_groups(backend: LogsBackend, *_: Any, **more: Any) -> None:
    for name in list(backend.groups):
        if name.startswith(str(more.get("log_group_name_prefix") or "\0")):
            delivery.deliver_to_log_group(name)
            cloudwatch_world.deliver_logs(name)


def _look_at_metrics(backend: CloudWatchBackend, *asked: Any, **more: Any) -> None:
    if "Mirror" in repr((asked, more)):
        mirror_world.deliver_metrics()


def _list_metrics(backend: CloudWatchBackend, token: Any, namespace: str | None, *_: Any, **more: Any) -> None:
    if namespace in (None, "AWS/EC2"):
        mirror_world.deliver_metrics()


def serve(home: str) -> None:
    """Lay out the world and answer until told to stop."""
    os.environ["MOTO_ACCOUNT_ID"] = world.ACCOUNT
    mock_random.seed(SEED)
    install()
    seeds.seed_all()
    vars(werkzeug_app)["DISABLE_GLOBAL_CORS"] = True  # no answer invites a page of another site
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    server.app = Gate(app, server.server_port)  # the port is known only now
    sandbox.save(sandbox.Running(f"http://127.0.0.1:{server.server_port}", world.ACCOUNT, REGION, os.getpid(), home))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1])
