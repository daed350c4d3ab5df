"""The errors that clients match on: status, text, `param` and `code`. `{name}` marks the variable parts of a text."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """text: the beginning of the message, or all of it if it ends with a full stop that is meant. param, code: with the
    same variable parts."""

    status: int
    text: str
    param: str | None = None
    code: str | None = None

    def filled(self, **values: object) -> Refusal:
        """With its variable parts filled in."""

        def fill(text: str | None) -> str | None:
            return None if text is None else re.sub(r"\{(\w+)\}", lambda found: str(values[found[1]]), text)

        return Refusal(self.status, fill(self.text) or "", fill(self.param), fill(self.code))


def _not_found(noun: str) -> Refusal:
    return Refusal(404, f"No {noun} found with id '{{id}}'.")


REFUSALS = {
    "assistant not found": _not_found("assistant"),
    "thread not found": _not_found("thread"),
    "message not found": _not_found("message"),
    "run not found": _not_found("run"),
    "step not found": _not_found("run step"),
    "vector store not found": _not_found("vector store"),
    "file not found": Refusal(404, "No such File object: {id}", "id"),
    "model not found": Refusal(
        404, "The model `{model}` does not exist or you do not have access to it.", "model", "model_not_found"
    ),
    "active run": Refusal(400, "Thread {thread} already has an active run {run}."),
    "message while a run is active": Refusal(400, "Can't add messages to {thread} while a run {run} is active."),
    "tool outputs in a wrong state": Refusal(400, 'Runs in status "{status}" do not accept tool outputs.'),
    "wrong tool outputs": Refusal(400, "Expected tool outputs for call_ids {expected}, got {got}"),
    "cancel in a wrong state": Refusal(400, "Cannot cancel run with status '{status}'."),
    "not JSON": Refusal(400, "We could not parse the JSON body of your request."),
    "missing": Refusal(400, "Missing required parameter: '{path}'.", "{path}", "missing_required_parameter"),
    "type": Refusal(
        400, "Invalid type for '{path}': expected {want}, but got {got} instead.", "{path}", "invalid_type"
    ),
    "value": Refusal(400, "Invalid value: '{value}'. Supported values are: ", "{path}", "invalid_value"),
    "string too long": Refusal(
        400,
        "Invalid '{path}': string too long. Expected a string with maximum length {most}, but got a string with length "
        "{length} instead.",
        "{path}",
        "string_above_max_length",
    ),
    "array too long": Refusal(
        400,
        "Invalid '{path}': array too long. Expected an array with maximum length {most}, but got an array with length "
        "{length} instead.",
        "{path}",
        "array_above_max_length",
    ),
    "too many properties": Refusal(
        400,
        "Invalid '{path}': too many properties. Expected an object with at most {most} properties, but got an object "
        "with {length} properties instead.",
        "{path}",
        "object_above_max_properties",
    ),
    "empty array": Refusal(400, "Invalid '{path}': empty array. Expected an array with minimum length 1", "{path}",
                           "empty_array"),
    "number too small": Refusal(
        400,
        "Invalid '{path}': {kind} below minimum value. Expected a value >= {least}, but got {value} instead.",
        "{path}",
        "{kind}_below_min_value",
    ),
    "number too large": Refusal(
        400,
        "Invalid '{path}': {kind} above maximum value. Expected a value <= {most}, but got {value} instead.",
        "{path}",
        "{kind}_above_max_value",
    ),
    "unknown route": Refusal(404, "Invalid URL ({method} {path})"),
    "version 1": Refusal(
        400,
        "The v1 Assistants API has been deprecated. Please try again by setting the header 'OpenAI-Beta: "
        "assistants=v2'.",
        None,
        "invalid_beta",
    ),
}  # fmt: skip
