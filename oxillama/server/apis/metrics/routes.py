"""GET /metrics for Prometheus. It needs no key, since it has nothing of what requests contain."""

from __future__ import annotations

from quart import Response

from oxillama.server.observe.metrics import CONTENT_TYPE
from oxillama.server.operation import API
from oxillama.server.state import server_state

api = API("metrics", order=95)


@api.get("/metrics", open=True, quiet=True)
async def metrics() -> Response:
    """Counters and gauges of the server and its engine."""
    state = server_state()
    statistics = None if state.engine is None else state.engine.statistics()
    return Response(state.metrics.render(len(state.under_way), statistics), content_type=CONTENT_TYPE)
