"""`posefix company`."""

from __future__ import annotations

from pathlib import Path

from posefix.cli.options import Output
from posefix.cli.refine import DEFAULT_NETWORK, NetworkOptions
from posefix.cli.source_options import SourceOptions
from posefix.errors import InputError, plural


def company(
    results: Path,
    /,
    *,
    source: SourceOptions,
    output: Output,
    sample: int = 1000,
    running: NetworkOptions = DEFAULT_NETWORK,
) -> None:
    """Measure what a refiner knows of an estimator, so that one photo is refined as a thousand are.

    Args:
        results: Poses that the estimator found: a file of any format that `posefix refine` takes.
        source: How poses and photos are read.
        output: The JSON file to write, for `posefix refine --company`.
        sample: How many people to look at, drawn at random; all where there are fewer.
        running: What looks at them; of `posefix refine` it is to be the same.
    """
    import numpy as np

    from posefix.cli.progress import ProgressBar
    from posefix.cli.refine import load_refiner
    from posefix.files import ensure_not_input
    from posefix.pose_files.people_alone import people_alone

    if sample < 1:
        raise InputError(f"--sample: expected 1 or more, got {sample}")
    ensure_not_input(output, [results, source.annotations, source.layout])
    with people_alone():
        file = source.read(results)
    drawn = np.random.default_rng(0).permutation(len(file.poses))[:sample]
    poses = file.poses[np.sort(drawn)]
    photos = source.find(file, set(poses.image_ids))
    refiner = load_refiner(running)
    with ProgressBar("people") as progress:
        known = refiner.measure_company(poses, photos, exif=source.exif, progress=progress)
    known.write(output, refiner.calibration, len(poses))
    looked_at = f"{plural(len(poses), 'person')} of {plural(len(photos), 'photo')} looked at"
    print("\n".join([looked_at, *file.left_out, f"{output} written"]))
