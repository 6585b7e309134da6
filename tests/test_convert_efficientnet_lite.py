"""The tool that names EfficientNet-Lite's weights as timm does."""

from __future__ import annotations

import pytest

timm = pytest.importorskip("timm")
import torch  # noqa: E402  (comes with timm)
from tools.convert_efficientnet_lite import in_timms_names  # noqa: E402


def test_weights_in_the_same_order_get_timms_names() -> None:
    own = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    foreign = {f"_{name}": weight for name, weight in own.items()}
    found = in_timms_names(foreign, "tf_efficientnet_lite0")
    assert list(found) == list(own)
    assert all(torch.equal(found[name], weight) for name, weight in own.items())


def test_weights_of_another_network_are_refused() -> None:
    own = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    with pytest.raises(SystemExit, match="expected weights of tf_efficientnet_lite2"):
        in_timms_names(own, "tf_efficientnet_lite2")
