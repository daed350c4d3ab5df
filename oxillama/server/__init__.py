"""The OpenAI API over HTTP: `create_app` makes the application, `serve` runs one."""

from oxillama.server.application import Application
from oxillama.server.config import ServerConfig, load_config
from oxillama.server.create import create_app
from oxillama.server.process import Ready, serve

__all__ = ["Application", "Ready", "ServerConfig", "create_app", "load_config", "serve"]
