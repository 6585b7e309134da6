"""Training on two machines, over shards in an object store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bulk.busy import free_port
from tests.bulk.conftest import BUCKET, ROOT, upload
from tests.training.conftest import made_data, recipe

pytest.importorskip("torch")
pytest.importorskip("timm")
__all__ = ["made_data", "recipe"]  # fixtures
Run = Callable[..., tuple[int, str, str]]
LONGEST = 1200.0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun's rendezvous is for Linux and macOS")
def test_two_machines_train_over_shards_of_a_store(
    run: Run, recipe: Path, store: Any, tmp_path: Path
) -> None:
    """Each copies the shards out of the store to a disk of its own; one model comes of both."""
    from pyarrow import fs

    from posefix.bulk.places import file_system

    assert run("prepare", recipe, "-o", tmp_path / "shards")[0] == 0
    upload(store, tmp_path / "shards", "shards")
    system, path = file_system(f"s3://{BUCKET}/shards")
    port, machines = free_port(), []
    for number in range(2):
        shards = tmp_path / f"machine{number}" / "shards"
        shards.mkdir(parents=True)
        fs.copy_files(path, str(shards), source_filesystem=system)
        torchrun = ["--nnodes", 2, "--nproc-per-node", 1, "--rdzv-backend", "c10d"]
        torchrun += ["--rdzv-endpoint", f"127.0.0.1:{port}"]
        words = ["train", recipe, "--shards", shards, "-o", tmp_path / "run", "--device", "cpu"]
        command = [sys.executable, "-m", "torch.distributed.run", *torchrun, "-m", "posefix", *words]
        command += ["--set", "optimiser.epochs=1"]
        environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}", "OMP_NUM_THREADS": "1"}
        machines.append(
            subprocess.Popen(
                list(map(str, command)),
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    told = [machine.communicate(timeout=LONGEST) for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], told
    assert sum(out.count("model:") for out, _ in told) == 1
    assert (tmp_path / "run/model.safetensors").is_file()
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1]
