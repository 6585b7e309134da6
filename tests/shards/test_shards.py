"""Shards: what is kept of a photo, where it lies, and what becomes of a folder that is damaged or of other data."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from posefix.errors import InputError
from posefix.people import PersonRecords
from posefix.photos.finding import decode_image
from posefix.pose import geometry
from posefix.shards import writing
from posefix.shards.contexts import ContextOptions, context_squares, cut_context
from posefix.shards.folder import INDEX_FILE, PEOPLE_FILE, read_index, read_people, shard_path
from posefix.shards.reading import ShardPictures, open_pictures
from posefix.shards.writing import plan_shards, write_shards

CROP = (48, 64)
OPTIONS = ContextOptions(CROP, quality=100)
SETTINGS: dict[str, Any] = {"skeleton": ["nose"], "sha256": {"set/people.json": "0" * 64}}
PHOTO_WH = (360, 240)


def gradient(number: int, size_wh: tuple[int, int] = PHOTO_WH) -> npt.NDArray[np.uint8]:
    """A photo that tells where a pixel lies: red grows with x, green with y, blue is the photo's number."""
    width, height = size_wh
    photo = np.zeros((height, width, 3), np.uint8)
    photo[..., 0] = np.linspace(20, 235, width)[None]
    photo[..., 1] = np.linspace(20, 235, height)[:, None]
    photo[..., 2] = 30 * number
    return photo


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> PersonRecords:
    """Four photos with one to three people; the last person is large, the first nearly outside."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    centres = [(3, 3), (200, 120), (90, 60), (300, 200), (150, 100), (250, 60), (40, 180), (180, 120)]
    sides = [26, 30, 30, 30, 30, 24, 36, 200]
    keypoints = [
        np.array(centre) + side * generator.uniform(-0.5, 0.5, (5, 2))
        for centre, side in zip(centres, sides, strict=True)
    ]
    photos = [0, 0, 0, 1, 1, 2, 2, 3]
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), gradient(number)[..., ::-1])
    count = len(photos)
    return PersonRecords(
        np.array(keypoints, np.float32),
        np.ones((count, 5), bool),
        np.array([0.5 * side**2 for side in sides], np.float32),
        np.zeros(count, np.int64),
        np.full((count, 2), -1, np.int64),
        tuple(folder / f"{number}.png" for number in photos),
        generator.random((count, 1, 5, 2), np.float32),
        np.ones((count, 1, 5), bool),
        np.array(
            [(x - s / 2, y - s / 2, s, s) for (x, y), s in zip(centres, sides, strict=True)], np.float32
        ),
    )


def write(folder: Path, records: PersonRecords, **changes: Any) -> int:
    settings = {**SETTINGS, **changes}
    return write_shards(folder, records, [len(records)], settings, OPTIONS, threads=2)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people a shard, so that there are several."""
    plan = plan_shards
    monkeypatch.setattr(writing, "plan_shards", lambda images: plan(images, size=2))


def pictures_of(folder: Path) -> ShardPictures:
    return open_pictures(folder, read_index(folder), CROP)


def crop_matrix(records: PersonRecords, row: int, factor: float, angle: float = 0.0) -> Any:
    boxes = geometry.box_from_keypoints(records.keypoints[[row]].astype(np.float64), records.labelled[[row]])
    return geometry.crop_matrices(geometry.enlarge(boxes, 1.5 * factor), CROP, rotation_degrees=angle)[0]


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(("factor", "angle"), [(0.7, 0), (1.0, 30), (1.3, -80), (3.0, 10), (12.0, 0)])
def test_crops_of_shards_are_crops_of_photos(
    records: PersonRecords, tmp_path: Path, factor: float, angle: float
) -> None:
    """However far a crop reaches: from the context, at a part of its size, or from the small photo."""
    write(tmp_path, records)
    pictures = pictures_of(tmp_path)
    for row in range(len(records)):
        matrix = crop_matrix(records, row, factor, angle)
        expected = geometry.warp(decode_image(records.images[row]), matrix, CROP).astype(int)
        got = geometry.warp(*pictures(row, matrix), CROP).astype(int)
        # At the photo's edge black begins within a pixel of where it should.
        inside = (expected.max(axis=2) > 0).astype(np.uint8)
        shown = (
            cv2.erode(inside, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        )
        assert abs(expected - got)[shown].mean() < 2.5, row
        assert (abs(expected - got)[shown] < 12).mean() > 0.99, row


def test_a_context_is_no_finer_than_crops_need_and_knows_where_it_lies() -> None:
    photo = gradient(1, (3000, 2000))
    keypoints = np.array([[[1000, 500], [1600, 1300]]], np.float32)
    square, scale = context_squares(
        keypoints, np.ones((1, 2), bool), np.array([2e5], np.float32), np.zeros((1, 4), np.float32), OPTIONS
    )
    context = cut_context(photo, square[0], float(scale[0]), 100)
    # 800 pixels and half as many again make the 64 of a crop's height, at a resolution of 1.25.
    assert float(scale[0]) == pytest.approx(1.25 * 64 / 1200)
    decoded = cv2.imdecode(np.frombuffer(context.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape[1::-1] == tuple(context.size_wh)
    assert not context.whole
    for x, y in ((1000, 500), (1600, 1300), (1300, 900)):
        place = (np.array([x, y]) * context.scale_xy + context.offset_xy).round().astype(int)
        red, green = (np.linspace(20, 235, size)[at] for size, at in ((3000, x), (2000, y)))
        assert abs(decoded[place[1], place[0], ::-1].astype(float)[:2] - [red, green]).max() < 4


def test_a_context_with_boxes_holds_the_crop_around_the_box_as_well() -> None:
    """Of who is labelled at the head alone; as sharp as the crop around the box, which is larger, needs it."""
    keypoints = np.array([[[1000, 500], [1040, 530]]], np.float32)
    box = np.array([[900, 450, 240, 800]], np.float32)
    who = keypoints, np.ones((1, 2), bool), np.array([1e4], np.float32)
    (left, top, width, height), scale = (
        value[0] for value in context_squares(*who, box, dataclasses.replace(OPTIONS, boxes=True))
    )
    assert scale == pytest.approx(1.25 * 64 / (800 * 1.25))
    # 1.5 times the longer side of the crop, about the middle of the box.
    assert width == height == pytest.approx(1.5 * 1000)
    assert (left, top) == pytest.approx((1020 - 750, 850 - 750))
    alone, _ = context_squares(*who, box, OPTIONS)
    without, _ = context_squares(*who, 0 * box, dataclasses.replace(OPTIONS, boxes=True))
    np.testing.assert_array_equal(alone, without)
    assert alone[0, 3] < 300


def test_a_folder_of_an_earlier_version_is_read_and_finished(records: PersonRecords, tmp_path: Path) -> None:
    """Its people have no boxes, its settings say nothing of them."""
    write(tmp_path, records)
    index = json.loads((tmp_path / INDEX_FILE).read_text())
    index["settings"]["context"] = {"size_wh": list(CROP)}
    with np.load(tmp_path / PEOPLE_FILE) as arrays:
        old = {name: arrays[name] for name in arrays.files if name != "boxes"}
    np.savez_compressed(tmp_path / PEOPLE_FILE, **old)
    index["people_sha256"] = hashlib.sha256((tmp_path / PEOPLE_FILE).read_bytes()).hexdigest()
    (tmp_path / INDEX_FILE).write_text(json.dumps(index))
    found = read_index(tmp_path)
    assert found.settings["context"]["boxes"] is False
    people = read_people(tmp_path, found)
    assert not people.boxes.any() and people.boxes.shape == (len(records), 4)
    np.testing.assert_array_equal(people.keypoints, records.keypoints)
    write(tmp_path, records, context={"size_wh": list(CROP), "boxes": False})
    np.testing.assert_array_equal(read_people(tmp_path, read_index(tmp_path)).boxes, records.boxes)


def test_a_crop_that_shrinks_a_context_gets_it_at_a_part_of_its_size(
    records: PersonRecords, tmp_path: Path
) -> None:
    write(tmp_path, records)
    pictures = pictures_of(tmp_path)
    row = len(records) - 1
    whole, _ = pictures(row, crop_matrix(records, row, 0.7))
    part, _ = pictures(row, crop_matrix(records, row, 3.5))
    assert part.shape[0] <= (whole.shape[0] + 1) // 2


@pytest.mark.usefixtures("small_shards")
def test_an_archive_is_what_webdataset_reads(records: PersonRecords, tmp_path: Path) -> None:
    """Files of one sample follow one another and share the name up to the first dot."""
    write(tmp_path, records)
    names: list[str] = []
    for path in sorted(tmp_path.glob("*.tar")):
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            names += [member.name for member in members]
            stems = [member.name.split(".")[0] for member in members]
            assert [stem for place, stem in enumerate(stems) if stem not in stems[:place]] == sorted(
                set(stems), key=stems.index
            )
            label = json.load(archive.extractfile(next(m for m in members if m.name.endswith(".json"))))  # type: ignore[arg-type]
    assert len(label["keypoints"]) == 15
    assert {name for name in names if name.endswith(".json")} == {
        f"{row:09d}.json" for row in range(len(records))
    }


def test_labels_come_back_to_the_bit(records: PersonRecords, tmp_path: Path) -> None:
    write(tmp_path, records)
    people = read_people(tmp_path, read_index(tmp_path))
    assert people.images == records.images
    for name in ("keypoints", "labelled", "area", "overlap", "neighbours", "estimates", "estimated"):
        kept, given = getattr(people, name), getattr(records, name)
        assert kept.dtype == given.dtype
        np.testing.assert_array_equal(kept, given)


def test_people_of_a_photo_stay_together_and_photos_are_shuffled() -> None:
    images = [Path(f"{number // 3:04d}.jpg") for number in range(300)]
    plan = plan_shards(images, size=25)
    assert sorted(row for rows in plan for row in rows) == list(range(300))
    assert all(25 <= len(rows) <= 27 for rows in plan[:-1])
    owner = {images[row]: number for number, rows in enumerate(plan) for row in rows}
    assert all(owner[images[row]] == number for number, rows in enumerate(plan) for row in rows)
    assert [rows[0] for rows in plan] != sorted(rows[0] for rows in plan)


@pytest.mark.usefixtures("small_shards")
def test_what_is_finished_is_not_written_again_and_what_is_damaged_is(
    records: PersonRecords, tmp_path: Path
) -> None:
    write(tmp_path, records)
    paths = sorted(tmp_path.glob("*.tar"))
    assert len(paths) >= 3
    content = [path.read_bytes() for path in paths]
    damaged = bytearray(content[0])
    damaged[700] ^= 1
    paths[0].write_bytes(bytes(damaged))
    paths[1].with_suffix(".json").unlink()
    times = [path.stat().st_mtime_ns for path in paths]
    write(tmp_path, records)
    assert [path.read_bytes() for path in paths] == content
    changed = [path.stat().st_mtime_ns != time for path, time in zip(paths, times, strict=True)]
    assert changed == [True, True, *[False] * (len(paths) - 2)]


@pytest.mark.usefixtures("small_shards")
def test_a_photo_that_cannot_be_read_leaves_whole_shards_only(records: PersonRecords, tmp_path: Path) -> None:
    order = [path.name for path in dict.fromkeys(records.images)]
    last = records.images[plan_shards(records.images, 2)[-1][0]]
    content = last.read_bytes()
    last.write_bytes(b"no photo")
    try:
        with pytest.raises(InputError, match=f"{last.name}: cannot be read as a photo"):
            write(tmp_path / "shards", records)
    finally:
        last.write_bytes(content)
    left = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert not [name for name in left if name.endswith(".tmp") or name.startswith(".")]
    assert 2 <= len([name for name in left if name.endswith(".tar")]) < len(order)
    with pytest.raises(InputError, match=r"shard-00000\d.tar: the shard is missing or not finished; run"):
        pictures_of(tmp_path / "shards")
    write(tmp_path / "shards", records)
    assert len(pictures_of(tmp_path / "shards").overview) == len(records)


def test_a_full_disk_is_told_and_leaves_nothing_half(
    records: PersonRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(InputError, match=r"shard-000000.tar: cannot be written \(No space left on device\)"):
        write(tmp_path / "shards", records)
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == ["index.json", "people.npz"]


@pytest.mark.usefixtures("small_shards")
def test_a_disk_that_will_be_full_is_told_early(
    records: PersonRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("posefix.shards.writing.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(InputError, match="the rest of the shards needs about"):
        write(tmp_path / "shards", records)
    assert len(list((tmp_path / "shards").glob("*.tar"))) == 1


def test_a_shard_cut_short_or_changed_is_named(records: PersonRecords, tmp_path: Path) -> None:
    write(tmp_path, records)
    path = shard_path(tmp_path, 0)
    content = path.read_bytes()
    path.write_bytes(content[:-512])
    with pytest.raises(
        InputError, match=r"shard-000000.tar: the shard has \d+ bytes, expected .* run `posefix prepare`"
    ):
        pictures_of(tmp_path)
    changed = bytearray(content)
    changed[600:5000] = bytes(4400)
    path.write_bytes(changed)
    pictures = pictures_of(tmp_path)
    with pytest.raises(InputError, match=r"shard-000000.tar: the picture at byte \d+ has a wrong checksum"):
        for row in range(len(records)):
            pictures(row, crop_matrix(records, row, 1.0))


def test_labels_that_were_changed_are_refused(records: PersonRecords, tmp_path: Path) -> None:
    write(tmp_path, records)
    (tmp_path / "people.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"people.npz: is missing, or was changed"):
        read_people(tmp_path, read_index(tmp_path))


def test_shards_of_other_data_are_not_mixed(records: PersonRecords, tmp_path: Path) -> None:
    write(tmp_path, records)
    with pytest.raises(InputError, match=r"skeleton was \['nose'\] then, this run has \['chin'\]"):
        write(tmp_path, records, skeleton=["chin"])
    with pytest.raises(
        InputError, match=r"set/people.json has changed since; prepare them in another folder"
    ):
        write(tmp_path, records, sha256={"set/people.json": "1" * 64})


def test_a_folder_of_something_else_is_left_alone(records: PersonRecords, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(InputError, match="expected a new or an empty folder"):
        write(tmp_path, records)
    with pytest.raises(InputError, match="holds no shards"):
        read_index(tmp_path)
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(InputError, match="expected the index of a folder of shards"):
        read_index(tmp_path)


@pytest.mark.parametrize("value", [[[1, 2], [3]], "a", None, [[10**400] * 11], {"a": 1}, [["b"] * 11] * 8])
def test_damaged_places_are_told(records: PersonRecords, tmp_path: Path, value: Any) -> None:
    write(tmp_path, records)
    path = tmp_path / "shard-000000.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "people": value}))
    with pytest.raises(InputError, match="run `posefix prepare` again"):
        pictures_of(tmp_path)


@pytest.mark.parametrize(
    ("column", "value"),
    [("start", -1), ("bytes", 1e18), ("scale_x", 0), ("scale_y", float("nan")), ("overview", 10**6)],
)
def test_places_outside_of_a_shard_are_told(
    records: PersonRecords, tmp_path: Path, column: str, value: Any
) -> None:
    write(tmp_path, records)
    path = tmp_path / "shard-000000.json"
    places = json.loads(path.read_text())
    places["people"][0][places["columns"]["people"].index(column)] = value
    path.write_text(json.dumps(places))
    with pytest.raises(
        InputError, match=r"the places of pictures are damaged .* run `posefix prepare` again"
    ):
        pictures_of(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"), [("shards", 1e9), ("shards", -1), ("parts", 8), ("parts", ["8"])]
)
def test_a_damaged_index_is_told(records: PersonRecords, tmp_path: Path, field: str, value: Any) -> None:
    write(tmp_path, records)
    path = tmp_path / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(InputError, match="expected numbers of people and shards; delete the folder"):
        read_index(tmp_path)
