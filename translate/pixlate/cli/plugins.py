"""``pixlate plugins``: what is installed, and what is left out of it."""

import json as json_format
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from pixlate.plugin.manager import installed


def plugins(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the installed plugins with distribution, version, plugin API and hooks, and what is left out of them; exit code 1 where anything is.

    Parameters
    ----------
    json
        Print one JSON list, for programs.
    """
    found, left_out = installed().plugins, installed().left_out()
    if json:
        print(json_format.dumps([asdict(plugin) | {"left_out": [asdict(part) for part in left_out if part.plugin == plugin]} for plugin in found]))
    else:
        for plugin in found:
            offers = ", ".join(hook.removeprefix("pixlate_") for hook in plugin.hooks)
            print(f"{plugin.name}  {plugin.distribution} {plugin.version}  {f'left out: {plugin.error}' if plugin.error else f'API {plugin.api}: {offers}'}")
        for sentence in dict.fromkeys(part.sentence for part in left_out):
            print(sentence)
    return 1 if left_out or any(plugin.error for plugin in found) else 0
