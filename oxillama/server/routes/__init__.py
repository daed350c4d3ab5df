"""One file per group of the API; each exports a `blueprint`."""

from oxillama.server.routes import health, models

BLUEPRINTS = (health.blueprint, models.blueprint)
