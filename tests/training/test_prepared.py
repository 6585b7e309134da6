"""From a recipe to shards, and training from them: the same people, labels and samples as from photos."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.cli.app import main  # noqa: E402
from posefix.errors import InputError  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402
from posefix.training.config import TrainConfig, load_recipe  # noqa: E402
from posefix.training.datasets import Batch  # noqa: E402
from posefix.training.packing import PackedDataset  # noqa: E402
from posefix.training.prepared import label_settings, load_prepared, prepare  # noqa: E402
from posefix.training.recipe_people import load_records  # noqa: E402
from posefix.training.run import load_dataset, train  # noqa: E402

CPU = torch.device("cpu")
Run = Callable[..., tuple[int, str, str]]
BUSY = """
crowding_rate = 0.5
half_body_rate = 0.2
low_resolution_rate = 0.3
cut_out_rate = 0.3
"""


@pytest.fixture
def data(recipe: Path, made_data: Path, tmp_path: Path) -> Path:
    """The made data under the recipe's root, where they may be changed."""
    folder = tmp_path / "data"
    shutil.copytree(made_data, folder)
    text = recipe.read_text().replace(made_data.as_posix(), folder.as_posix())
    recipe.write_text(text + BUSY)
    return folder


def from_shards(recipe: Path, shards: Path, **settings: str) -> TrainConfig:
    return load_recipe(recipe, {**settings, "data.shards": json.dumps(str(shards))})


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"data.crop_around": '"box"'},
        {
            "data.annotations": '["train.json", "train.json"]',
            "data.images": '["images", "images"]',
            "data.repeats": "[1, 3]",
            "data.limit": "30",
            "data.estimates": '["results.json", "results.json"]',
            "data.estimate_sets": "[0, 1]",
            "data.consensus_labels": "true",
            "data.held_out": "[0.3, 0.0]",
        },
    ],
)
def test_people_and_samples_are_those_of_the_photos(
    recipe: Path, tmp_path: Path, settings: dict[str, str]
) -> None:
    if "data.estimates" in settings:
        settings = {**settings, "data.estimate_layouts": json.dumps([load_recipe(recipe).skeleton] * 2)}
    plain = load_recipe(recipe, settings)
    skeleton = load_skeleton(plain.skeleton)
    prepare(plain, tmp_path / "shards", quality=100)
    shards = from_shards(recipe, tmp_path / "shards", **settings)
    records, _ = load_prepared(shards, skeleton)
    expected = load_records(plain, skeleton)
    assert records.images == expected.images
    for field in dataclasses.fields(records):
        if field.name != "images":
            np.testing.assert_array_equal(getattr(records, field.name), getattr(expected, field.name))
    first, second = (load_dataset(config, skeleton, CPU) for config in (plain, shards))
    key = (0, 0, *range(len(records)))
    photo, shard = first[key], second[key]
    assert isinstance(photo, Batch) and isinstance(shard, Batch)
    for name in ("keypoints", "weights", "targets", "labelled"):
        assert torch.equal(getattr(photo, name), getattr(shard, name)), name
    assert float((photo.images.float() - shard.images.float()).abs().mean()) < 8  # JPEG of hard squares


@pytest.mark.usefixtures("data")
def test_shards_around_poses_serve_no_crops_around_boxes(recipe: Path, tmp_path: Path) -> None:
    """The other way round they do."""
    around_box = {"data.crop_around": '"box"'}
    skeleton = load_skeleton(load_recipe(recipe).skeleton)
    prepare(load_recipe(recipe), tmp_path / "poses")
    with pytest.raises(
        InputError, match=r"poses: the shards were prepared for crops around poses, .* is 'box'"
    ):
        load_prepared(from_shards(recipe, tmp_path / "poses", **around_box), skeleton)
    prepare(load_recipe(recipe, around_box), tmp_path / "boxes")
    load_prepared(from_shards(recipe, tmp_path / "boxes"), skeleton)


@pytest.mark.usefixtures("data")
def test_the_device_makes_crops_where_it_is_asked_to(recipe: Path, tmp_path: Path) -> None:
    config = load_recipe(recipe)
    skeleton = load_skeleton(config.skeleton)
    prepare(config, tmp_path / "shards")
    for crop_on, device, packed in (
        ("auto", "cpu", False), ("auto", "cuda", True), ("device", "cpu", True), ("workers", "cuda", False),
    ):  # fmt: skip
        shards = from_shards(recipe, tmp_path / "shards", crop_on=crop_on)
        dataset = load_dataset(shards, skeleton, torch.device(device))
        assert isinstance(dataset, PackedDataset) == packed, (crop_on, device)
    assert not isinstance(load_dataset(config, skeleton, torch.device("cuda")), PackedDataset)


@pytest.mark.usefixtures("data")
def test_training_from_shards_learns_what_training_from_photos_learns(recipe: Path, tmp_path: Path) -> None:
    """Nearly: the pictures went through JPEG. Crops of workers and of the device differ less."""
    prepare(load_recipe(recipe), tmp_path / "shards", quality=100)
    losses = {}
    for name, config in {
        "photos": load_recipe(recipe),
        "workers": from_shards(recipe, tmp_path / "shards"),
        "device": from_shards(recipe, tmp_path / "shards", crop_on="device", workers="2"),
    }.items():
        lines: list[dict[str, float]] = []
        train(config, tmp_path / name, device="cpu", on_epoch=lines.append)
        losses[name] = lines[-1]["loss_total"]
    assert losses["workers"] == pytest.approx(losses["photos"], rel=0.1)
    assert losses["device"] == pytest.approx(losses["workers"], rel=0.02)


@pytest.mark.usefixtures("data")
def test_half_precision_trains_as_single_does(recipe: Path, tmp_path: Path) -> None:
    prepare(load_recipe(recipe), tmp_path / "shards")
    losses = {}
    for precision in ("float32", "bfloat16"):
        lines: list[dict[str, float]] = []
        settings = {"crop_on": "device", "precision": precision, "optimiser.learning_rate": "1e-5"}
        train(from_shards(recipe, tmp_path / "shards", **settings), tmp_path / precision, device="cpu",
              on_epoch=lines.append)  # fmt: skip
        losses[precision] = lines[0]["loss_total"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data.held_out": "[0.5]"}, r"data.held_out was \[\] then, this recipe has \[0.5\]"),
        ({"data.consensus_labels": "true"}, "data.consensus_labels was False then, this recipe has True"),
        ({"skeleton": '"coco17"'}, r"skeleton was \['nose'"),
        ({"model.input_size_wh": "[96, 128]"}, "prepared for crops of 48 x 64 pixels, model.input_size_wh is 96 x 128"),
        ({"data.shards": '"nowhere"'}, "nowhere: holds no shards"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("data")
def test_shards_of_other_settings_are_refused(
    recipe: Path, tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    prepare(load_recipe(recipe), tmp_path / "shards")
    config = load_recipe(recipe, {"data.shards": json.dumps(str(tmp_path / "shards")), **settings})
    with pytest.raises(InputError, match=message):
        train(config, tmp_path / "run", device="cpu")


def test_annotations_that_changed_are_told_and_absent_ones_are_not_needed(
    recipe: Path, data: Path, tmp_path: Path
) -> None:
    prepare(load_recipe(recipe), tmp_path / "shards")
    shards = from_shards(recipe, tmp_path / "shards")
    skeleton = load_skeleton(shards.skeleton)
    shutil.rmtree(data / "images")
    people, _ = load_prepared(shards, skeleton)
    assert len(people) == 12
    annotations = data / "train.json"
    annotations.write_text(annotations.read_text() + " ")
    with pytest.raises(
        InputError, match=r"data/train.json has changed since; prepare them in another folder"
    ):
        load_prepared(shards, skeleton)
    annotations.unlink()
    assert len(load_prepared(shards, skeleton)[0]) == 12


@pytest.mark.parametrize("changed", ["lsp", "coco"])
def test_files_of_one_name_and_folder_are_told_apart(
    recipe: Path, data: Path, tmp_path: Path, changed: str
) -> None:
    """Whichever of them changed: shards that are there are of its people as they were."""
    for name in ("lsp", "coco"):
        (data / name / "annotations").mkdir(parents=True)
        shutil.copy(data / "train.json", data / name / "annotations" / "train.json")
    settings = {
        "data.annotations": '["lsp/annotations/train.json", "coco/annotations/train.json"]',
        "data.images": '["images", "images"]',
    }
    shards = from_shards(recipe, tmp_path / "shards", **settings)
    prepare(load_recipe(recipe, settings), tmp_path / "shards")
    skeleton = load_skeleton(shards.skeleton)
    assert len(load_prepared(shards, skeleton)[0]) == 24
    annotations = data / changed / "annotations" / "train.json"
    annotations.write_text(annotations.read_text() + " ")
    number = ("lsp", "coco").index(changed) + 1
    message = rf"annotations/train\.json \({number} of 2\) has changed since; prepare them in another folder"
    with pytest.raises(InputError, match=message):
        load_prepared(shards, skeleton)
    with pytest.raises(InputError, match=message):
        prepare(load_recipe(recipe, settings), tmp_path / "shards")


def test_checksums_have_the_names_of_files_alone_where_these_tell_them_apart(
    recipe: Path, data: Path
) -> None:
    """As in shards of earlier versions, which stay readable; one file that is named twice is one."""
    twice = {"data.annotations": '["train.json", "train.json"]', "data.images": '["images", "images"]'}
    config = load_recipe(recipe, twice)
    settings = label_settings(config, load_skeleton(config.skeleton))
    assert list(settings["sha256"]) == [f"{data.name}/train.json"]


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_damage_found_while_training_is_told_in_one_sentence(
    run: Run, recipe: Path, tmp_path: Path, workers: str
) -> None:
    shards = tmp_path / "shards"
    prepare(load_recipe(recipe), shards)
    path = shards / "shard-000000.tar"
    path.write_bytes(bytes(path.stat().st_size))
    code, _, err = run(
        "train",
        recipe,
        "-o",
        tmp_path / "run",
        "--shards",
        shards,
        "--device",
        "cpu",
        "--set",
        f"workers={workers}",
    )
    assert code == 2
    assert err.startswith(f"posefix: {path}: the picture at byte ")
    assert "run `posefix prepare` again" in err and err.count("\n") == 1
    prepare(load_recipe(recipe), shards)
    assert (
        main(
            ["train", str(recipe), "-o", str(tmp_path / "again"), "--shards", str(shards), "--device", "cpu"]
        )
        == 0
    )


def test_the_commands_prepare_and_train(run: Run, recipe: Path, data: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    source = ["--annotations", data / "train.json", "--images", data / "images"]
    skeleton = f'skeleton="{data.as_posix()}/skeleton.json"'
    code, out, err = run("prepare", "-o", shards, *source, "--set", skeleton, "--quality", "95")
    assert code == 0, err
    assert out.startswith(f"shards: {shards}: 12 people of 6 photos, ")
    code, out, err = run("train", recipe, "-o", tmp_path / "run", "--shards", shards, "--device", "cpu")
    assert code == 0, err
    code, out, err = run("train", recipe, "--profile", "--shards", shards, "--device", "cpu")
    assert code == 0, err
    assert "waiting for data" in out and "people a second" in out
    assert run("prepare", "-o", tmp_path / "other")[2].startswith(
        "posefix: name a recipe, or COCO keypoint files"
    )
    assert (
        "quality must be from 1 to 100" in run("prepare", recipe, "-o", tmp_path / "q", "--quality", "0")[2]
    )
    assert "needs data.shards" in run("train", recipe, "--set", "crop_on=device")[2]
