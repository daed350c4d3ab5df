"""The OpenAI API over HTTP: `create_app` makes the application, `serve` runs one."""

from oxillama.server.app import Application, create_app
from oxillama.server.config import ServerConfig, load_config
from oxillama.server.http.serving import serve

__all__ = ["Application", "ServerConfig", "create_app", "load_config", "serve"]
