"""A worker by itself, without a Ray: the same people and photos as of `posefix refine`, and what is passed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.bulk.conftest import Work

from posefix.bulk.inputs import list_units
from posefix.bulk.ledger import Entry, Ledger
from posefix.bulk.places import Store
from posefix.bulk.settings import COMPANY_FILE, Model, Settings
from posefix.bulk.worker import Worker
from posefix.cli.bulk import _model
from posefix.errors import InputError
from posefix.network.models import model_names
from posefix.skeletons import load_skeleton

NAMES = list(load_skeleton("coco17").keypoint_names)
SAMPLE = 10


def people_of(work: Work, image_id: int) -> list[Any]:
    """Keypoints of the people of a photo, as numbers in threes."""
    rows = [row for path in work.files for row in json.loads(path.read_text())]
    return [row["keypoints"] for row in rows if row["image_id"] == image_id]


def table(work: Work, photos: dict[Any, int], row_group_size: int = 100) -> Path:
    """A row for each photo that `image` names, with the people of a photo."""
    rows = []
    for image, number in photos.items():
        own = people_of(work, number)
        places = [[[x, y] for x, y in zip(one[::3], one[1::3], strict=True)] for one in own]
        rows.append({"image": image, "keypoints": places})
    path = work.place / "found.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=row_group_size)
    return path


def annotated(work: Work, names: dict[Any, str]) -> str:
    images = [{"id": one, "file_name": name} for one, name in names.items()]
    path = work.place / "names.json"
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    return str(path)


def worked(work: Work, inputs: str | Path, **settings: Any) -> list[Entry]:
    """What becomes of inputs that a worker looks at and then refines, as a run has it do."""
    more = {"images": str(work.photos), "layout": "coco17", **settings}
    worker = Worker(Settings(out=str(work.place / "out"), model=Model(model="identity"), **more))
    units, store = list_units([str(inputs)]), Store(str(work.place / "out"))
    found = worker.survey(units, SAMPLE)
    store.put(COMPANY_FILE, found["company"].encode())
    worker.hello(found)
    for unit in units:
        worker.refine(unit)
    entries = [Ledger(store).read(unit.name) for unit in units]
    return [entry for entry in entries if entry is not None]


def told(entry: Entry) -> list[tuple[str, str]]:
    return [(fault.record, fault.field) for fault in entry.faults]


@pytest.mark.parametrize("kind", [int, str])
def test_annotations_name_the_photos_of_ids_in_a_table_and_not_of_its_rows(work: Work, kind: type) -> None:
    names = annotated(work, {0: "lost.jpg", 1: "0.jpg", 7: "1.jpg"})
    (entry,) = worked(work, table(work, {kind(7): 1, kind(1): 0, kind(0): 2, kind(3): 3}), annotations=names)
    assert told(entry) == [("row 2, photo lost.jpg", "")]
    assert entry.counts["refined"] == sum(len(people_of(work, number)) for number in (1, 0, 3))


def test_the_look_around_finds_photos_of_a_table_by_annotations(work: Work) -> None:
    names = annotated(work, {100 + number: f"{number}.jpg" for number in range(6)})
    (entry,) = worked(work, table(work, {100 + number: number for number in range(6)}), annotations=names)
    assert (told(entry), entry.counts["people"]) == ([], 9)
    assert json.loads((work.place / "out" / COMPANY_FILE).read_text())["people"] == 9


def test_addresses_in_a_column_are_not_asked_of_annotations(work: Work) -> None:
    addresses = {str(work.photos / f"{number}.jpg"): number for number in range(3)}
    names = annotated(work, dict.fromkeys(addresses, "lost.jpg"))
    (entry,) = worked(work, table(work, addresses), annotations=names, images="column:image")
    assert told(entry) == []


@pytest.mark.parametrize("format", ["tables", "files"])
def test_an_id_that_fits_two_photos_is_a_fault_of_its_unit(work: Work, format: str) -> None:
    """Also where the look around comes upon it."""
    for number in range(3):
        (work.photos / f"{number}.png").write_bytes((work.photos / f"{number}.jpg").read_bytes())
    if format == "tables":
        inputs: Path = table(work, {number: number for number in (0, 3, 1, 4, 2, 5)}, row_group_size=5)
    else:
        for part, numbers in enumerate(((0, 3, 1, 4, 2), (5,))):
            rows = [
                {"image_id": number, "category_id": 1, "keypoints": one, "score": 0.9}
                for number in numbers
                for one in people_of(work, number)
            ]
            (work.place / f"all{part}.json").write_text(json.dumps(rows))
        inputs = work.place / "all*.json"
    faulty, sound = worked(work, inputs)
    record = "row group 0" if format == "tables" else ""
    assert (told(faulty), told(sound)) == ([(record, "")], [])
    assert "fits two photos" in faulty.faults[0].reason
    assert (faulty.counts["people"], sound.counts["people"]) == (0, 2)
    if format == "tables":
        (copy,) = (work.place / "out/poses").glob("*-00000.parquet")
        assert parquet.read_table(copy) == parquet.ParquetFile(inputs).read_row_group(0)


def test_where_all_ids_fit_two_photos_that_is_told(work: Work) -> None:
    for number in range(6):
        (work.photos / f"{number}.png").write_bytes((work.photos / f"{number}.jpg").read_bytes())
    with pytest.raises(InputError, match=r"fits two photos, 0\.jpg and 0\.png"):
        worked(work, table(work, {number: number for number in range(6)}))


def test_a_table_without_a_column_is_a_fault_beside_others(work: Work) -> None:
    (work.place / "tables").mkdir()
    table(work, {0: 0, 1: 1}).rename(work.place / "tables/a.parquet")
    parquet.write_table(pa.table({"image": [2]}), work.place / "tables/b.parquet")
    sound, faulty = worked(work, work.place / "tables")
    assert (told(sound), told(faulty)) == ([], [("row group 0", "")])
    assert "tables/b.parquet: expected a column 'keypoints', got image" in faulty.faults[0].reason


def test_a_fault_of_a_table_stops_the_run_that_asks_for_it(work: Work) -> None:
    (work.photos / "0.png").write_bytes((work.photos / "0.jpg").read_bytes())
    with pytest.raises(InputError, match=r"found\.parquet, row group 0: .* fits two photos"):
        worked(work, table(work, {0: 0, 1: 1}, row_group_size=1), on_error="stop")


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("nested", [True, False], ids=["pairs", "numbers in a row"])
def test_a_person_that_is_null_is_a_fault_of_its_row(work: Work, place: int, nested: bool) -> None:
    path = table(work, {0: 0, 1: 1})
    rows = parquet.read_table(path).to_pylist()
    for row in rows:
        if not nested:
            row["keypoints"] = [[number for pair in one for number in pair] for one in row["keypoints"]]
    rows[0]["keypoints"].insert(place, None)
    parquet.write_table(pa.Table.from_pylist(rows), path)
    (entry,) = worked(work, path)
    assert told(entry) == [("row 0", "keypoints")]
    assert f"person {place}: expected a list of numbers, got null" in entry.faults[0].reason
    assert parquet.read_table(work.place / "out/poses/found.parquet").to_pylist() == rows


@pytest.mark.parametrize("name", model_names())
def test_workers_are_told_the_model_that_refine_takes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert _model(name) == name
    assert _model(f"./{name}") == _model(f"{name}/") == str(tmp_path / name)


def joint(work: Work, name: str) -> Path:
    """Annotations of a person, and of a dog with other keypoints."""
    dog = {"id": 2, "name": "dog", "keypoints": ["Nose", "TailBase", "L_F_Paw"]}
    content = {
        "images": [{"id": 0, "file_name": "0.jpg", "width": 320, "height": 240}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 2, "keypoints": [40, 50, 2] * 3, "num_keypoints": 3},
            {"id": 2, "image_id": 0, "category_id": 1, "keypoints": people_of(work, 0)[0], "num_keypoints": 17},
        ],
        "categories": [dog, {"id": 1, "name": "person", "keypoints": NAMES}],
    }  # fmt: skip
    for one in content["annotations"]:
        one["keypoints"][2::3] = [2] * (len(one["keypoints"]) // 3)
        one |= {"bbox": [30, 30, 200, 200], "area": 40000, "iscrowd": 0}
    (work.place / "joint").mkdir(exist_ok=True)
    path = work.place / "joint" / name
    path.write_text(json.dumps(content))
    return path


def test_people_are_refined_beside_animals_with_other_keypoints(work: Work) -> None:
    path = joint(work, "a.json")
    (entry,) = worked(work, path.parent, layout=None)
    assert (told(entry), entry.counts["people"], entry.counts["refined"]) == ([], 1, 1)
    before, after = (json.loads(one.read_text()) for one in (path, work.place / "out/poses/a.json"))
    assert before["annotations"][0] == after["annotations"][0]


def test_faults_beside_animals_are_those_of_people(work: Work) -> None:
    for name in ("a.json", "b.json"):
        path = joint(work, name)
    content = json.loads(path.read_text())
    content["annotations"][1]["keypoints"][4] = "left"
    path.write_text(json.dumps(content))
    sound, faulty = worked(work, path.parent, layout=None)
    assert (told(sound), told(faulty)) == ([], [("annotation 1", "keypoints")])
