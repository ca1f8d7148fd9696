"""Settings -> Rest towards the platform's own endpoints. Used by integrations.py; wrapper.py holds one for each event loop."""

from __future__ import annotations

from automio.services.rest import Rest
from automio.settings import Settings


def platform_rest(settings: Settings) -> Rest:
    """A session with the token of these settings. Raises ConfigError when there is none: "None" is never sent as one."""
    headers = {"Authorization": f"App-Token {settings.require('app_token')}"}
    if settings.app_id is not None:
        headers["X-App-Id"] = str(settings.app_id)
    return Rest(f"{settings.api_base_url}/api", headers, settings.timeout)
