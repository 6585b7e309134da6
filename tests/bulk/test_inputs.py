"""Units of work: what they are called, so that each has an output of its own within the folder of poses."""

from __future__ import annotations

from pathlib import Path

import pytest

from posefix.bulk import inputs
from posefix.bulk.inputs import Unit, list_units
from posefix.bulk.ledger import Done, Entry, Ledger
from posefix.bulk.places import Listed, Store
from posefix.bulk.settings import POSES
from posefix.errors import InputError


@pytest.fixture
def anything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address that is asked for is a file's."""
    monkeypatch.setattr(inputs, "look_up", lambda address: Listed(address, address.rsplit("/", 1)[-1], 9, 1))


def listed(folder: Path, *lines: str) -> str:
    """A list of files as an input."""
    path = folder / "list.txt"
    path.write_text("\n".join(lines))
    return f"@{path}"


def named(units: list[Unit]) -> dict[str, str]:
    return {unit.name: unit.address for unit in units}


def test_a_list_may_name_files_above_its_folder(tmp_path: Path) -> None:
    for name in ("lists", "poses"):
        (tmp_path / name).mkdir()
    for name in ("lists/a.json", "poses/b.json"):
        (tmp_path / name).write_text("[]")
    units = list_units([listed(tmp_path / "lists", "a.json", "../poses/b.json")])
    assert named(units) == {
        "lists/a.json": f"{tmp_path}/lists/a.json",
        "poses/b.json": f"{tmp_path}/poses/b.json",
    }


@pytest.mark.usefixtures("anything_is_there")
def test_a_name_that_leads_out_of_the_folder_of_poses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^s3://one/p/\.\./q/b\.json: expected an address without \.\.,"):
        list_units([listed(tmp_path, "s3://one/p/a.json", "s3://one/p/../q/b.json")])


@pytest.mark.usefixtures("anything_is_there")
def test_files_that_share_the_root_alone_keep_their_names(tmp_path: Path) -> None:
    units = list_units([listed(tmp_path, "/data1/p/a.json", "/mnt2/p/b.json")])
    assert named(units) == {"data1/p/a.json": "/data1/p/a.json", "mnt2/p/b.json": "/mnt2/p/b.json"}


@pytest.mark.usefixtures("anything_is_there")
def test_units_of_two_buckets_are_known_to_be_done(tmp_path: Path) -> None:
    units = list_units([listed(tmp_path, "s3://one/p/a.json", "s3://two/p/b.json")])
    assert list(named(units)) == ["one/p/a.json", "two/p/b.json"]
    store = Store(str(tmp_path / "out"))
    for unit in units:
        store.put(f"{POSES}/{unit.name}", b"[]")
        counts = {"people": 0}
        entry = Entry(unit.name, unit.address, unit.bytes, unit.changed, "", 2, "", counts, 0.0, 0.0, "me")
        Ledger(store).write(entry)
    done = Done()
    assert Ledger(store).outstanding(units, done) == []
    assert done.units == 2


@pytest.mark.usefixtures("anything_is_there")
def test_files_of_one_folder_are_called_as_there(tmp_path: Path) -> None:
    lines = ("s3://one/p/a.json", "s3://one/p/b.json")
    assert list(named(list_units([listed(tmp_path, *lines)]))) == ["a.json", "b.json"]
    assert list(named(list_units([listed(tmp_path, *lines, "s3://one/p/q/c.json")]))) == [
        "a.json",
        "b.json",
        "q/c.json",
    ]
