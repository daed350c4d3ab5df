"""What a route takes and answers, stated at the route: the API's description is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

ATTRIBUTE = "__oxillama_operation__"


@dataclass(frozen=True, slots=True)
class Operation:
    """body: the struct that `read_body` reads. answer: the struct of the answer, `list[T]` for a page of them.
    chunk: what each event of a stream holds, where one can be asked for. query: (name, what it does), beside a page's
    own.
    """

    body: Any = None
    answer: Any = None
    chunk: Any = None
    query: tuple[tuple[str, str], ...] = ()


def describes(
    *, body: Any = None, answer: Any = None, chunk: Any = None, query: dict[str, str] | None = None
) -> Callable[[F], F]:
    """Say what the decorated view takes and answers; see Operation."""

    def mark(view: F) -> F:
        setattr(view, ATTRIBUTE, Operation(body, answer, chunk, tuple((query or {}).items())))
        return view

    return mark


def operation_of(view: Callable[..., Any]) -> Operation:
    """What was said of the view; an empty Operation, if nothing was."""
    found = getattr(view, ATTRIBUTE, Operation())
    assert isinstance(found, Operation)
    return found
