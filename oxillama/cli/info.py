"""oxillama info: what a model file holds, and whether it could run."""

from __future__ import annotations

from oxillama.cli import options


def info(model: options.Model = None, json: options.Json = False) -> None:
    """Check a whole model without touching its weights, and describe it. What passes here can be run and served."""
    path = options.require_model(model)

    from dataclasses import asdict

    from oxillama.gguf import GGUFFile
    from oxillama.models import describe_model

    description = asdict(describe_model(GGUFFile(path)))
    if json:
        from oxillama.cli.output import print_json

        print_json(description)
        return
    width = max(map(len, description))
    for key, value in description.items():
        print(f"{key.replace('_', ' '):<{width}}  {value}")
