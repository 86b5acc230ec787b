"""The web page over the live runner: the server's camera, the browser's own, and uploads; ``ferbench serve``.

Flask describes what is answered, waitress answers. Both come with the extra ``serve`` and are imported when asked for.
"""

from ferbench.realtime.web.app import Service, create_app
from ferbench.realtime.web.settings import Limits, Settings, named_pipelines

__all__ = ["Limits", "Service", "Settings", "create_app", "named_pipelines"]
