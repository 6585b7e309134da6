"""A Ray of two cores for all tests of a process, photos and poses made on the spot, and a store on loopback."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.bulk.busy import LIGHT, be_patient, begun, free_port
from tests.bulk.unreliable import Unreliable

# Without the extra, only CONTRIBUTING.md's command for it runs these tests.
collect_ignore_glob = [] if all(map(find_spec, ("ray", "pyarrow", "fsspec"))) else ["test_*.py"]
ROOT = Path(__file__).parents[2]
NETWORK = ("--layout", "coco17", "--runtime", "onnxruntime", "--threads", "1")
# Everybody moves on any photo, so that bytes tell.
MODEL = (*NETWORK, "--caution", "-1")


RAYS_OWN = (
    r"ignore:subprocess \d+ is still running:ResourceWarning",
    "ignore:Exception ignored in. <function Popen.__del__:pytest.PytestUnraisableExceptionWarning",
)
"""Ray drops the handles of processes that it started without waiting for them. All else that is left open is ours."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in RAYS_OWN:
                item.add_marker(pytest.mark.filterwarnings(warning))


KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
PHOTOS, FILES, BUCKET = 6, 3, "bucket"


@pytest.fixture(scope="session")
def endpoint() -> str:
    """Where the store of the tests will be; known to Ray's workers from the beginning."""
    address = f"http://127.0.0.1:{free_port()}"
    os.environ.update(KEYS, AWS_ENDPOINT_URL=address)
    return address


@pytest.fixture(scope="session")
def ray_here(endpoint: str) -> Iterator[Any]:
    be_patient()
    os.environ["PYTHONPATH"] = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "object_store_memory": 100 * 2**20, **LIGHT}
    cluster = begun(lambda: Cluster(initialize_head=True, head_node_args=head))
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    yield ray
    ray.shutdown()
    cluster.shutdown()


@dataclasses.dataclass(frozen=True)
class Work:
    """Photos and files of poses.

    Attributes:
        photos: Folder of photos 0.jpg, 1.jpg, ...
        poses: Folder of part0.json, part1.json, ...
        place: Where outputs may go.
    """

    photos: Path
    poses: Path
    place: Path

    @property
    def files(self) -> list[Path]:
        return sorted(self.poses.glob("*.json"))


def person(image_id: int, generator: np.random.Generator) -> dict[str, Any]:
    keypoints = np.ones((17, 3))
    keypoints[:, :2] = generator.uniform(30, 200, 2) + generator.uniform(-30, 60, (17, 2))
    keypoints[:, 2] = generator.uniform(0.2, 1, 17)
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": keypoints.round(2).ravel().tolist(),
        "score": 0.9,
        "mine": f"of {image_id}",
    }


def make_work(folder: Path, *, files: int = FILES, photos: int = PHOTOS, people: int = 2) -> Work:
    """Each file has people of its own share of the photos."""
    work = Work(folder / "photos", folder / "poses", folder)
    work.photos.mkdir()
    work.poses.mkdir()
    generator = np.random.default_rng(0)
    for number in range(photos):
        coarse = generator.integers(0, 256, (15, 20, 3), dtype=np.uint8)
        photo = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_LINEAR)
        cv2.imwrite(str(work.photos / f"{number}.jpg"), photo)
    for part in range(files):
        rows = [
            person(number, generator)
            for number in range(part, photos, files)
            for _ in range(1 + number % people)
        ]
        (work.poses / f"part{part}.json").write_text(json.dumps(rows, indent=1))
    return work


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path)


def without_progress(told: str) -> str:
    """What a command said on standard error but for its line a minute, which comes where the machine is slow."""
    return "".join(line for line in told.splitlines(keepends=True) if not line.startswith('{"units"'))


def faults_of(out: Path) -> list[dict[str, str]]:
    from pyarrow import parquet

    rows: list[dict[str, str]] = parquet.read_table(out / "faults.parquet").to_pylist()
    return rows


def contents(out: Path) -> dict[str, bytes]:
    """What a run's output is, without what says how long it took."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "report.json" and "ledger" not in path.parts
    }


@pytest.fixture(scope="session")
def between(endpoint: str) -> Iterator[Unreliable]:
    """What stands where the store is said to be, with moto's server behind it."""
    server_module = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    behind = free_port()
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=behind)
    server.start()
    between = Unreliable(int(endpoint.rsplit(":", 1)[1]), behind)
    yield between
    between.stop()
    server.stop()


@pytest.fixture(scope="session")
def store(between: Unreliable, endpoint: str) -> Any:
    """A client for the store."""
    boto3 = pytest.importorskip("boto3")
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    return client


def upload(client: Any, folder: Path, prefix: str) -> None:
    for path in folder.iterdir():
        client.upload_fileobj(io.BytesIO(path.read_bytes()), BUCKET, f"{prefix}/{path.name}")


def objects(client: Any, prefix: str) -> dict[str, bytes]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
    return {
        key.removeprefix(f"{prefix}/"): client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        for key in keys
    }
