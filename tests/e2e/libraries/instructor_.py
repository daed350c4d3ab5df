"""instructor: answers of a form, by tools and by a JSON schema."""

from __future__ import annotations

import instructor
from openai import OpenAI
from pydantic import BaseModel
from task import ASKED_FORM, MODEL, base_url, check_city


class City(BaseModel):
    """A city."""

    name: str
    population: int


for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
    client = instructor.from_openai(OpenAI(base_url=base_url(), api_key="none"), mode=mode)
    city = client.chat.completions.create(
        model=MODEL, response_model=City, messages=[{"role": "user", "content": ASKED_FORM}]
    )
    check_city(mode.name, city)
