"""Filters that compress data sets of HDF5 files, some of which h5py cannot read by itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import h5py

from posefix.pose_files.pose_file import FormatError

PLUGIN = "hdf5plugin"


def check_filters(path: Path, file: h5py.File) -> None:
    """Refuse a file whose data are compressed by a filter that is not installed; those of hdf5plugin are loaded first.

    Raises:
        FormatError: Names the filter, and what to install.
    """
    if not (missing := _missing_filters(file)):
        return
    if importlib.util.find_spec(PLUGIN) is not None:
        importlib.import_module(PLUGIN)
        missing = _missing_filters(file)
    if missing:
        raise FormatError(
            f"{path}: its data are compressed with {' and '.join(missing)}, which h5py cannot read; run pip install "
            f"{PLUGIN}, or save it without compression (in pandas, without complib)."
        )


def _missing_filters(file: h5py.File) -> list[str]:
    """Names of the filters that data sets need and h5py does not have."""
    missing: dict[str, None] = {}

    def look(_: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        settings = item.id.get_create_plist()
        for number in range(settings.get_nfilters()):
            code, _, _, name = settings.get_filter(number)
            if not h5py.h5z.filter_avail(code):
                missing[name.decode("utf-8", "replace") or f"filter {code}"] = None

    file.visititems(look)
    return list(missing)
