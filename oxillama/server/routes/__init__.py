"""One file per group of the API; each exports a `blueprint`. `pages` is apart, since it can be left out."""

from oxillama.server.routes import (
    assistants,
    chat,
    completions,
    health,
    messages,
    models,
    openapi,
    runs,
    steps,
    threads,
)

BLUEPRINTS = (
    chat.blueprint,
    completions.blueprint,
    health.blueprint,
    models.blueprint,
    openapi.blueprint,
    assistants.blueprint,
    threads.blueprint,
    messages.blueprint,
    runs.blueprint,
    steps.blueprint,
)
