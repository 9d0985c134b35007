"""What is done where an output stands already."""

from pixlate.convert.options import OnExists
from pixlate.convert.report import Result
from pixlate.places.job import Job, Status
from pixlate.places.journal import Home


def settle(job: Job, source: Status, home: Home, on_exists: OnExists) -> Result | None:
    """Return the result of a job whose output stands already, or None where there is work to do.

    Args:
        job: Whose output.
        source: What its source is now.
        home: Knows what stands there.
        on_exists: What the user asked for.
    """
    if on_exists == "overwrite":
        return None
    if on_exists == "skip":
        return Result(job.source, job.name, "skipped", "the output exists") if home.exists(job.name) else None
    state = home.state(job, source)
    if state in ("new", "stale"):
        return None
    if state == "finished":
        return Result(job.source, job.name, "finished before")
    if state == "other settings":
        reason = "the output exists, made with another model or other options; choose another folder, or --on-exists overwrite to replace it"
    else:
        reason = "the output exists and is not one of this conversion; it was kept: choose another folder, or --on-exists skip or overwrite"
    return Result(job.source, job.name, "failed", reason)
