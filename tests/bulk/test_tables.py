"""Parquet data sets and Ray's data sets: the same poses as from files, all else as it was."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.bulk.conftest import MODEL, NETWORK, Work, contents, faults_of, without_progress

import posefix.bulk
from posefix.bulk import Model, Options
from posefix.errors import InputError
from posefix.refine.calibration import ALL_MEANS
from posefix.refine.company import Company

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("ray_here")
# Ray Data warns of settings of its own that it reads itself.
of_ray_data = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.*")


def rows_of(work: Work) -> list[dict[str, Any]]:
    """A row for each photo, in the order of the files."""
    rows: list[dict[str, Any]] = []
    for path in work.files:
        people = json.loads(path.read_text())
        for number in dict.fromkeys(row["image_id"] for row in people):
            own = [row["keypoints"] for row in people if row["image_id"] == number]
            places = [[[x, y] for x, y in zip(one[::3], one[1::3], strict=True)] for one in own]
            scores = [one[2::3] for one in own]
            rows.append(
                {"image": f"{number}.jpg", "keypoints": places, "scores": scores, "ids": [f"n{number}"]}
            )
    return rows


@pytest.fixture
def table(work: Work) -> Path:
    path = work.place / "found.parquet"
    parquet.write_table(pa.Table.from_pylist(rows_of(work)), path, row_group_size=2)
    return path


def test_a_table_gets_the_numbers_that_files_get(run: Run, work: Work, table: Path) -> None:
    options = ("--images", work.photos, *MODEL)
    assert run("bulk", work.poses, *options, "-o", work.place / "files")[0] == 0
    company = ("--company", work.place / "files/company.json")
    for workers in (1, 2):
        out = work.place / f"table{workers}"
        assert run("bulk", table, *options, *company, "-o", out, "--workers", workers)[0] == 0
    assert contents(work.place / "table1") == contents(work.place / "table2")
    assert sorted(path.name for path in (out / "poses").iterdir()) == [
        f"found-0000{number}.parquet" for number in range(3)
    ]
    refined = parquet.read_table(out / "poses")
    before = parquet.read_table(table)
    assert refined.schema == before.schema
    assert refined["ids"] == before["ids"]
    written = [
        row for path in sorted((work.place / "files/poses").iterdir()) for row in json.loads(path.read_text())
    ]
    numbers = np.array([row["keypoints"] for row in written]).reshape(-1, 17, 3)
    places = np.array([person for row in refined["keypoints"].to_pylist() for person in row])
    scores = np.array([person for row in refined["scores"].to_pylist() for person in row])
    np.testing.assert_array_equal(places, numbers[..., :2])
    np.testing.assert_array_equal(scores, numbers[..., 2])
    assert not np.array_equal(places, [person for row in before["keypoints"].to_pylist() for person in row])


def test_faults_of_a_table_name_rows(run: Run, work: Work) -> None:
    rows = rows_of(work)
    rows[0]["image"] = "lost.jpg"
    rows[1]["keypoints"] = [[[1.0, 2.0]]]
    rows[2]["keypoints"] = None
    rows[3]["keypoints"][0] = [[0.0, 0.0]] * 17
    path = work.place / "found.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path)
    code, _, _ = run(
        "bulk",
        path,
        "--images",
        work.photos,
        "-o",
        work.place / "out",
        "--layout",
        "coco17",
        "--model",
        "identity",
    )
    assert code == 3
    assert [(row["record"], row["field"]) for row in faults_of(work.place / "out")] == [
        ("row 0, photo lost.jpg", ""),
        ("row 3, person 0", "keypoints"),
        ("row 1", "keypoints"),
    ]
    assert parquet.read_table(work.place / "out/poses/found.parquet").to_pylist() == rows


@pytest.mark.parametrize("nested", [True, False], ids=["pairs", "numbers in a row"])
def test_what_is_missing_stays_as_it_was_written(run: Run, work: Work, nested: bool) -> None:
    rows = rows_of(work)[:1]
    del rows[0]["scores"]
    rows[0]["keypoints"][0][5] = [None, None]
    rows[0]["keypoints"][0][6] = [0.0, 0.0]
    if not nested:
        rows[0]["keypoints"] = [
            [number for pair in person for number in pair] for person in rows[0]["keypoints"]
        ]
    path = work.place / "found.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path)
    more = ("--layout", "coco17", "--model", "identity", "--missing", "keep")
    assert run("bulk", path, "--images", work.photos, "-o", work.place / "out", *more)[0] == 0
    assert parquet.read_table(work.place / "out/poses/found.parquet").to_pylist() == rows


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"image": None}, "expected a column 'image', got keypoints"),
        ({"keypoints": [1.0]}, "column 'keypoints': expected a list of people"),
        ({"image": [1.5]}, "column 'image': expected names or numbers"),
    ],
    ids=str,
)
def test_a_table_of_other_columns_is_refused(
    run: Run, work: Work, column: dict[str, Any], message: str
) -> None:
    row = {name: value for name, value in (rows_of(work)[0] | column).items() if value is not None}
    path = work.place / "found.parquet"
    parquet.write_table(pa.Table.from_pylist([row]), path)
    more = ("--layout", "coco17", "--model", "identity")
    code, _, told = run("bulk", path, "--images", work.photos, "-o", work.place / "out", *more)
    assert code == 2
    assert message in told
    code, _, told = run(
        "bulk", path, "--images", work.photos, "-o", work.place / "other", "--model", "identity"
    )
    assert (code, "does not say its layout" in told) == (2, True)


def test_addresses_in_a_column_and_archives_are_photos_as_a_folder_is(
    run: Run, work: Work, table: Path
) -> None:
    rows = [row | {"photo": str(work.photos / row["image"])} for row in rows_of(work)]
    addressed = work.place / "addressed.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), addressed, row_group_size=2)
    archives = work.place / "archives"
    archives.mkdir()
    for number in range(2):
        with tarfile.open(archives / f"photos-{number:03d}.tar", "w") as archive:
            for path in sorted(work.photos.iterdir())[number::2]:
                archive.add(path, path.name)
                archive.add(work.files[0], f"{path.stem}.json")
    company = work.place / "company.json"
    run("company", work.files[0], "--images", work.photos, "-o", company, *NETWORK)
    found: list[Any] = []
    for source, where in (
        (table, work.photos),
        (table, archives),
        (table, f"{archives}/photos-{{000..001}}.tar"),
        (addressed, "column:photo"),
    ):
        out = work.place / f"out{len(found)}"
        code, _, told = run("bulk", source, "--images", where, "-o", out, "--company", company, *MODEL)
        assert (code, without_progress(told)) == (0, "")
        found.append(parquet.read_table(out / "poses").select(["keypoints", "scores"]))
    assert all(one == found[0] for one in found)


def test_shards_for_training_are_no_photos(run: Run, work: Work) -> None:
    shards = work.place / "shards"
    shards.mkdir()
    with tarfile.open(shards / "shard-000000.tar", "w") as archive:
        for path in work.photos.iterdir():
            archive.add(path, path.name)
    (shards / "index.json").write_text('{"format": "posefix shards"}')
    more = ("--layout", "coco17", "--model", "identity", "-o", work.place / "out")
    for where in (shards, shards / "shard-000000.tar"):
        code, _, told = run("bulk", work.poses, "--images", where, *more)
        assert code == 2
        assert "holds people cut out for training by `posefix prepare`" in told
    (shards / "index.json").write_text('{"shards": 1}')  # somebody else's
    assert run("bulk", work.poses, "--images", shards, *more, "--workers", 1)[0] == 0


@of_ray_data
def test_a_data_set_of_ray_is_refined_in_somebodys_pipeline(
    run: Run, work: Work, table: Path, ray_here: Any
) -> None:
    import ray.data

    rows = rows_of(work)
    rows[5]["image"] = "lost.jpg"
    parquet.write_table(pa.Table.from_pylist(rows), table, row_group_size=2)
    ray.data.DataContext.get_current().enable_progress_bars = False
    out = work.place / "out"
    options = ("--images", work.photos, "-o", out, *MODEL)
    assert run("bulk", table, *options)[0] == 3
    refined = posefix.bulk.refine(
        ray.data.read_parquet(str(table)),
        images=str(work.photos),
        layout="coco17",
        company=out / "company.json",
        options=Options(model=Model(caution=-1.0, runtime="onnxruntime"), workers=1, batch_size=1),
    )
    got = {row["ids"][0]: row for row in refined.take_all()}
    expected = parquet.read_table(out / "poses").to_pylist()
    assert len(got) == len(expected)
    for row in expected:
        fault = got[row["ids"][0]].pop("fault")
        assert got[row["ids"][0]] == row
        assert (fault is None) == (row["image"] != "lost.jpg")


@of_ray_data
def test_a_data_set_measures_its_company_itself(work: Work, table: Path) -> None:
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    options = Options(model=Model(model="identity"), workers=1)
    refined = posefix.bulk.refine(
        ray.data.read_parquet(str(table)), images=str(work.photos), layout="coco17", options=options
    )
    assert refined.count() == 6
    with pytest.raises(InputError, match="expected a column 'keypoints'"):
        posefix.bulk.refine(
            ray.data.from_items([{"image": "0"}]),
            images=str(work.photos),
            layout="coco17",
            company=Company(np.zeros(len(ALL_MEANS))),
            options=options,
        )
