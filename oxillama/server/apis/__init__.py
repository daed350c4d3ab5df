"""One folder per group of the API: its request, its answer and its routes."""

from oxillama.server.apis.assistants.routes import blueprint as _assistants
from oxillama.server.apis.chat.routes import blueprint as _chat
from oxillama.server.apis.completions.routes import blueprint as _completions
from oxillama.server.apis.health.routes import blueprint as _health
from oxillama.server.apis.messages.routes import blueprint as _messages
from oxillama.server.apis.models.routes import blueprint as _models
from oxillama.server.apis.openapi.routes import blueprint as _openapi
from oxillama.server.apis.runs.routes import blueprint as _runs
from oxillama.server.apis.steps.routes import blueprint as _steps
from oxillama.server.apis.threads.routes import blueprint as _threads

BLUEPRINTS = (_chat, _completions, _health, _models, _openapi, _assistants, _threads, _messages, _runs, _steps)
