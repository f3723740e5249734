"""An empty BentoML endpoint: what any service on BentoML pays before it does anything."""

from __future__ import annotations

import bentoml


@bentoml.service(name="echo", workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Echo:
    """Answers at once."""

    @bentoml.api  # type: ignore[untyped-decorator]
    def echo(self) -> str:
        """Answer without looking at anything."""
        return "ok"
