"""Opens the file system of a URL."""

import re
from importlib import import_module

from pixlate.errors import PixlateError
from pixlate.places.locating import missing_opener
from pixlate.system.text import shown
from pixlate_fsspec.retries import refusing
from pixlate_fsspec.url import Url


def open_url(text: str) -> Url:
    """Return the place of a URL.

    Raises:
        PixlateError: fsspec or the package for the URL's protocol is missing, or the protocol is unknown.
    """
    name = shown(text)
    protocol = re.split("://|::", text, maxsplit=1)[0]
    try:
        core = import_module("fsspec.core")
    except ImportError as error:
        raise missing_opener(name) from error
    with refusing(name):
        try:
            system, path = core.url_to_fs(text)
            system.invalidate_cache()
        except ImportError as error:
            missing = getattr(error.__cause__, "name", None) or getattr(error, "name", None) or "one"
            package = "smbprotocol" if missing == "smbclient" else missing
            raise PixlateError(f"{name} needs the package {package}, which is missing; run: pip install {package}") from error
        except ValueError as error:
            if "rotocol" not in str(error):
                raise
            raise PixlateError(f"expected a URL such as s3://, gs:// or https://, got {name}, whose protocol {protocol} is not known; fix it") from error
    return Url(system, path, name)
