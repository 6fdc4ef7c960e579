"""Every platform is found by its folder, keeps the contract's shape, and runs the contract suite."""

import ast
import inspect

import pytest

from drivers import registry
from drivers.contract import Capabilities, Driver
from tests.support import ROOT

METHODS = [name for name, member in vars(Driver).items() if inspect.isfunction(member) and name[0] != "_"]


def test_an_unknown_platform_names_the_known_ones():
    """The operator sees what there is."""
    with pytest.raises(registry.UnknownPlatform, match="virtual"):
        registry.capabilities("abacus")


@pytest.mark.parametrize("platform", registry.platforms())
def test_a_platform_declares_what_it_can_do_and_has_every_method(platform):
    """A method that is missing is not a declaration."""
    assert isinstance(registry.capabilities(platform), Capabilities)
    driver = registry.driver_class(platform)
    assert [name for name in METHODS if not hasattr(driver, name)] == []


@pytest.mark.parametrize("platform", registry.platforms())
def test_a_platform_runs_the_contract_suite(platform):
    """An untested driver must not look green: there is a class Test<Platform>…(DriverContract)."""
    wanted = "Test" + platform.replace("_", "").lower()
    assert [name for name in _suites() if name.lower().startswith(wanted.lower())], (
        f"no contract for {platform}"
    )


def _suites() -> list[str]:
    return [
        node.name
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and "DriverContract" in {base.id for base in node.bases if isinstance(base, ast.Name)}
    ]
