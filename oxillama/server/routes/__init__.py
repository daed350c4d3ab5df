"""One file per group of the API; each exports a `blueprint`."""

from oxillama.server.routes import chat, completions, health, models

BLUEPRINTS = (chat.blueprint, completions.blueprint, health.blueprint, models.blueprint)
