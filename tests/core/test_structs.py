"""Structures are ready before threads read them: a process that reads in two threads at once does not die."""

import subprocess
import sys
from typing import get_args

import msgspec

from core import structs
from intents import kinds

_TWO_THREADS = """
import threading, time
import msgspec
from core.structs import make_ready

def slowly():
    time.sleep(0.2)
    return int

class Inner(msgspec.Struct):
    told: "slowly()" = 0

class Outer(msgspec.Struct):
    inner: Inner

make_ready()
def read(after):
    time.sleep(after)
    assert msgspec.convert({"inner": {"told": 1}}, Outer).inner.told == 1
threads = [threading.Thread(target=read, args=(after,)) for after in (0, 0.1)]
[one.start() for one in threads]
[one.join() for one in threads]
print("lived")
"""


def _of(program: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_two_threads_that_read_into_a_struct_first_both_live():
    """msgspec is in the middle of learning it for one thread when the other one comes: without us the process dies."""
    assert _of(_TWO_THREADS) == (0, "lived\n")
    assert _of(_TWO_THREADS.replace("make_ready()\n", "\n"))[0] != 0, "msgspec has mended it: this can go"


def test_documents_of_every_kind_are_ready_once_the_kinds_are_imported():
    """The index, the API and the reconciler load files in threads of their own."""
    read = {one for kind in kinds.KINDS.values() for one in (get_args(kind.struct) or (kind.struct,))}
    assert read <= structs._ready


def test_what_cannot_be_read_into_is_passed_by_and_the_rest_is_ready():
    """A field that only type checkers know is no mistake; again does nothing."""

    class Odd(msgspec.Struct):
        told: "Unheard"  # type: ignore[name-defined]  # noqa: F821

    class Even(msgspec.Struct):
        told: int

    structs.make_ready()
    structs.make_ready()
    assert {Odd, Even} <= structs._ready
    assert msgspec.json.decode(b'{"told": 1}', type=Even).told == 1
