"""Several threads doing the same at once."""

import threading
from collections.abc import Callable


def together(count: int, action: Callable[[], object]) -> None:
    """Run an action in several threads at once; an error in any of them fails the test."""
    errors: list[BaseException] = []
    gate = threading.Barrier(count)

    def act() -> None:
        gate.wait()
        try:
            action()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=act) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
