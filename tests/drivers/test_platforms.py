"""Every platform is found by its folder and keeps the contract's shape."""

import inspect

import pytest

from drivers import registry
from drivers.contract import Capabilities, Driver

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
