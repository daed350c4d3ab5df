"""Assistants keep their order, and a damaged one does not affect the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oxillama.assistants.records import Assistant
from oxillama.errors import ObjectNotFoundError, StoreDamagedError
from oxillama.storage.ids import new_id
from tests.support.records import NOW
from tests.support.stores import damage, open_store

if TYPE_CHECKING:
    from pathlib import Path


def an_assistant(name: str) -> Assistant:
    return Assistant(id=new_id("asst"), created_at=NOW, model="m", name=name)


def test_assistants_keep_the_order_of_their_creation_over_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path).assistants
    made = [store.create(an_assistant(str(n))) for n in range(10)]
    store.delete(made[3].id)
    changed = store.update(made[5].id, name="new")
    expected = [changed if a.id == changed.id else a for a in made if a.id != made[3].id]
    assert store.list() == open_store(tmp_path).assistants.list() == expected


def test_a_damaged_assistant_is_reported_and_the_others_are_served(tmp_path: Path) -> None:
    store = open_store(tmp_path).assistants
    good, bad = store.create(an_assistant("good")), store.create(an_assistant("bad"))
    damage(tmp_path, "assistants", bad.id, '{"id":')
    again = open_store(tmp_path).assistants
    assert again.list() == [good]
    for use in (again.get, again.update):
        with pytest.raises(StoreDamagedError, match=bad.id):
            use(bad.id)
    again.delete(bad.id)
    with pytest.raises(ObjectNotFoundError):
        again.get(bad.id)


@pytest.mark.parametrize("assistant_id", ["asst_x", "../x", "", "thread_" + "a" * 24, "asst_" + "a" * 24])
def test_an_unknown_assistant_is_not_found(tmp_path: Path, assistant_id: str) -> None:
    store = open_store(tmp_path).assistants
    for use in (store.get, store.delete, store.update):
        with pytest.raises(ObjectNotFoundError, match="No assistant found with id"):
            use(assistant_id)
