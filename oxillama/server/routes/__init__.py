"""One file per group of the API; each exports a `blueprint`."""

from oxillama.server.routes import assistants, chat, completions, health, messages, models, runs, steps, threads

BLUEPRINTS = (
    chat.blueprint,
    completions.blueprint,
    health.blueprint,
    models.blueprint,
    assistants.blueprint,
    threads.blueprint,
    messages.blueprint,
    runs.blueprint,
    steps.blueprint,
)
