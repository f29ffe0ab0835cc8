"""Plans for a GPU model that this node does not have.

The profile tables of the models that can be simulated are here, so the question is put to a
simulated node with one such GPU, which exists for the time of the question.
"""

from __future__ import annotations

import os
from pathlib import Path

from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.demo import broker, settings
from jupyter_mig.client import Client
from jupyter_mig.errors import BadRequest, UnknownSize
from jupyter_mig.wire.messages import PlanRequest, PlanView


def model(wanted: str) -> str:
    """The model of that name, or the only one whose name contains it. BadRequest if there is none,
    or more than one.
    """
    names = _known()
    by_name = {name.lower(): name for name in names}
    asked = wanted.lower().removeprefix("nvidia ")
    found = [by_name[asked]] if asked in by_name else [one for one in names if asked in one.lower()]
    if len(found) == 1:
        return found[0]
    trouble = "Several GPU models are" if found else "No GPU model that we know is"
    raise BadRequest(
        f"{trouble} called {wanted[:40]}.",
        situation=f"This node has none. Known are: {', '.join(found or names)}.",
        next_step="Name one of them.",
    )


def plan(request: PlanRequest, name: str) -> PlanView:
    """The plan on one empty GPU of the model ``name``. Raises UnknownSize."""
    with settings.private_directory() as private:
        driver = f"simulated:1x{name}"
        environ = settings.environment(os.environ, Path(private), driver, fresh=False)

        async def ask(client: Client) -> PlanView:
            return await client.plan(request)

        try:
            return hold(ask, environ)
        except UnknownSize as error:
            raise UnknownSize(
                f"The {name} lacks one of these sizes.",
                situation=error.situation,
                next_step=error.next_step,
            ) from error
        finally:
            broker.end(environ)


def _known() -> list[str]:
    from jupyter_mig.nvml import simulated  # most command lines need no simulator

    return list(simulated.known_models())
