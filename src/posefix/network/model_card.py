"""The card of a model on the Hugging Face Hub: what its search and tables read, and a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posefix.errors import InputError
from posefix.files import read_json, read_text
from posefix.network.models import Model

CARD_FILE = "README.md"
TASK = "keypoint-detection"
TAGS = ("posefix", "pose-refinement", "human-pose-estimation", "keypoints")
_PAGE = """# {name}

{job} of {count} keypoints ({skeleton}), in crops of {width}x{height} pixels. A model of
[posefix](https://pypi.org/project/posefix/).

```bash
pip install 'posefix[hub]'
posefix {command}
```
"""
_COMMANDS = {
    True: "refine poses.json --layout coco17 --images photos/ -o refined.json --model {repository}",
    False: "estimate {repository} --annotations people.json --images photos/ -o poses.json",
}


@dataclass(frozen=True)
class Facts:
    """What the owner of a model says of it.

    Attributes:
        license: An identifier that the Hub knows, such as `apache-2.0`, or `other`.
        data: Name of the data that `numbers` were measured on.
        numbers: Measures by name, such as AP.
    """

    license: str
    data: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


def read_numbers(path: Path) -> tuple[str, dict[str, float]]:
    """What `posefix evaluate --json` wrote: the name of the annotations, and the measures of the results.

    Raises:
        InputError: The file holds none.
    """
    content = read_json(path)
    content = content if isinstance(content, dict) else {}
    numbers = content.get("numbers", content.get("after"))
    if not isinstance(numbers, dict) or not all(isinstance(value, int | float) for value in numbers.values()):
        raise InputError(
            f"{path}: expected measures of `posefix evaluate --json`, got none; measure the results again"
        )
    return Path(str(content.get("annotations", ""))).stem, {
        name: float(value) for name, value in numbers.items()
    }


def model_card(model: Model, repository: str, facts: Facts) -> str:
    """The card: the one that lies in the model's folder, or a short one, below what programs read.

    What a card in the folder says to programs itself stays.

    Args:
        model: The model.
        repository: `owner/name`.
        facts: What its owner says.

    Raises:
        InputError: The card in the folder begins with lines that are no YAML.
    """
    from huggingface_hub import ModelCard

    own = model.folder / CARD_FILE
    page = read_text(own) if own.is_file() else _page(model, repository)
    metadata = _metadata(model, repository, facts)
    if page.startswith("---"):
        import yaml

        try:
            given = ModelCard(page, ignore_metadata_errors=True)
        except (ValueError, yaml.YAMLError) as error:
            raise InputError(
                f"{own}: expected YAML between its first two lines of ---, got something else"
            ) from error
        metadata = {**metadata, **_as_dict(given.data)}
        page = given.text.lstrip("\n")
    return f"---\n{_yaml(metadata)}---\n\n{page}"


def _page(model: Model, repository: str) -> str:
    width, height = model.input_size_wh
    return _PAGE.format(
        name=model.name,
        job="Refines poses" if model.takes_pose else "Finds poses",
        count=len(model.skeleton),
        skeleton=model.skeleton.name,
        width=width,
        height=height,
        command=_COMMANDS[model.takes_pose].format(repository=repository),
    )


def _metadata(model: Model, repository: str, facts: Facts) -> dict[str, Any]:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=TASK,
            dataset_type=facts.data or "unknown",
            dataset_name=facts.data or "unknown",
            metric_type=name,
            metric_value=value,
        )
        for name, value in facts.numbers.items()
    ]
    data = ModelCardData(
        library_name="posefix",
        license=facts.license,
        pipeline_tag=TASK,
        tags=[*TAGS, model.skeleton.name],
        model_name=repository.split("/")[1] if results else None,
        eval_results=results or None,
    )
    return _as_dict(data)


def _as_dict(data: Any) -> dict[str, Any]:
    return dict(data.to_dict())


def _yaml(metadata: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True))
