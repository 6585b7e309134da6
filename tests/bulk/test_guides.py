"""Files and scripts of docs/bulk.md: taken out of the page, checked by what reads them, and run where that can be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.bulk.busy import STARTS, be_patient
from tests.bulk.conftest import ROOT, make_work

PAGE = (ROOT / "docs/bulk.md").read_text(encoding="utf-8")
LONGEST = 900.0
LATE = ("timed out during startup", "No node info found", "Failed to connect to Ray cluster")
"""What is said where Ray's parts were late."""
SRUN = """#!/bin/bash
# Slurm's, as far as it goes on one machine: what comes after the options runs here.
while [[ "$1" == -* ]]; do [ "$1" = -w ] && shift; shift; done
exec "$@"
"""
SCONTROL = "#!/bin/bash\nprintf 'one\\ntwo\\n'\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def documents() -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml")
    return [yaml.safe_load(text) for text in blocks("yaml")]


def test_the_cluster_file_is_one_of_ray() -> None:
    import ray

    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(Path(ray.__file__).parent.joinpath("autoscaler/ray-schema.json").read_text())
    (cluster,) = [one for one in documents() if "cluster_name" in one]
    jsonschema.validate(cluster, schema)
    assert cluster["head_node_type"] in cluster["available_node_types"]


def test_the_job_of_kubernetes_is_whole() -> None:
    (job,) = [one for one in documents() if one.get("kind") == "RayJob"]
    spec = job["spec"]
    assert spec["entrypoint"].startswith("posefix bulk ")
    groups = [spec["rayClusterSpec"]["headGroupSpec"], *spec["rayClusterSpec"]["workerGroupSpecs"]]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert {"name", "image", "resources"} <= container.keys()


def test_shell_scripts_are_sound() -> None:
    for script in blocks("bash"):
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), script


def as_slurm_would(script: str, environment: dict[str, str], folder: Path) -> tuple[int, str]:
    """Run a job's script, end what it left, and return its exit code and all that it said."""
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-c", script], stdout=output, stderr=output, env=environment, start_new_session=True
        )
        try:
            process.wait(LONGEST)
        finally:
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
    return process.returncode, log.read_text(errors="replace")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Slurm runs on Linux")
def test_the_script_for_slurm_starts_two_nodes_and_refines(tmp_path: Path) -> None:
    (script,) = [text for text in blocks("bash") if "#SBATCH" in text]
    work = make_work(tmp_path, files=4)
    be_patient()
    commands = tmp_path / "commands"
    commands.mkdir()
    (tmp_path / "posefix-venv/bin").mkdir(parents=True)
    (tmp_path / "posefix-venv/bin/activate").touch()
    launcher = f'#!/bin/bash\nexec "{sys.executable}" -m posefix "$@"\n'
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("posefix", launcher)):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    environment = os.environ | {
        "HOME": str(tmp_path), "SCRATCH": str(tmp_path), "PYTHONPATH": f"{ROOT / 'src'}",
        "PATH": os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SLURM_JOB_NODELIST": "one,two", "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "4", "RAY_raylet_start_wait_time_s": "180",
    }  # fmt: skip
    for start in range(STARTS):
        code, told = as_slurm_would(
            script, environment | {"SLURM_JOB_ID": str(os.getpid() + start)}, tmp_path
        )
        if code == 0 or not any(sign in told for sign in LATE):
            break
    assert code == 0, told
    report = json.loads((tmp_path / "refined/report.json").read_text())
    assert (report["units"], report["aside"]) == (4, 0)
    assert {path.name for path in (tmp_path / "refined/poses").iterdir()} == {
        path.name for path in work.files
    }
