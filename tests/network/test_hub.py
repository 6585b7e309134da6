"""Models of the Hugging Face Hub: its real client, against a server of the Hub's interface on loopback."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.network.hub_server import Hub, Repository, serving

from posefix.cli.refine import NetworkOptions, load_refiner
from posefix.errors import InputError
from posefix.network.hub import HubName, hub_name
from posefix.network.hub_push import model_files
from posefix.network.models import PACKAGED_MODELS, load_model
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

huggingface_hub = pytest.importorskip("huggingface_hub")
yaml = pytest.importorskip("yaml")

SMALL = PACKAGED_MODELS / "small"
FILES = {name: (SMALL / name).read_bytes() for name in ("README.md", "model.json", "model.onnx")}
# The client's way without its own protocol for large files calls its HTTP library in an old way.
upload = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that holds `someone/small`, and a client that knows it alone; the client reads its settings once."""
    from huggingface_hub import constants

    repository = Repository()
    repository.commit(FILES)
    with serving(Hub({"someone/small": repository})) as server:
        settings = {
            "ENDPOINT": server.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
        }
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield server


def newest(hub: Hub) -> str:
    return hub.repositories["someone/small"].newest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("someone/small", HubName("someone/small")),
        ("some-one/small.v2@v1.0", HubName("some-one/small.v2", "v1.0")),
        ("hf://someone/small@refs/pr/1", HubName("someone/small", "refs/pr/1")),
        ("small", None),
        ("./small", None),
        ("a/b/c", None),
        ("/a/b", None),
        ("a/", None),
        ("a/b@", None),
        ("../small", None),
    ],
)
def test_a_text_names_a_model_of_the_hub_or_a_folder(text: str, expected: HubName | None) -> None:
    assert hub_name(text) == expected
    if expected is not None:
        assert str(expected) == text.removeprefix("hf://")


def test_a_folder_of_the_owners_name_goes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert hub_name("runs/smal") is None
    assert hub_name("hf://runs/smal") == HubName("runs/smal")
    with pytest.raises(InputError, match=r"on the Hugging Face Hub, got runs/smal$"):
        load_model("runs/smal")


def test_a_model_is_fetched_and_its_commit_known(hub: Hub) -> None:
    model = load_model("someone/small")
    assert (model.name, model.source) == ("small", f"someone/small@{newest(hub)}")
    assert (model.folder / "model.onnx").read_bytes() == FILES["model.onnx"]
    assert not (model.folder / "README.md").exists()  # nothing is fetched that is not loaded


def test_a_command_takes_the_hubs_model_beside_a_folder_of_the_owners_name(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "someone").mkdir()
    refiner = load_refiner(NetworkOptions(model="hf://someone/small", runtime="onnxruntime"))
    assert refiner.source == f"someone/small@{newest(hub)}"


def test_a_commit_that_is_here_is_taken_without_asking(hub: Hub) -> None:
    source = load_model("someone/small").source
    hub.requests.clear()
    assert load_model(source).source == source
    assert hub.requests == []


def test_a_branch_is_looked_up_again(hub: Hub) -> None:
    first = load_model("someone/small").source
    described = json.loads(FILES["model.json"])
    hub.repositories["someone/small"].commit(
        {"model.json": json.dumps(described | {"name": "better"}).encode()}
    )
    second = load_model("someone/small")
    assert second.name == "better"
    assert second.source != first
    assert load_model(first).name == "small"


def test_offline_what_is_here_is_taken(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        context.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(
            InputError, match=r"^model someone/small: it does not lie whole .* HF_HUB_OFFLINE"
        ):
            load_model("someone/small")
    source = load_model("someone/small").source
    hub.requests.clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert load_model("someone/small").source == load_model(source).source == source
    assert hub.requests == []


def test_without_a_network_what_is_here_is_taken(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    source = load_model("someone/small").source
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert load_model("someone/small").source == source
    with pytest.raises(
        InputError, match=r"^model someone/other: the Hub cannot be reached, and it does not lie"
    ):
        load_model("someone/other")


def test_a_hub_that_fails_is_told(hub: Hub) -> None:
    hub.failing = True
    with pytest.raises(
        InputError, match=r"^model someone/small: the Hub (answered HTTP 500|cannot be reached)"
    ):
        load_model("someone/small")


def test_what_is_not_there_or_not_ours_is_told(hub: Hub) -> None:
    with pytest.raises(
        InputError, match="model someone/smal: no such model on the Hugging Face Hub, nor a folder"
    ):
        load_model("someone/smal")
    with pytest.raises(InputError, match="model someone/small@v9: it has no such revision"):
        load_model("someone/small@v9")
    hub.repositories["someone/small"].gated = True
    with pytest.raises(InputError, match="model someone/small: its owner gives access to it one by one"):
        load_model("someone/small")
    hub.repositories["someone/small"].private = True
    with pytest.raises(InputError, match=r"model someone/small: no such model .* `hf auth login`"):
        load_model("someone/small")


def test_a_token_opens_what_is_private(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["someone/small"].private = True
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    assert load_model("someone/small").name == "small"


def test_another_content_than_the_checksum_says_is_refused_and_removed(hub: Hub) -> None:
    hub.damaged.add("model.onnx")
    with pytest.raises(
        InputError, match=r"model someone/small: model\.onnx: expected the checksum .* was removed"
    ):
        load_model("someone/small")
    with pytest.raises(InputError, match=r"model\.onnx: expected the checksum"):
        load_model(f"someone/small@{newest(hub)}")  # the cache has it no more
    hub.damaged.clear()
    assert (load_model(f"someone/small@{newest(hub)}").folder / "model.onnx").read_bytes() == FILES[
        "model.onnx"
    ]


def test_small_files_have_checksums_too(hub: Hub) -> None:
    hub.damaged.add("model.json")
    with pytest.raises(InputError, match=r"model\.json: expected the checksum"):
        load_model("someone/small")


def test_half_a_download_is_told_and_mended_by_the_next(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the client's own attempts
    hub.cut.add("model.onnx")
    with pytest.raises(InputError, match=r"model someone/small: the Hub's client broke off .*try again"):
        load_model("someone/small")
    hub.cut.clear()
    assert (load_model("someone/small").folder / "model.onnx").read_bytes() == FILES["model.onnx"]


def test_a_repository_without_a_model_is_told(hub: Hub) -> None:
    hub.repositories["someone/words"] = Repository()
    hub.repositories["someone/words"].commit({"config.json": b"{}"})
    with pytest.raises(InputError, match=r"a folder with a model\.json, .* got someone/words@[0-9a-f]{40}$"):
        load_model("someone/words")


def test_without_the_client_the_extra_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"no folder someone/small; .* pip install 'posefix\[hub\]'$"):
        load_model("someone/small")


def test_poses_are_estimated_by_a_model_of_the_hub(hub: Hub, tmp_path: Path, run: Run) -> None:
    """As the card of a pose network says."""
    import numpy as np
    from PIL import Image

    description = json.loads(FILES["model.json"])
    description["network"]["pose_input"] = False
    hub.repositories["someone/small"].commit({"model.json": json.dumps(description).encode()})
    Image.fromarray(np.zeros((90, 70, 3), np.uint8)).save(tmp_path / "7.png")
    person = {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "area": 900, "bbox": [5, 5, 50, 60]}
    names = load_skeleton("coco17").keypoint_names
    truth = {
        "images": [{"id": 7, "file_name": "7.png", "width": 70, "height": 90}],
        "annotations": [{**person, "keypoints": [30, 40, 2] * 17, "num_keypoints": 17}],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }
    (tmp_path / "people.json").write_text(json.dumps(truth))
    words = ("--annotations", tmp_path / "people.json", "--images", tmp_path, "-o", tmp_path / "poses.json")
    code, out, err = run("estimate", "someone/small", *words, "--no-flip")
    assert (code, out.splitlines()[-1]) == (0, f"model: someone/small@{newest(hub)}"), err
    assert len(json.loads((tmp_path / "poses.json").read_text())) == 1


def test_reports_name_the_commit(hub: Hub) -> None:
    import numpy as np

    refiner = Refiner.from_pretrained("someone/small", looks=1, flip_test=False)
    refined = refiner(
        np.zeros((90, 70, 3), np.uint8), np.full((1, 17, 2), 30.0) + np.arange(17)[:, None], skeleton="coco17"
    )
    assert refined.report.model == f"someone/small@{newest(hub)}"
    assert str(refined.report).splitlines()[-1] == f"model: someone/small@{newest(hub)}"


def own_model(folder: Path) -> Path:
    folder.mkdir()
    for name in ("model.json", "model.onnx", "model.safetensors"):
        shutil.copy(SMALL / name, folder / name)
    return folder


def front_matter(card: bytes) -> Any:
    return yaml.safe_load(card.decode().split("---\n")[1])


@upload
def test_a_model_is_pushed_with_its_card_and_loaded_back(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    numbers = tmp_path / "numbers.json"
    numbers.write_text(
        json.dumps({"annotations": "set/people_val.json", "numbers": {"AP": 0.5, "AR": 0.625}})
    )
    arguments = ("--license", "cc-by-nc-4.0", "--numbers", numbers, "--private")
    code, out, err = run("push", own_model(tmp_path / "mine"), "me/mine", *arguments)
    pushed = hub.repositories["me/mine"]
    assert (code, out.splitlines()[0]) == (0, f"me/mine@{pushed.newest}"), err
    files = pushed.commits[pushed.newest]
    assert set(files) == {"README.md", "model.json", "model.onnx", "model.safetensors"}
    assert files["model.onnx"] == FILES["model.onnx"]
    assert pushed.private
    card = front_matter(files["README.md"])
    assert (card["library_name"], card["license"], card["pipeline_tag"]) == (
        "posefix",
        "cc-by-nc-4.0",
        "keypoint-detection",
    )
    assert {"posefix", "pose-refinement", "posefix19"} <= set(card["tags"])
    (result,) = card["model-index"][0]["results"]
    assert card["model-index"][0]["name"] == "mine"
    assert result["dataset"]["name"] == "people_val"
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {"AP": 0.5, "AR": 0.625}
    assert b"--model me/mine" in files["README.md"]
    assert load_model("me/mine").source == f"me/mine@{pushed.newest}"


def test_what_else_lies_in_the_folder_of_a_model_is_not_pushed(tmp_path: Path) -> None:
    folder = own_model(tmp_path / "mine")
    for name in ("last.json", "people_val.json", "skeleton.json"):
        (folder / name).write_text('{"name": "hand", "keypoints": ["thumb", "wrist"]}', encoding="utf-8")
    own = {"model.json", "model.onnx", "model.safetensors"}
    assert set(model_files(load_model(folder))) == own
    description = json.loads((folder / "model.json").read_text()) | {"skeleton": "skeleton.json"}
    (folder / "model.json").write_text(json.dumps(description))
    assert set(model_files(load_model(folder))) == own | {"skeleton.json"}


@upload
def test_a_card_of_ones_own_stays(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    folder = own_model(tmp_path / "mine")
    (folder / "README.md").write_text("---\nlicense: mit\nlanguage: en\n---\n# Of mice\n", encoding="utf-8")
    (folder / "last.json").write_text('{"annotations": "/home/me/mice.json"}', encoding="utf-8")
    assert run("push", folder, "me/mice", "--license", "other")[0] == 0
    pushed = hub.repositories["me/mice"]
    card = pushed.commits[pushed.newest]["README.md"]
    assert "last.json" not in pushed.commits[pushed.newest]
    assert card.endswith(b"---\n\n# Of mice\n")
    assert (front_matter(card)["license"], front_matter(card)["language"]) == ("mit", "en")
    assert front_matter(card)["library_name"] == "posefix"
    assert run("push", folder, "me/mice", "--license", "other")[0] == 0  # a second time, into what is there


@pytest.mark.parametrize(
    ("repository", "token", "message"),
    [
        ("me/mine", None, "model me/mine: "),
        ("you/mine", "hf_writer", r"model you/mine: the Hub refused it \(HTTP 403\); log in"),
        ("me/mine", "hf_reader", r"model me/mine: the Hub refused it \(HTTP 401\); log in"),
        ("mine", "hf_writer", "repository: expected owner/name, got 'mine'"),
        ("me/mine@main", "hf_writer", "repository: expected owner/name"),
    ],
)
def test_who_may_not_push_is_told(
    repository: str,
    token: str | None,
    message: str,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    code, _, err = run("push", own_model(tmp_path / "mine"), repository, "--license", "mit")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert re.search(message, err)
    assert set(hub.repositories) == {"someone/small"}


@upload
def test_a_hub_that_takes_no_large_file_is_told(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    hub.full = True
    code, _, err = run("push", own_model(tmp_path / "mine"), "me/mine", "--license", "mit")
    told = "posefix: model me/mine: the Hub answered HTTP 507; try again later"
    assert (code, err.splitlines()[-1]) == (2, told)
    assert hub.repositories["me/mine"].commits == {}


def test_what_is_no_model_is_not_pushed(tmp_path: Path, run: Run) -> None:
    folder = own_model(tmp_path / "mine")
    numbers = tmp_path / "numbers.json"
    numbers.write_text('{"numbers": {"AP": "high"}}')
    code, _, err = run("push", folder, "me/mine", "--license", "mit", "--numbers", numbers)
    assert (code, "expected measures of `posefix evaluate --json`" in err) == (2, True)
    for name in ("model.onnx", "model.safetensors"):
        (folder / name).unlink()
    code, _, err = run("push", folder, "me/mine", "--license", "mit")
    assert (code, "expected model.onnx or model.safetensors, got neither" in err) == (2, True)


def test_the_address_of_the_hub_is_read_from_the_environment(hub: Hub, tmp_path: Path) -> None:
    """As a user would set it, in a process of its own."""
    code = "from posefix.network.models import load_model; print(load_model('someone/small').source)"
    environment = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"someone/small@{newest(hub)}"


def test_refine_takes_a_model_of_the_hub_and_says_which(hub: Hub, tmp_path: Path, run: Run) -> None:
    import numpy as np
    from PIL import Image

    Image.fromarray(np.zeros((90, 70, 3), np.uint8)).save(tmp_path / "7.png")
    keypoints = (
        np.column_stack([np.random.default_rng(0).uniform(5, 60, (17, 2)), np.ones(17)]).ravel().tolist()
    )
    row = {"image_id": 7, "category_id": 1, "keypoints": keypoints, "score": 1.0}
    (tmp_path / "poses.json").write_text(json.dumps([row]), encoding="utf-8")
    given = (
        tmp_path / "poses.json",
        "--layout",
        "coco17",
        "--images",
        tmp_path,
        "-o",
        tmp_path / "refined.json",
    )
    code, out, err = run("refine", *given, "--model", "someone/small")
    assert (code, f"model: someone/small@{newest(hub)}" in out.splitlines()) == (0, True), err
    assert run("refine", *given, "--model", "someone/smal")[0] == 2
