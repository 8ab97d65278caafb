"""What the command `reconcile` says, for programs."""

import json
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from typing import Any

from bridge.commands.reconcile import reconcile
from bridge.environment.settings import Settings
from bridge.errors import ConfigurationError


async def reconciled(settings: Settings, *, repair: bool = False) -> dict[str, Any]:
    """Compares everything of all lists; of those that the account hasn't, the others."""
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(StringIO()), suppress(ConfigurationError):
        await reconcile(settings, only_list=None, everything=True, repair=repair, as_json=True)
    told: dict[str, Any] = json.loads(said.getvalue())
    return told
