"""Subscriber objects on the virtual OLT: refusals like a real one's, idempotent batches, read back."""

from typing import Literal

import pytest

from drivers import registry
from drivers.contract import ObjectOp
from drivers.ssh import Connection

OLT = "system\n  hostname olt1\npon 0/1/0\n  svlan 101\npon 0/1/1\n  svlan 102\n"
SERIAL = "HWTC1A2B3C4D"
Op = Literal["put", "delete"]


@pytest.fixture
def driver(fleet):
    with registry.opened(fleet.target("olt1", "net")) as opened:
        opened.load_replace_candidate(config=OLT)
        opened.commit_config()
        yield opened


@pytest.fixture
def terminal(fleet, driver):
    """A function that types one command and gives status and answer."""
    with Connection(fleet.target("olt1", "net")) as connection:

        def typed(line: str) -> tuple[int, str]:
            answer = connection.run(line)
            return answer.status, answer.output or answer.error

        yield typed


def onu(number: int, serial: str = SERIAL, pon: str = "0/1/0", op: Op = "put") -> ObjectOp:
    attributes = {"serial": serial} if op == "put" else {}
    return ObjectOp(op=op, kind="onu", key={"pon": pon, "onu": number}, attributes=attributes)


def port(number: int, name: str = "eth1", op: Op = "put", **attributes) -> ObjectOp:
    key = {"pon": "0/1/0", "onu": number, "port": name}
    wanted = {"svlan": 101, "cvlan": 1000 + number} | attributes if op == "put" else {}
    return ObjectOp(op=op, kind="service-port", key=key, attributes=wanted)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("onu add 0/1/0 17 serial ZZZZ00000001", "ONU 0/1/0 17 exists"),
        (f"onu add 0/1/1 3 serial {SERIAL}", f"serial {SERIAL} is registered at 0/1/0 17"),
        ("onu add 0/9/9 1 serial ZZZZ00000001", "PON 0/9/9 does not exist"),
        ("onu delete 0/1/0 17", "ONU 0/1/0 17 has service ports"),
        ("onu delete 0/1/0 18", "ONU 0/1/0 18 does not exist"),
        ("service-port add 1 pon 0/1/0 onu 17 port eth2 svlan 101", "service-port index 1 is in use"),
        ("service-port add auto pon 0/1/0 onu 17 port eth1 svlan 9", "0/1/0 17 eth1 has service-port 1"),
        ("service-port add auto pon 0/1/0 onu 9 port eth1 svlan 101", "ONU 0/1/0 9 does not exist"),
        ("service-port add 7 pon 0/1/0 onu 17 port eth2 svlan 101 cvlan 1017", "are used by service-port 1"),
        ("service-port delete 99", "service-port 99 does not exist"),
        ("service-port state 1 sideways", "state sideways is none of up, down"),
        ("onu add 0/1/0 many serial X", "cannot read"),
        ("onu add 0/1/0", "cannot read"),
    ],
)
def test_the_olt_refuses_like_a_real_one(line, answer, terminal):
    """The words differ by vendor, the reasons do not."""
    assert terminal(f"onu add 0/1/0 17 serial {SERIAL}")[0] == 0
    assert terminal("service-port add auto pon 0/1/0 onu 17 port eth1 svlan 101 cvlan 1017")[0] == 0
    status, said = terminal(line)
    assert status == 1
    assert answer in said


def test_autofind_lists_what_lights_up_until_it_is_registered(fleet, driver, terminal):
    """An installer sees the ONU that he has just connected."""
    fleet["olt1"].objects.plug_in(SERIAL, "0/1/0")
    assert SERIAL in terminal("show autofind")[1]
    assert driver.apply_objects([onu(17)])[0].ok
    assert SERIAL not in terminal("show autofind")[1]
    driver.apply_objects([onu(17, op="delete")])
    assert SERIAL in terminal("show autofind")[1]


def test_a_batch_builds_an_activation_in_one_session_and_takes_it_away(fleet, driver):
    """ONU then port in one list; deletion in reverse."""
    results = driver.apply_objects([onu(17), port(17, down=500000, up=50000)])
    assert [(result.ok, result.changed) for result in results] == [(True, True)] * 2
    (made,) = fleet["olt1"].objects.table.ports.values()
    assert (made.svlan, made.cvlan, made.down, made.up, made.state) == (101, 1017, 500000, 50000, "up")
    assert [state.serial for state in driver.observe().onus or ()] == [SERIAL]
    assert all(r.ok for r in driver.apply_objects([port(17, op="delete"), onu(17, op="delete")]))
    assert fleet["olt1"].objects.table.onus == {}


def test_suspending_and_releasing_keeps_the_index(fleet, driver):
    """A block switches the port off in place; the release switches it on."""
    driver.apply_objects([onu(17), port(17)])
    assert driver.apply_objects([port(17, state="down")])[0].changed
    (held,) = fleet["olt1"].objects.table.ports.values()
    assert driver.apply_objects([port(17)])[0].changed
    (free,) = fleet["olt1"].objects.table.ports.values()
    assert (held.state, free.state, held.index) == ("down", "up", free.index)


def test_an_exchanged_onu_keeps_its_service_ports(fleet, driver):
    """A new serial in the same place is a modification."""
    driver.apply_objects([onu(17), port(17)])
    assert driver.apply_objects([onu(17, serial="ZZZZ00000001")])[0].changed
    assert len(fleet["olt1"].objects.table.ports) == 1


def test_one_refusal_stops_no_other_op(driver):
    """Every op has its own result, with the device's words."""
    driver.apply_objects([onu(1)])
    bad, good = driver.apply_objects([onu(2, serial=SERIAL), onu(3, serial="ZZZZ00000003")])
    assert (bad.ok, bad.changed) == (False, False)
    assert "is registered at 0/1/0 1" in bad.answer
    assert (good.ok, good.changed) == (True, True)


def test_the_same_object_twice_in_a_list_is_done_in_order(driver):
    """put, delete, put ends with the object there."""
    results = driver.apply_objects([onu(1), onu(1, op="delete"), onu(1)])
    assert [(result.ok, result.changed) for result in results] == [(True, True)] * 3


@pytest.mark.parametrize("serial", ["A B", "A\nonu delete 0/1/0 1", "A\ttab"])
def test_no_value_can_add_a_command(serial, driver):
    """A value with blanks or line breaks is refused before anything is sent."""
    driver.apply_objects([onu(1)])
    (result,) = driver.apply_objects([onu(2, serial=serial)])
    assert (result.ok, result.changed) == (False, False)
    assert "is not one word" in result.answer
    assert len(driver.observe().onus or ()) == 1


def test_an_unknown_attribute_is_refused(driver):
    """A misspelt attribute must not look applied."""
    op = ObjectOp(op="put", kind="onu", key={"pon": "0/1/0", "onu": 1}, attributes={"seril": "X"})
    (result,) = driver.apply_objects([op])
    assert (result.ok, result.answer) == (False, "object onu has no attribute seril")


def test_replacing_the_configuration_touches_no_subscriber(fleet, driver):
    """Lanes 2 and 3 do not know each other."""
    driver.apply_objects([onu(17), port(17)])
    driver.load_replace_candidate(config=OLT.replace("102", "103"))
    driver.commit_config()
    driver.rollback()
    assert len(fleet["olt1"].objects.table.ports) == 1


def test_a_hundred_onus_are_one_session_and_three_round_trips(fleet, driver):
    """Batches: read, send, read back, however many objects; the flash is written once."""
    ops = [op for number in range(100) for op in (onu(number, f"ZZZZ{number:08d}"), port(number))]
    commands: list[str] = []
    inner = driver._connection.run

    def counted(command: str, *given, **more):
        commands.append(command)
        return inner(command, *given, **more)

    driver._connection.run = counted
    assert all(result.ok and result.changed for result in driver.apply_objects(ops))
    assert commands == ["batch"] * 3
    assert len(fleet["olt1"].objects.table.ports) == 100


def test_only_an_olt_has_subscriber_objects(fleet):
    """A router says so."""
    with registry.opened(fleet.target("router1", "net")) as driver:
        assert driver.apply_objects([onu(1)])[0].answer == "router1 is no OLT"
