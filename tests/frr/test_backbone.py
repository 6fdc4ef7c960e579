"""A real backbone's shape on real routers: nineteen, from nothing to every loopback reaching every loopback."""

import pytest

from cli.lab.apply import apply_all
from cli.lab.convergence import reach_matrix, wait_converged
from cli.lab.expectations import expected_of
from cli.lab.plan import plan_of
from cli.lab.routers import start_routers
from tests.frr import backbone
from tests.frr.network import Opened
from tests.support import eventually, need

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_nineteen_routers_become_a_backbone():
    """48 OSPF neighbours Full in each version, 140 iBGP session ends Established, 342 pairs reach in each family."""
    need("/usr/lib/frr/frr-reload.py", apt="frr frr-pythontools", root=True)
    reader = backbone.reader()
    plan = plan_of(reader)
    expected = expected_of(reader, plan, Opened())
    assert expected.bgp == backbone.BGP_ENDS == 140
    with start_routers(plan) as lab:
        applied = apply_all(lab, expected.configurations)
        counts, seconds = wait_converged(lab, cap=120, bgp=expected.bgp)
        assert (counts.ospf, counts.ospf6) == (48, 48)
        reach = eventually(lambda: _complete(lab, expected.loopbacks), cap=60, says=lab.logs)
        slowest = max(done.seconds for done in applied.values())
        print(f"start {lab.started_in:.1f} s, slowest apply {slowest:.1f} s, converged {seconds:.1f} s later")
        print(counts, reach, sep="\n")
        assert reach.pairs == 342


def _complete(lab, loopbacks):
    reach = reach_matrix(lab, loopbacks)
    assert reach.complete, reach
    return reach
