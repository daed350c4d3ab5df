"""WordPiece against the ids of a published tokenizer, for texts that vocabularies of this kind find hard."""

from __future__ import annotations

import json

from oxillama.text import Tokenizer
from tests.support.shared import shared


def test_every_text_has_the_ids_of_the_published_tokenizer() -> None:
    tokenizer = Tokenizer.from_gguf(shared("models/minilm/paraphrase-MiniLM-L3-v2-q8_0.gguf"))
    cases = json.loads(shared("models/minilm/wordpiece_ids.json").read_text("utf-8"))
    assert len(cases) == 1560
    wrong = [text for text, ids in cases if tokenizer.encode(text, parse_special=True) != ids]
    assert wrong == []
