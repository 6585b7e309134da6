"""Arrays and tensors alike, without importing PyTorch: a tensor is what has `new_tensor`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.pose.poses import BoolArray, FloatArray


def numbers_of(array: Any) -> FloatArray:
    """The numbers of an array or tensor, on any device and of any type, as a float64 array of its own."""
    if _is_tensor(array):
        array = array.detach().cpu().double().numpy()  # on the CPU first: not every device knows doubles
    return np.array(array, dtype=np.float64)


def replaced(array: Any, values: npt.ArrayLike, where: BoolArray) -> Any:
    """A copy with other numbers in some places: as array or tensor, of the same type and on the same device.

    Whole numbers stay whole. The numbers in the other places stay as they are to the last bit.

    Args:
        array: Of any shape; not changed.
        values: The new numbers, of a shape that fits it.
        where: Where they go, likewise.
    """
    numbers = np.where(where, values, numbers_of(array))
    tensor = _is_tensor(array)
    floating = array.is_floating_point() if tensor else np.issubdtype(array.dtype, np.floating)
    if not floating:
        numbers = np.rint(numbers)
    return array.new_tensor(numbers) if tensor else numbers.astype(array.dtype)


def _is_tensor(array: Any) -> bool:
    return hasattr(array, "new_tensor")
