"""oxillama info: describes a model file and checks whether it would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.cli.shared import options
from oxillama.cli.shared.plot import Plot, check_plot

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile


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
    description = asdict(describe_model(file)) | conversations(file)
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


def conversations(file: GGUFFile) -> dict[str, str]:
    """How the model writes its replies; nothing if it has no chat template."""
    from oxillama.chat.formats import format_of
    from oxillama.chat.formats.describe import described
    from oxillama.text import ChatTemplate, Tokenizer

    if file.get_str("tokenizer.ggml.model", "none") in ("none", "no_vocab"):
        return {}
    tokenizer = Tokenizer.from_gguf(file)
    template = ChatTemplate.from_gguf(file, tokenizer)
    try:
        return described(format_of(template, tokenizer).family) if template.source is not None else {}
    finally:
        template.close()


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
