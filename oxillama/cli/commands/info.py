"""oxillama info: describes a model file and checks whether it would run."""

from __future__ import annotations

from oxillama.cli.shared import options
from oxillama.cli.shared.plot import Plot, check_plot


def info(model: options.Model = None, plot: Plot = None, json: options.Json = False) -> None:
    """Describe a model and check whether it would run.

    The whole file is checked, weights apart: what passes here can be run and served.
    """
    check_plot(plot, model)
    path = options.model_or_embedded(model, "info")

    from dataclasses import asdict

    from oxillama.gguf import GGUFFile
    from oxillama.models import describe_model

    file = GGUFFile(path)
    description = asdict(describe_model(file))
    if plot is not None:
        from oxillama.cli.shared import plot as plots

        title = f"{path.name}: {description['quantization']}, {readable(description['parameters'])} parameters"
        plots.save(plots.types_figure(file, title), plot)
    if json:
        from oxillama.cli.shared.output import print_json

        print_json(description)
        return
    width = max(map(len, description))
    for key, value in description.items():
        print(f"{key.replace('_', ' '):<{width}}  {readable(value)}")


def readable(value: object) -> str:
    """A value as text for people."""
    from oxillama.cli.shared.guard import one_line

    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case dict():
            return ", ".join(f"{count} {name}" for name, count in value.items())
    return one_line(str(value))
