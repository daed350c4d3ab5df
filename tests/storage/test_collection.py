"""Collections of stored objects: access only by valid ids, the order, pages, and isolation of damaged objects."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from oxillama.errors import InvalidParameterError, ObjectNotFoundError, StoreDamagedError
from oxillama.storage.collection import Collection, Cut
from oxillama.storage.database import Database
from oxillama.storage.ids import new_id
from oxillama.storage.record import Record
from tests.support.simulated_disk import SimulatedDisk
from tests.support.stores import open_database


class Thing(Record, frozen=True, kw_only=True):
    name: str
    note: str | None = None
    owner: str = ""


@pytest.fixture
def database() -> Database:
    return open_database(SimulatedDisk())


def collection(database: Database) -> Collection[Thing]:
    return Collection(database, "things", Thing, prefix="thing", noun="thing", tag=lambda thing: thing.note)


def a_thing(name: str = "x", created_at: int = 100, **fields: Any) -> Thing:
    return Thing(id=new_id("thing"), created_at=created_at, name=name, **fields)


def stored(things: Collection[Thing], *new: Thing) -> list[Thing]:
    for thing in new:
        things.put(thing)
    return list(new)


def test_an_object_is_created_replaced_listed_and_deleted(database: Database) -> None:
    things = collection(database)
    first, second = stored(things, a_thing("first"), a_thing("second"))
    third = things.following(a_thing("the clock went back", created_at=50))
    things.put(third)
    assert things.list() == [first, second, third]
    changed = Thing(id=second.id, created_at=second.created_at, name="new")
    things.put(changed)
    assert things.get(second.id) == things.find(second.id) == changed
    assert things.list() == [first, changed, third]
    things.delete(first.id)
    things.delete(third.id)
    things.delete(third.id)
    assert (things.list(), things.ids(), things.count()) == ([changed], [changed.id], 1)
    with pytest.raises(ObjectNotFoundError, match="No thing found with id"):
        things.get(first.id)
    assert things.find(first.id) is None


def test_objects_belong_to_their_owner_alone(database: Database) -> None:
    things = collection(database)
    mine, yours = things.within("me", owner="me"), things.within("you", owner="you")
    thing = a_thing()
    mine.put(thing)
    yours.put(thing)
    assert (mine.get(thing.id).owner, yours.list()[0].owner) == ("me", "you")
    assert things.list() == []
    mine.clear()
    assert (mine.list(), yours.ids()) == ([], [thing.id])
    for act in (mine.get, mine.require):
        with pytest.raises(ObjectNotFoundError):
            act(thing.id)


@pytest.mark.parametrize("object_id", ["", "thing_", "../thing_" + "a" * 24, "thing_" + "a" * 15, "other_" + "a" * 24])
def test_a_text_that_is_not_an_id_is_no_object(database: Database, object_id: str) -> None:
    things = collection(database)
    for use in (things.get, things.require, things.check):
        with pytest.raises(ObjectNotFoundError):
            use(object_id)
    with pytest.raises(ObjectNotFoundError):
        things.put(Thing(id=object_id, created_at=1, name="x"))
    assert things.count() == 0


def test_a_damaged_object_is_left_out_and_reported(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    things = collection(database)
    good, bad = stored(things, a_thing(), a_thing())
    with database.change() as connection:
        connection.execute("UPDATE things SET data = replace(data, 'x', 'y') WHERE id = ?", (bad.id,))
    assert things.list() == [good]
    assert f"thing left out: thing {bad.id} in /data/store.db is damaged: its checksum is wrong" in caplog.text
    for read in (lambda: things.get(bad.id), things.whole, lambda: things.cut(Cut(limit=5))):
        with pytest.raises(StoreDamagedError, match=bad.id):
            read()
    things.require(bad.id)
    things.delete(bad.id)
    assert things.whole() == [good]


def test_objects_with_a_tag_are_found_among_others(database: Database) -> None:
    things = collection(database)
    mine = things.within("me")
    a, _, c = stored(things, a_thing(note="t"), a_thing(), a_thing(note="t"))
    d = a_thing(note="t", created_at=99)
    mine.put(d)
    assert things.list("t") == [a, c]
    assert things.cut(Cut(limit=1, tag="t")) == ([c], True)
    assert things.owners("t") == [("me", d.id), ("", a.id), ("", c.id)]
    things.put(a_thing(note="other"))
    assert things.list("t") == [a, c]


def test_objects_are_counted_and_added_up_by_what_their_json_says(database: Database) -> None:
    mine = collection(database).within("me", owner="me")
    a, b, c = stored(mine, a_thing("x", 1, note="t"), a_thing("y", 2, note="t"), a_thing("x", 4))
    collection(database).put(a_thing("x", 8, note="t"))
    assert mine.tagged(["t", "other"]) == {"t": 2, "other": 0}
    assert mine.total("created_at") == 7
    some = mine.having("name", "x")
    assert (some.list(), some.list("t"), some.tagged(["t"]), some.total("created_at")) == (
        [msgspec.structs.replace(a, owner="me"), msgspec.structs.replace(c, owner="me")],
        [msgspec.structs.replace(a, owner="me")],
        {"t": 1},
        5,
    )
    assert [[thing.id for thing in some.cut(Cut(1, "asc", after=after))[0]] for after in (None, a.id, b.id)] == [
        [a.id], [c.id], [c.id],
    ]  # fmt: skip
    with database.change() as connection:
        connection.execute("UPDATE things SET data = '{' WHERE id = ?", (a.id,))
    assert (mine.tagged(["t"]), mine.total("created_at"), some.tagged(["t"])) == ({"t": 2}, 6, {"t": 0})
    assert collection(database).within("nobody").total("created_at") == 0


@pytest.mark.parametrize("times", [[100] * 7, [1, 1, 2, 3, 3, 3, 4]])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_by_after_and_by_before_are_parts_of_the_list(
    database: Database, times: list[int], order: Any, limit: int
) -> None:
    things = collection(database)
    everything = stored(things, *(a_thing(created_at=time) for time in times))
    if order == "desc":
        everything.reverse()
    for at, thing in enumerate(everything):
        behind = everything[at + 1 :]
        assert things.cut(Cut(limit, order, after=thing.id)) == (behind[:limit], len(behind) > limit)
        front = everything[:at]
        assert things.cut(Cut(limit, order, before=thing.id)) == (front[-limit:], len(front) > limit)
        between = everything[1:at]
        both = Cut(limit, order, after=everything[0].id, before=thing.id)
        assert things.cut(both) == (between[:limit], len(between) > limit)
    assert things.cut(Cut(limit, order)) == (everything[:limit], limit < 7)


@pytest.mark.parametrize("name", ["after", "before"])
def test_a_cursor_that_is_not_in_the_list_is_named(database: Database, name: str) -> None:
    things = collection(database)
    other = a_thing()
    things.within("me").put(other)
    for cursor in (other.id, "nonsense"):
        with pytest.raises(InvalidParameterError) as caught:
            things.cut(Cut(1, **{name: cursor}))  # type: ignore[arg-type]
        assert str(caught.value) == f"Invalid '{name}': no item with id '{cursor}' in this list."
        assert caught.value.param == name


def test_what_an_earlier_version_stored_keeps_its_order_and_its_damage(database: Database) -> None:
    things = collection(database)
    ids = [new_id("thing") for _ in range(4)]
    known = Thing(id=ids[3], created_at=1, name="known")
    things.put(known)
    objects = [
        (ids[0], b'{"id":"x","created_at":5,"sequence":1,"name":"b"}'),
        (ids[1], b'{"id":"x","created_at":5,"sequence":0,"name":"a","gone":1}'),
        (ids[2], b"\xff{"),
        (ids[3], b'{"created_at":9,"name":"not this one"}'),
    ]
    adopted, damaged = things.adopt(objects)
    assert (sorted(thing.name for thing in adopted), damaged) == (["a", "b"], 1)
    assert [thing.name for thing in things.list()] == ["known", "a", "b"]
    with pytest.raises(StoreDamagedError):
        things.get(ids[2])
    assert things.adopt(objects) == ([], 0)
