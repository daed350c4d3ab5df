"""The OpenAI API over HTTP: `create_app` makes the application, `serve` runs it."""

from oxillama.server.app import Application, create_app
from oxillama.server.config import ServerConfig, load_config

__all__ = ["Application", "ServerConfig", "create_app", "load_config"]
