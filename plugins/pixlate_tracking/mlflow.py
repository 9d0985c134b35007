"""MLflow."""

import os
import time
from typing import Any

import pixlate
from pixlate.system.extras import import_for
from pixlate_tracking.news import News

MOST = 500
"""Numbers of one request; MLflow takes 1,000."""
LONGEST = 500
"""Characters of an option's value, which older servers take."""


def send_to_mlflow(news: News) -> str:
    """Add what is new to a run of MLflow, or begin one; return its id.

    Raises:
        PixlateError: The package is missing, or the server of MLFLOW_TRACKING_URI does not take it.
    """
    mlflow = import_for("sending runs to MLflow", "mlflow", "mlflow")
    entities = import_for("sending runs to MLflow", "mlflow.entities", "mlflow")
    try:
        client = mlflow.MlflowClient()
        own = news.id or _begin(client, news)
        now = int(time.time() * 1000)
        numbers = [entities.Metric(name, value, now, step) for step, values in news.lines.items() for name, value in values.items()]
        for part in _parts(numbers, MOST):
            client.log_batch(own, metrics=part)
        if not news.id:
            options = {"method": news.run.method, **news.run.options}
            for part in _parts([entities.Param(name, str(value)[:LONGEST]) for name, value in options.items() if str(value)], 100):
                client.log_batch(own, params=part)
        for views in news.sheets.values():
            for view, path in views.items():
                client.log_artifact(own, str(path), view)
        if news.finished:
            client.set_terminated(own)
    except mlflow.MlflowException as error:
        reason = " ".join(str(error).split())[:300]
        raise pixlate.PixlateError(f"MLflow did not take the run ({reason}); set MLFLOW_TRACKING_URI to its server, such as http://localhost:5000") from error
    return own


def _begin(client: Any, news: News) -> str:
    """Return the id of a new run, in the experiment that is named, which is made where it is not there."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "pixlate")
    experiment = client.get_experiment_by_name(name)
    identity = experiment.experiment_id if experiment else client.create_experiment(name)
    return str(client.create_run(identity, run_name=news.name).info.run_id)


def _parts(values: list[Any], most: int) -> list[list[Any]]:
    return [values[first : first + most] for first in range(0, len(values), most)]
