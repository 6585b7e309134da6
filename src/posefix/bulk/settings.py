"""What a run was asked to do, and what of it must stay the same when it goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from posefix import __version__
from posefix.bulk.places import Patience, Store, reason_of
from posefix.errors import InputError, quoted
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.models import load_model
from posefix.photos.finding import Exif
from posefix.refine.merge import Missing
from posefix.refine.refiner import OnError, Refiner
from posefix.refine.results import Scores

RUN_FILE, COMPANY_FILE, FAULTS_FILE, REPORT_FILE = "run.json", "company.json", "faults.parquet", "report.json"
POSES, LEDGER = "poses", "ledger"
"""Folders of a run's output: the refined files, and beside them what is known of each."""
FORMAT = "posefix bulk"
Which = Literal["auto", "openvino", "onnxruntime", "pytorch"]


@dataclass(frozen=True, kw_only=True)
class Model:
    """What refines; as of `posefix refine`.

    Attributes:
        model: A packaged model's name, a model folder, which is there on every machine, or owner/name of the Hub.
        flip: Average with the mirrored photo.
        caution: Gain in keypoint similarity that a move must promise.
        looks: Looks at a person at most.
        device: auto, cpu, cuda, or another device of PyTorch.
        runtime: What computes the network.
        scores: Whose scores are written.
    """

    model: str = DEFAULT_MODEL_NAME
    flip: bool = True
    caution: float = 0.0
    looks: int = 2
    device: str = "auto"
    runtime: Which = "auto"
    scores: Scores | None = None

    def refiner(self, threads: int | None = None, batch_size: int = 32) -> Refiner:
        """The refiner, which knows no estimator yet.

        Raises:
            InputError: There is no such model, or it is none that takes poses.
        """
        if self.model == IDENTITY:
            return identity_refiner(batch_size)
        if not load_model(self.model).takes_pose:
            raise InputError(
                f"--model: {self.model!r} takes no poses and would ignore yours; use `posefix estimate`"
            )
        return Refiner.from_pretrained(
            self.model,
            device=self.device,
            runtime=self.runtime,
            threads=threads,
            flip_test=self.flip,
            caution=self.caution,
            looks=self.looks,
            batch_size=batch_size,
            scores=self.scores,
        )

    def fingerprint(self) -> str:
        """By which the files of a model are known again."""
        digest = hashlib.sha256()
        if self.model != IDENTITY:
            for path in sorted(load_model(self.model).folder.iterdir()):
                if path.suffix in (".json", ".onnx", ".safetensors"):
                    digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()[:16]


IDENTITY = "identity"
"""Name of no model: people are cut out, looked at and judged, and nobody moves. For tests and measurements."""


def identity_refiner(batch_size: int = 32) -> Refiner:
    """A refiner around a backend that returns the given poses."""
    from posefix.refine.backends import identity_backend
    from posefix.skeletons import load_skeleton

    return Refiner(identity_backend, load_skeleton("posefix19"), (16, 16), batch_size=batch_size)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all workers of a run are told.

    Attributes:
        out: Address of the output.
        images: Where photos are, see `posefix.bulk.photos`.
        model: What refines.
        layout: Skeleton of the poses, where files do not say it.
        format: Of the files, where it is not recognised.
        annotations: Address of a COCO annotation file that names the photos.
        category: As of `posefix.read_pose_file`.
        exif: As of `Refiner.refine`.
        missing: As there.
        carry_along: Move keypoints that the model does not know with others.
        update_boxes: Rewrite the boxes of people who moved.
        oks_nms: Drop the lower-scored of two poses whose OKS is above this.
        on_error: "keep" passes on what is faulty and lists it, "stop" stops the run.
        threads: Of the network, of each worker on a CPU.
        batch_size: People refined at once.
        patience: With stores and disks.
    """

    out: str
    images: str
    model: Model = field(default_factory=Model)
    layout: str | None = None
    format: str | None = None
    annotations: str | None = None
    category: str | None = None
    exif: Exif = "apply"
    missing: Missing = "fill"
    carry_along: bool = False
    update_boxes: bool = False
    oks_nms: float | None = None
    on_error: OnError = "keep"
    threads: int | None = None
    batch_size: int = 32
    patience: Patience = field(default_factory=Patience)

    def document(self, inputs: tuple[str, ...], company: str) -> dict[str, Any]:
        """What `run.json` holds: all that the bytes of the output depend on.

        Args:
            inputs: As they were named.
            company: Checksum of the company that was given, empty where it is measured.
        """
        free = {"out", "on_error", "threads", "batch_size", "patience", "model"}
        own = {key: value for key, value in dataclasses.asdict(self).items() if key not in free}
        return {
            "format": FORMAT,
            "version": 1,
            "posefix": __version__,
            "settings": {
                "input": list(inputs),
                **own,
                **{f"model.{key}": value for key, value in dataclasses.asdict(self.model).items()},
                "model files": self.model.fingerprint(),
                "company": company,
            },
        }


def claim(store: Store, document: dict[str, Any]) -> bool:
    """Write `run.json`, or find that the same run was begun here.

    Returns:
        Whether it goes on.

    Raises:
        InputError: The output is another run's, or something else's.
        OSError: It cannot be read or written.
    """
    content = store.get(RUN_FILE)
    if content is None:
        if other := next(iter(store.files("")), None):
            raise InputError(
                f"{store.address}: expected a new or an empty folder, or a run that was begun, got one with "
                f"{other.name}; choose another"
            )
        store.put(RUN_FILE, (json.dumps(document, indent=1) + "\n").encode())
        return False
    before = _parsed(store.at(RUN_FILE), content)
    for key, was in before["settings"].items():
        now = document["settings"].get(key)
        if was != now:
            raise InputError(
                f"{store.address}: holds a run with other settings: {key} was {quoted(was)}, and is {quoted(now)} now; "
                "refine into another folder, or go on with the same settings"
            )
    if before.get("posefix") != document["posefix"]:
        raise InputError(
            f"{store.address}: was begun by posefix {before.get('posefix')}, and this is {document['posefix']}; refine "
            "into another folder, or go on with the same version"
        )
    return True


def _parsed(address: str, content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
        if document["format"] == FORMAT and isinstance(document["settings"], dict):
            return dict(document)
    except (KeyError, TypeError, ValueError):
        pass
    raise InputError(f"{address}: expected what `posefix bulk` wrote; choose another output")


def read_given(path: str | Path | None) -> bytes:
    """The bytes of a company file that was named, empty where none was.

    Raises:
        InputError: It cannot be read.
    """
    if path is None:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason_of(error)})") from error
