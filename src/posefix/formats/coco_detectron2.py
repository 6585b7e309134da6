"""Detectron2's export: the COCO results that its ``COCOEvaluator`` writes.

In memory Detectron2 puts the centre of the top-left pixel at (0.5, 0.5). Its export takes half a pixel off the
keypoints (detectron2/evaluation/coco_evaluation.py, https://github.com/facebookresearch/detectron2): the file counts
pixel indices, as COCO and posefix do, and needs no further shift. Its boxes are written as they are in memory.
"""

from __future__ import annotations

from dataclasses import replace

from posefix.formats import coco_results
from posefix.pose_files.pose_file import Format, PoseFile, Reading, Source

NAME = "detectron2"
FILE_NAME = "coco_instances_results.json"
"""What Detectron2 calls its export; nothing in the file tells it from other COCO results."""


def recognise(source: Source) -> str | None:
    """Why a source is Detectron2's export: the name of the file, beside the content of COCO results."""
    if source.path.name != FILE_NAME or coco_results.recognise(source) is None:
        return None
    return f"COCO results in a file called {FILE_NAME}"


def read(source: Source, reading: Reading) -> PoseFile:
    """Read an export as COCO results.

    Raises:
        FormatError: No layout is given, or the file is faulty.
    """
    note = "keypoints are pixel indices: the export took off the half pixel that Detectron2 adds in memory"
    file = coco_results.read(source, reading)
    return replace(file, format=NAME, notes=(*file.notes, note))


FORMAT = Format(
    NAME, "Detectron2: the COCO results of its evaluator", recognise, read, coco_results.write, one_file=True
)
