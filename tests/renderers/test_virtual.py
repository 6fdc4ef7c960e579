"""The virtual renderer: intent -> configuration as golden files, which the virtual device itself takes."""

from pathlib import Path

import msgspec
import pytest

from drivers.virtual.parser import parse
from drivers.virtual.tree import text
from drivers.virtual.validation import complaints
from intents.site.schema import Site
from inventory.resolve import resolve_device
from renderers import registry
from renderers.contract import CannotRender
from renderers.virtual.renderer import ROLES, render
from tests.renderers.network_of_files import Opened, network

GOLDEN = Path(__file__).parent / "golden" / "virtual"
DEVICES = {"core1": "router", "core2": "router", "bng1": "bng", "olt7": "olt", "ap-hill": "ap"}


@pytest.fixture(scope="module")
def models():
    reader = network()
    return {name: resolve_device(reader, name) for name in DEVICES}


@pytest.mark.parametrize("name", DEVICES)
def test_intent_gives_the_golden_configuration(name, models, golden):
    """Every role's configuration is reviewed as a file."""
    golden.check(GOLDEN / f"{name}.cfg", render(models[name], Opened()).config)


@pytest.mark.parametrize(("name", "role"), DEVICES.items())
def test_the_device_takes_what_is_rendered(name, role, models):
    """The rendering has no syntax error and no commit error, and no line of it gets lost."""
    config = render(models[name], Opened()).config
    tree = parse(config, role)
    assert complaints(tree) == []
    assert sorted(text(tree).splitlines()) == sorted(config.splitlines())


def test_the_goldens_cover_every_role():
    """A role without a golden file is not tested."""
    assert set(DEVICES.values()) == ROLES


def test_every_line_knows_its_template(models):
    """`why` needs the origin of each line."""
    done = render(models["bng1"], Opened())
    assert set(done.origins) == set(range(1, done.config.count("\n") + 1))
    lines = done.config.splitlines()
    server = next(number for number, line in enumerate(lines, 1) if line.startswith("  server "))
    assert done.origins[server][0] == "radius.j2"


def test_secrets_are_opened_at_their_own_place(models):
    """Path and key name are the associated data: a moved secret must not open."""
    opened = Opened()
    config = render(models["bng1"], opened).config
    first = models["bng1"].nas.secrets[0]
    assert set(opened.seen) == {("network/devices/bng1.yaml", first.key)}
    assert "opened-new" in config
    assert "old" not in config


@pytest.mark.parametrize("bad", ["a\nrouter", "a\rb", "tab\there", "x" * 300, "line\u2028separator"])
def test_text_that_would_end_a_line_is_refused(bad, models):
    """No value can add a line to the configuration."""
    site = Site(name="Perth", location=models["core1"].site.location)
    model = msgspec.structs.replace(models["core1"], site=msgspec.structs.replace(site, name=bad))
    with pytest.raises(CannotRender, match="core1"):
        render(model, Opened())


def test_a_secret_with_control_characters_is_refused_without_showing_it(models):
    """Errors go to logs; secrets do not."""

    class Odd(Opened):
        def open(self, sealed: str, path: str, key: str) -> str:
            return "hush\nsecret"

    with pytest.raises(CannotRender) as caught:
        render(models["bng1"], Odd())
    assert "hush" not in str(caught.value)


def test_a_role_that_the_platform_lacks_is_refused(models):
    """A switch on the virtual platform is a mistake of the intent."""
    device = msgspec.structs.replace(models["core1"].device, role="switch")
    with pytest.raises(CannotRender, match="no role switch"):
        render(msgspec.structs.replace(models["core1"], device=device), Opened())


def test_an_unknown_platform_names_the_known_ones():
    """The operator sees what there is."""
    with pytest.raises(registry.NoRenderer, match="virtual"):
        registry.renderer_for("abacus")
    assert registry.renderer_for("virtual").ROLES == ROLES
