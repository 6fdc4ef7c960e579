"""The Nornir inventory: an operator's own tasks run on what trunk says."""

from nornir import InitNornir
from nornir.core.filter import F
from nornir.core.task import Result, Task

from inventory.nornir import PLUGIN, register
from tests.renderers.network_of_files import network


def test_a_task_runs_on_the_devices_that_a_filter_names() -> None:
    """Hosts carry address, port, login and pinned host key; groups are roles, platforms and sites."""
    register()
    register()
    reader = network()
    logins = dict.fromkeys(("net-ssh", "olt-cli", "ap-ssh", "network"), ("net", "secret"))
    nornir = InitNornir(
        inventory={"plugin": PLUGIN, "options": {"reader": reader, "logins": logins}},
        runner={"plugin": "serial"},
        logging={"enabled": False},
    )
    bngs = nornir.filter(F(groups__contains="bng"))

    def address(task: Task) -> Result:
        return Result(host=task.host, result=f"{task.host.username}@{task.host.hostname}:{task.host.port}")

    results = {host: str(result[0].result) for host, result in bngs.run(task=address).items()}
    known = {
        name: device for name, device in reader.all("device") if device.role == "bng" and device.management
    }
    assert set(results) == set(known)
    for name, device in known.items():
        login = "net" if device.management.login in logins else None
        assert results[name] == f"{login}@{device.management.address}:{device.management.port}"


def test_planned_devices_and_those_without_an_address_are_left_out() -> None:
    """Nobody logs in to what is not there."""
    reader = network()
    register()
    nornir = InitNornir(
        inventory={"plugin": PLUGIN, "options": {"reader": reader}},
        runner={"plugin": "serial"},
        logging={"enabled": False},
    )
    reachable = {
        name for name, d in reader.all("device") if d.management and d.state in ("active", "maintenance")
    }
    assert set(nornir.inventory.hosts) == reachable
