"""oxillama tokenize: prints a text's token ids as the model sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oxillama.cli.shared import options
from oxillama.cli.shared.prompt import argument_text, read_text


def tokenize(
    model: options.Model = None,
    text: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The text; without it, standard input.", show_default=False),
    ] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Print only the ids, on one line.")] = False,
    json: options.Json = False,
    special: Annotated[
        bool, typer.Option("--special", help="Read the texts of control tokens as control tokens.")
    ] = False,
    bos: Annotated[
        bool, typer.Option("--bos/--no-bos", help="Add the tokens that the model expects around a text.")
    ] = True,
) -> None:
    """Turn text into token ids.

    A file with only a vocabulary is enough.
    """
    path = options.model_or_embedded(model, "tokenize")
    text = read_text(Path("-")) if text is None else argument_text(text)

    from oxillama.text import Tokenizer

    tokenizer = Tokenizer.from_gguf(path)
    tokens = tokenizer.encode(text, add_special=bos, parse_special=special)
    if json:
        from oxillama.cli.shared.output import print_json

        pieces = [{"id": token, "text": tokenizer.token_text(token)} for token in tokens]
        print_json({"ids": tokens, "tokens": pieces})
    elif ids:
        print(*tokens)
    else:
        for token in tokens:
            print(f"{token:>8}  {tokenizer.token_text(token)!r}")
