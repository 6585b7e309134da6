"""The everyday photos: gathered, cut into shards for training, and where a model stands on their dev set.

    python -m benchmarks.everyday REPOSITORIES [--photos FOLDER] [--sets NAME ...] [--shards FOLDER] [--recipe NAME]
        [--model NAME]

REPOSITORIES holds copies of the public repositories that the data set names (`everyday/collect.py` says in which form);
photos that are there already are left alone. With --shards the people of the recipe are cut out for training. At the
end the dev numbers of a model, packaged or a folder: AP before and after and people helped and harmed, for every
estimator. Photos keep their owners' terms; they are for training and measuring on this machine alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.environment import DATA, EVERYDAY

from posefix.network import DEFAULT_MODEL_NAME
from posefix.training.config import load_recipe
from posefix.training.prepared import prepare

STANDING = ("--sets", "everyday_dev", "--only", "changes")
"""What of `benchmarks.accuracy` says where a model stands."""


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("repositories", type=Path, help="folder of git directories, OWNER+NAME/repo each")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--photos", type=Path, default=EVERYDAY, help="where the photos go")
    parser.add_argument("--sets", nargs="+", default=["coco"], help="coco, and folders of unlabelled photos")
    parser.add_argument("--shards", type=Path, help="cut the recipe's people out into this folder")
    parser.add_argument("--recipe", default="base-first", help="whose people")
    parser.add_argument("--model", default=DEFAULT_MODEL_NAME)
    return parser.parse_args(arguments)


def main() -> None:
    options = parse_options()
    collect = [sys.executable, str(options.data / "everyday" / "collect.py")]
    gathered = subprocess.run(
        [*collect, str(options.repositories), str(options.photos), *options.sets], check=False
    )
    if gathered.returncode:
        raise SystemExit("some photos are missing; add the repositories that were named, and run this again")
    if options.shards:
        config = load_recipe(options.recipe, {"data.root": str(options.data)})
        print(f"shards: {prepare(config, options.shards)}")
    standing = [sys.executable, "-m", "benchmarks.accuracy", "--data", str(options.data), *STANDING]
    environment = {**os.environ, "POSEFIX_EVERYDAY": str(options.photos.resolve())}
    subprocess.run([*standing, "--model", options.model], check=True, env=environment)


if __name__ == "__main__":
    main()
