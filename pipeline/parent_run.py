"""What the parent run of a sweep says of it: tags, and the data sets its jobs use."""

import json
from collections.abc import Sequence

from mlflow.data.numpy_dataset import from_numpy
from mlflow.entities import DatasetInput

from pipeline import names
from pipeline.config import Config
from pipeline.datasets import dataset_of
from pipeline.drivers import this_driver
from pipeline.environment import environment_tags


def parent_tags(configs: Sequence[Config], swept_keys: Sequence[str], command: str, folder: str) -> dict[str, str]:
    """The tags of a parent run except the number of its jobs: key -> text.

    Args:
        configs: of the jobs of this start.
        command: that starts the sweep.
        folder: where Hydra keeps it.
    """
    sources = ", ".join(sorted({config.data.name for config in configs}))
    tags = environment_tags() | {
        names.COMMAND_TAG: command,
        names.FOLDER_TAG: folder,
        names.DRIVER_TAG: this_driver(),
        names.NOTE_TAG: f"Runs over {', '.join(swept_keys) or 'nothing'}, on {sources}.",
    }
    if configs[0].rerun:
        tags[names.RERUN_TAG] = "true"
    if (question := configs[0].question) is not None:
        tags |= {
            names.QUESTION_TAG: question.name,
            names.ASKS_TAG: question.asks,
            names.PREDICTS_TAG: question.predicts,
        }
    return tags


def dataset_inputs(configs: Sequence[Config]) -> list[DatasetInput]:
    """Each data set of the jobs once."""
    distinct = {json.dumps(config.composed()["data"]): config.data for config in configs}.values()
    return [
        DatasetInput(
            from_numpy(
                dataset.train_inputs, targets=dataset.train_labels, name=dataset.name, digest=dataset.digest
            )._to_mlflow_entity(),
            tags=[],
        )
        for dataset in map(dataset_of, distinct)
    ]
