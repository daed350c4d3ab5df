"""One declaration per endpoint: its body, its answer, and how the server handles it.

The route reads its body as declared. The application looks up keys, log level and early refusals here, and
`/openapi.json` is generated from the declarations:

    api = API("things", prefix="/v1/things")

    @api.post("", body=CreateThing, answer=Thing)
    async def create_thing(wire: CreateThing) -> Thing: ...
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypedDict, TypeVar, Unpack, overload

from quart import Response

from oxillama.server.wire.bodies import read_body
from oxillama.server.wire.json import json_response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quart import Quart

Body = TypeVar("Body")
Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")
View: TypeAlias = Callable[Arguments, Awaitable[Answer | Response]]
BodyView: TypeAlias = Callable[Concatenate[Body, Arguments], Awaitable[Answer | Response]]


class How(TypedDict, total=False):
    """Optional parts of a declaration; see Operation."""

    chunk: Any
    example: Mapping[str, Any]
    query: Mapping[str, str]
    open: bool
    quiet: bool
    generating: bool
    upload: bool
    described: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    path: as Quart writes it, `/v1/threads/<thread_id>`. view: called with the body, if there is one, and the path's
    arguments; returns the answer or a finished Response. body, answer: msgspec structs. chunk: the data of each event,
    if the endpoint can stream; a mapping gives the data of each named event. example: an example body, without its
    model. query: parameter -> description, in addition to those of lists. open: needs no key. quiet: logged at debug.
    generating: needs one of the engine's slots, so it is refused early if there is none. upload: its body is a form
    with a file, which the view reads as it arrives. described: part of `/openapi.json`.
    """

    api: str
    method: str
    path: str
    view: Callable[..., Awaitable[Any]]
    body: type | None = None
    answer: Any = None
    chunk: Any = None
    example: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    open: bool = False
    quiet: bool = False
    generating: bool = False
    upload: bool = False
    described: bool = True

    @property
    def name(self) -> str:
        return self.view.__name__

    @property
    def endpoint(self) -> str:
        """Its name in the application, unique."""
        return f"{self.api}.{self.name}"

    async def handle(self, **arguments: Any) -> Response:
        """Answer the current request."""
        if self.body is None:
            answer = await self.view(**arguments)
        else:
            answer = await self.view(await read_body(self.body), **arguments)
        return answer if isinstance(answer, Response) else json_response(answer)


class API:
    """A group of endpoints under one name. A folder below `apis/` has one, as `api` in its `routes` module.

    order: position of the group in the description; smaller comes first. described: whether it is listed.
    """

    def __init__(self, name: str, *, prefix: str = "", order: int = 50, described: bool = True) -> None:
        self.name = name
        self.order = order
        self.operations: list[Operation] = []
        self._prefix = prefix
        self._described = described

    def get(
        self, path: str, *, answer: type[Answer] | None = None, **how: Unpack[How]
    ) -> Callable[[View[Arguments, Answer]], View[Arguments, Answer]]:
        """Declare the decorated view as the GET of `path`; see Operation for the options."""
        declare: Callable[[View[Arguments, Answer]], View[Arguments, Answer]] = self._declare(
            "GET", path, None, answer, how
        )
        return declare

    def delete(
        self, path: str, *, answer: type[Answer] | None = None, **how: Unpack[How]
    ) -> Callable[[View[Arguments, Answer]], View[Arguments, Answer]]:
        """The same for DELETE."""
        declare: Callable[[View[Arguments, Answer]], View[Arguments, Answer]] = self._declare(
            "DELETE", path, None, answer, how
        )
        return declare

    @overload
    def post(
        self, path: str, *, body: type[Body], answer: type[Answer] | None = None, **how: Unpack[How]
    ) -> Callable[[BodyView[Body, Arguments, Answer]], BodyView[Body, Arguments, Answer]]: ...

    @overload
    def post(
        self, path: str, *, answer: type[Answer] | None = None, **how: Unpack[How]
    ) -> Callable[[View[Arguments, Answer]], View[Arguments, Answer]]: ...

    def post(self, path: str, *, body: type | None = None, answer: type | None = None, **how: Unpack[How]) -> Any:
        """The same for POST, whose view is called with the body first."""
        return self._declare("POST", path, body, answer, how)

    def _declare(self, method: str, path: str, body: type | None, answer: Any, how: How) -> Any:
        def declare(view: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            given: How = {"described": self._described, **how}
            operation = Operation(
                api=self.name, method=method, path=self._prefix + path, view=view, body=body, answer=answer, **given
            )
            if operation.generating and "<" in operation.path:
                raise ValueError(f"{operation.endpoint}: an early refusal needs a path without arguments")
            self.operations.append(operation)
            return view

        return declare


class Operations:
    """All operations of one application."""

    def __init__(self) -> None:
        self._by_endpoint: dict[str, Operation] = {}
        self._by_place: dict[tuple[str, str], Operation] = {}
        self._order: dict[str, int] = {}
        self._uploads: list[re.Pattern[str]] = []

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._by_endpoint.values())

    def register(self, app: Quart, apis: Iterable[API]) -> None:
        """Add a route to the application for each operation of `apis`."""
        for api in apis:
            if api.name in self._order:
                raise ValueError(f"two APIs are named {api.name!r}")
            self._order[api.name] = api.order
            for operation in api.operations:
                self._by_endpoint[operation.endpoint] = operation
                self._by_place[operation.method, operation.path] = operation
                if operation.upload:
                    self._uploads.append(re.compile(re.sub("<[^>]+>", "[^/]+", operation.path) + "/?"))
                app.add_url_rule(operation.path, operation.endpoint, operation.handle, methods=[operation.method])

    def named(self, endpoint: str | None) -> Operation | None:
        """The operation of this endpoint."""
        return None if endpoint is None else self._by_endpoint.get(endpoint)

    def at(self, method: str, path: str) -> Operation | None:
        """The operation of exactly this path, without path arguments."""
        return self._by_place.get((method, path))

    def takes_files(self, method: str, path: str) -> bool:
        """Whether a request's body is a form with a file."""
        return method == "POST" and any(pattern.fullmatch(path) for pattern in self._uploads)

    def groups(self) -> list[str]:
        """The APIs in the order of the description."""
        described = {operation.api for operation in self if operation.described}
        return sorted(described, key=lambda name: (self._order[name], name))
