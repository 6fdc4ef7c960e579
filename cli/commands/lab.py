"""Play the loop on real parts: FRR routers in namespaces, a PPPoE BNG in a kernel of its own. Root on Debian 12."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from core.errors import Terminal


class NotRoot(Terminal):
    """The lab makes network namespaces, which only root may."""

    def __init__(self) -> None:
        super().__init__("the lab needs root: it makes network namespaces of its own; run `sudo make lab`")


def command(
    once: Annotated[bool, typer.Option("--once", help="End by itself after the last step.")] = False,
) -> None:
    """Exit 0 when every step went well; otherwise the failed step is named and the status is 3."""
    from cli.demo.telling import Teller
    from cli.lab.stage import LabStage
    from cli.lab.story import LabStory
    from cli.waiting import until_interrupted
    from core import logs

    if os.geteuid() != 0:
        raise NotRoot
    logs.configure(level="ERROR")
    with tempfile.TemporaryDirectory(prefix="trunkline-lab-home-") as folder:
        stage = LabStage(Path(folder))
        try:
            teller = Teller()
            for title, step in teller.counted(LabStory(stage, teller).steps()):
                with teller.step(title):
                    step()
            teller.total()
            if not once:
                teller.end(
                    f"\nThe console stays up: {stage.console_url()}\nCtrl-C ends the lab and removes it."
                )
                until_interrupted()
        finally:
            stage.close()
