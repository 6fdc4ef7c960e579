"""Play the whole loop on loopback, without root: from an empty folder to a reverted dunning run."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer


def command(
    once: Annotated[bool, typer.Option("--once", help="End by itself after the last step.")] = False,
    port: Annotated[int, typer.Option(help="Port of the console; 0 takes a free one.")] = 0,
    services: Annotated[
        int, typer.Option(min=250, max=20000, help="How many services the network has.")
    ] = 300,
) -> None:
    """Exit 0 when every step went well; otherwise the failed step is named and the status is 3."""
    from cli.demo.stage import Stage
    from cli.demo.story import Story
    from cli.demo.telling import Teller
    from cli.waiting import until_interrupted
    from core import logs

    logs.configure(level="ERROR")
    with tempfile.TemporaryDirectory(prefix="trunkline-demo-") as folder:
        stage = Stage(Path(folder), services, port)
        try:
            teller = Teller()
            story = Story(stage, teller)
            for title, step in teller.counted(story.steps()):
                with teller.step(title):
                    step()
            teller.total()
            if not once:
                teller.end(f"\nThe console stays up: {stage.console_url()}\nCtrl-C ends the demo.")
                until_interrupted()
        finally:
            stage.close()
