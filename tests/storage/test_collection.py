"""Collections of stored objects: access only by valid ids, the order, and isolation of damaged objects."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from oxillama.errors import ObjectNotFoundError, StoreDamagedError, StoreError
from oxillama.storage.collection import Collection, DirectoryCollection
from oxillama.storage.durable import Durable
from oxillama.storage.ids import new_id
from oxillama.storage.record import Record
from tests.support.places import at
from tests.support.simulated_disk import PowerCut, SimulatedDisk

if TYPE_CHECKING:
    from collections.abc import Callable


class Thing(Record, frozen=True, kw_only=True):
    name: str
    note: str | None = None
    owner: str = ""


def files(disk: SimulatedDisk, **fields: Any) -> Collection[Thing]:
    return Collection(Durable(disk), "/d/things", Thing, prefix="thing", noun="thing", **fields)


def folders(disk: SimulatedDisk, **fields: Any) -> DirectoryCollection[Thing]:
    durable = Durable(disk)
    durable.make_dir("/d/things")
    return DirectoryCollection(durable, "/d/things", Thing, head="head.json", prefix="thing", noun="thing", **fields)


def a_thing(name: str = "x", created_at: int = 100) -> Thing:
    return Thing(id=new_id("thing"), created_at=created_at, name=name)


def stored(collection: Collection[Thing], thing: Thing) -> Thing:
    if isinstance(collection, DirectoryCollection):
        collection.create(thing)
    else:
        collection.put(thing)
    return thing


@pytest.fixture(params=[files, folders])
def make(request: pytest.FixtureRequest) -> Callable[..., Collection[Thing]]:
    return request.param  # type: ignore[no-any-return]


def test_an_object_is_created_replaced_listed_and_deleted(make: Callable[..., Collection[Thing]]) -> None:
    things = make(SimulatedDisk())
    first = stored(things, a_thing("first"))
    second = stored(things, a_thing("second").following(first))
    third = stored(things, a_thing("the clock went back", created_at=50).following(second))
    assert things.list() == [first, second, third]
    changed = Thing(id=second.id, created_at=second.created_at, sequence=second.sequence, name="new")
    things.put(changed)
    assert things.get(second.id) == changed
    things.delete(first.id)
    things.delete(third.id)
    assert things.list() == [changed]
    with pytest.raises(ObjectNotFoundError, match="No thing found with id"):
        things.get(first.id)


def test_a_collection_without_a_directory_is_empty() -> None:
    assert files(SimulatedDisk()).list() == []


def test_fields_that_come_from_the_path_do_not_come_from_the_content(
    make: Callable[..., Collection[Thing]],
) -> None:
    disk = SimulatedDisk()
    thing = stored(make(disk), a_thing())
    assert make(disk, owner="me").get(thing.id).owner == "me"
    assert make(disk, owner="me").list()[0].owner == "me"


@pytest.mark.parametrize("object_id", ["", "thing_", "../thing_" + "a" * 24, "thing_" + "a" * 15, "other_" + "a" * 24])
def test_a_text_that_is_not_an_id_never_becomes_part_of_a_path(
    make: Callable[..., Collection[Thing]], object_id: str
) -> None:
    things = make(SimulatedDisk())
    for use in (things.get, things.delete):
        with pytest.raises(ObjectNotFoundError):
            use(object_id)


def test_a_damaged_object_is_left_out_and_reported(
    make: Callable[..., Collection[Thing]], caplog: pytest.LogCaptureFixture
) -> None:
    disk = SimulatedDisk()
    things = make(disk)
    good, bad = stored(things, a_thing()), stored(things, a_thing())
    disk.overwrite(things.path(bad.id), b'{"name":')
    assert things.list() == [good]
    assert f"thing left out: {things.path(bad.id)} is damaged" in caplog.text
    with pytest.raises(StoreDamagedError, match=bad.id):
        things.get(bad.id)


def test_a_directory_appears_with_all_its_files_or_not_at_all() -> None:
    for step in range(1, 15):
        disk = SimulatedDisk()
        things = folders(disk)
        disk.power_fails_at = disk.calls + step
        thing, done = a_thing(), False
        try:
            things.create(thing, "empty", fill=partial(write_content, disk))
            done = True
        except PowerCut:
            pass
        for seed in range(20):
            with at(step=step, seed=seed):
                after = disk.after_power_cut(random.Random(seed))
                again = folders(after)
                again.clear()
                if not again.list():
                    assert not done
                    assert after.listdir("/d/things") == []
                    continue
                assert again.list() == [thing]
                assert Durable(after).read_json(f"/d/things/{thing.id}/content.json", str) == "content"
                assert after.isdir(f"/d/things/{thing.id}/empty")
    assert done


def write_content(disk: SimulatedDisk, directory: str) -> None:
    Durable(disk).write_new_json(f"{directory}/content.json", "content")


def test_a_file_where_the_directory_belongs_is_named() -> None:
    disk = SimulatedDisk()
    Durable(disk).make_dir("/d")
    Durable(disk).write_json("/d/things", "a file")
    with pytest.raises(StoreError, match="/d/things is in the way: a directory belongs there"):
        stored(files(disk), a_thing())
