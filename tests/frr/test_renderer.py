"""Intents -> frr.conf, as whole files; `--regenerate-golden` writes them anew, for review."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from inventory.model import Port
from inventory.resolve import resolve_device
from renderers.contract import CannotRender, Rendered
from renderers.frr import escape
from renderers.frr.renderer import render
from tests.frr.network import ROUTERS, Opened, reader
from tests.support import need, run

GOLDEN = Path(__file__).parent / "golden"


def rendered(router: str, **network) -> Rendered:
    return render(resolve_device(reader(extras=True, **network), router), Opened())


@pytest.mark.parametrize("router", ROUTERS)
def test_a_router_renders_as_its_golden_file(router, golden):
    """Interfaces, OSPFv2 and v3, iBGP with a reflector, eBGP with policies, statics: every line is reviewed."""
    golden.check(GOLDEN / f"{router}.conf", rendered(router).config)


@pytest.mark.real
@pytest.mark.parametrize("router", ROUTERS)
def test_frr_itself_accepts_the_golden_file(router):
    """vtysh's own parser knows every command."""
    vtysh = need("vtysh", apt="frr", root=True)
    run([vtysh, "-C", "-f", GOLDEN / f"{router}.conf"])


def test_rendering_is_a_function_of_the_intents():
    """The same repository gives the same bytes; another cost gives another two lines (OSPFv2 and v3)."""
    assert rendered("r1") == rendered("r1")
    before, after = rendered("r1").config.splitlines(), rendered("r1", cost=11).config.splitlines()
    assert [new for old, new in zip(before, after, strict=True) if old != new] == [
        " ip ospf cost 11",
        " ipv6 ospf6 cost 11",
    ]


def test_every_printed_line_knows_its_template_line():
    """`why` can say where a line of the configuration comes from."""
    found = rendered("r1")
    for number, line in enumerate(found.config.splitlines(), start=1):
        template, source = found.origins[number]
        text = Path("renderers/frr/templates", template).read_text().splitlines()[source - 1]
        assert text.split()[0] == line.split()[0] or "{{" in text.split()[0]


def test_free_text_cannot_become_a_command():
    """Descriptions keep to one line of printable ASCII; `|` and a leading `!` mean something to vtysh."""
    assert escape.text("a | b\n exit\x00é") == "a / b? exit??"
    assert escape.text("! comment") == "comment"
    assert escape.text("#!") == "-"


def test_a_password_of_two_words_cannot_be_rendered():
    """FRR reads one word; the sentence names the device."""
    with pytest.raises(CannotRender, match="r1"):
        escape.password("r1", "two words")


def test_a_port_that_linux_cannot_name_cannot_be_rendered():
    """FRR's interfaces are Linux's: no slash, 15 characters."""
    model = resolve_device(reader(), "r1")
    port = Port(name="et-0/0/1")
    with pytest.raises(CannotRender, match="et-0/0/1"):
        render(replace(model, ports=(port,)), Opened())
