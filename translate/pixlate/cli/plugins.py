"""``pixlate plugins``: what is installed."""

import json as json_format
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from pixlate.plugin.manager import installed


def plugins(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the installed plugins with distribution, version and what they offer; exit code 1 where one failed to import.

    Parameters
    ----------
    json
        Print one JSON list, for programs.
    """
    found = installed().plugins
    if json:
        print(json_format.dumps([asdict(plugin) for plugin in found]))
    else:
        for plugin in found:
            offers = ", ".join(hook.removeprefix("pixlate_") for hook in plugin.hooks)
            print(f"{plugin.name}  {plugin.distribution} {plugin.version}  {f'left out: {plugin.error}' if plugin.error else offers}")
    return 1 if any(plugin.error for plugin in found) else 0
