"""`posefix estimate`."""

from __future__ import annotations

from pathlib import Path

from posefix.cli.options import Output
from posefix.errors import plural


def estimate(
    model: str,
    /,
    *,
    annotations: Path,
    images: Path,
    output: Output,
    flip: bool = True,
    device: str = "auto",
) -> None:
    """Find poses in the boxes of annotated people with a pose network, such as the baselines are.

    The results have the layout of the model, and can be evaluated or refined like any estimator's.

    Args:
        model: A pose network: the folder of a trained one, or owner/name[@revision] on the Hugging Face Hub.
        annotations: A COCO keypoint annotation file; its people with a labelled keypoint are looked at.
        images: Folder of its photos.
        output: The COCO results file to write, .json.
        flip: Average with the mirrored photo.
        device: auto, cpu, cuda, or another device of PyTorch.
    """
    from posefix.cli.progress import ProgressBar
    from posefix.files import ensure_not_input, ensure_writable
    from posefix.formats.coco_annotations import read_annotations
    from posefix.interchange import ensure_new_output, write_new_pose_file
    from posefix.network.models import load_model
    from posefix.people import find_photos, labelled_boxes
    from posefix.refine.backends import open_backend
    from posefix.refine.estimation import check_pose_network, estimate_poses

    ensure_not_input(output, [annotations])
    ensure_writable(output)
    ensure_new_output(output, "coco-results")
    network = load_model(model)
    check_pose_network(network)
    truth = read_annotations(annotations)
    image_ids, boxes = labelled_boxes(truth)
    photos = find_photos(truth, images)
    backend = open_backend(network, device=device, flip_test=flip)
    with ProgressBar("people") as progress:
        poses = estimate_poses(network, backend, image_ids, boxes, photos, progress=progress)
    write_new_pose_file(output, poses)
    print(f"{plural(len(poses), 'pose')} of layout {network.skeleton.name} written to {output}")
    if network.source:
        print(f"model: {network.source}")
