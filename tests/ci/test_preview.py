"""`trunkline ci`: what a change would do, said before it is merged, without any secret."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ci.compare import Compared, compare
from ci.report import MAX_CHARACTERS, report
from core import crypto, discovery
from core.preview import Section
from tests.support import run, trunkline
from tests.world import BLOCK, GARDEN, World, hold_path
from tests.world import world as make

LINK = "network/links/core1--core2.yaml"
PLAN = "catalog/plans/fibre-500.yaml"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A small ISP with its trunk."""
    discovery.load_all(("intents", "inventory", "aaa", "billing", "reconciler"))
    with make(tmp_path / "home") as made:
        yield made


def _preview(world: World, changes: Mapping[str, str | None], **given) -> Compared:
    """What these changes do to trunk, each made on trunk as it was at the beginning."""
    repository = world.settings.repository
    old = world.one.repo.head()
    new = world.push(dict(changes))
    return compare(repository, old, new, lambda _done, _all: None, **given)


def _section(found: Compared, title: str) -> Section:
    return next(one for one in found.sections if one.title == title)


def test_a_link_change_shows_the_lines_of_its_two_ends_and_nothing_else(world: World) -> None:
    """Only devices whose reads changed are rendered, and the section names their revert."""
    found = _preview(world, {LINK: world.files[LINK].replace("ospf: 10", "ospf: 77")})
    assert [one.title for one in found.sections] == ["Devices"]
    devices = found.sections[0].data["devices"]
    assert [(one["device"], one["fate"], one["revert"]) for one in devices] == [
        ("core1", "changed", "hard"),
        ("core2", "changed", "hard"),
    ]
    assert re.search(r"^\+.*77$", devices[0]["difference"], re.MULTILINE)
    assert "2 devices would change: 2 with a hard revert." in report(found)


def test_only_devices_that_read_something_of_the_change_are_rendered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hold renders no device at all; a link renders its two ends, before and after."""
    from reconciler import preview

    rendered: list[str] = []
    original = preview._rendered

    def counted(reader, device, secrets):
        rendered.append(device)
        return original(reader, device, secrets)

    monkeypatch.setattr(preview, "_rendered", counted)
    _preview(world, {hold_path("S-1"): GARDEN})
    assert rendered == []
    _preview(world, {LINK: world.files[LINK].replace("ospf: 10", "ospf: 77")})
    assert rendered == ["core1", "core1", "core2", "core2"]


def test_a_hold_shows_the_attributes_that_change_and_that_the_session_drops(world: World) -> None:
    """Pool and address list of the garden in the vendor's words; RouterOS must disconnect for them."""
    found = _preview(world, {hold_path("S-1"): GARDEN, hold_path("S-2"): GARDEN})
    assert [one.title for one in found.sections] == ["Subscribers", "Live sessions"]
    (group,) = found.sections[0].data["groups"]
    assert group["services"] == ["S-1", "S-2"]
    assert "Framed-Pool = perth-cgn" in group["before"]
    assert {"Framed-Pool = perth-garden", "Mikrotik-Address-List = tl-garden"} <= set(group["after"])
    assert found.sections[1].data == {"subscribers": {"disconnect": 2}, "live": None}
    assert "no database is at hand" in found.sections[1].markdown


def test_a_block_rejects_and_switches_the_service_port_off(world: World) -> None:
    """Lane 2 is shown beside RADIUS."""
    found = _preview(world, {hold_path("S-2", "abuse"): BLOCK})
    (moved,) = _section(found, "Subscriber objects").data["objects"]
    assert (moved["device"], moved["line"], moved["op"]) == ("olt1", "L-2", "put")
    assert "state=down" in moved["what"]
    assert "+ Access-Reject (blocked)" in _section(found, "Subscribers").markdown


def test_a_rate_change_is_a_coa_and_moves_no_money(world: World) -> None:
    """One group for all services of the plan; MikroTik changes a rate while the session lives."""
    found = _preview(world, {PLAN: world.files[PLAN].replace("500M", "600M")})
    assert [one.title for one in found.sections] == ["Subscribers", "Live sessions"]
    assert found.sections[0].data["subscribers"] == 3
    assert found.sections[1].data["subscribers"] == {"coa": 3}


def test_live_sessions_are_counted_where_the_database_is(world: World) -> None:
    """Open sessions of the moved services, by what would happen to them."""
    import sqlalchemy as sa

    from aaa.models import session
    from aaa.opened import follow
    from core import clock

    row = {
        "session_ref": "ses-1", "nas": "bng1", "acct_session_id": b"1", "started_at": clock.now(), "service": "S-1",
        "policy_hash": "p", "stale": False, "state": "open", "inferred": False, "source": "", "login": "",
        "calling": "", "framed_address": "", "framed_prefix": "", "delegated_prefix": "", "nas_port": 0,
        "nas_port_id": "", "updated_at": clock.now(), "cause": "", "session_time": 0, "up_octets": 0,
        "down_octets": 0, "gigawords": False, "interim": 0,
    }  # fmt: skip
    with world.one.db.write() as conn:
        conn.execute(sa.insert(session).values(**row))
        # Another RADIUS server gave this one its policy (it has not moved in): it is not ours to drop.
        elsewhere = {"session_ref": "ses-2", "acct_session_id": b"2", "policy_hash": ""}
        conn.execute(sa.insert(session).values(**row | elsewhere))
        follow(conn, ["ses-1", "ses-2"])
    found = _preview(world, {hold_path("S-1"): GARDEN, hold_path("S-2"): GARDEN}, db=world.one.db)
    assert found.sections[1].data["live"] == {"disconnect": 1}
    assert "1 live session would drop." in found.sections[1].markdown


def test_revenue_moves_by_list_prices_of_services_that_come_and_go(world: World) -> None:
    """A ceased service takes its plan's monthly price away; a hold takes nothing."""
    path = next(one for one in world.files if one.endswith("/S-3.yaml"))
    found = _preview(world, {path: world.files[path].replace("state: active", "state: ceased")})
    revenue = _section(found, "Monthly revenue")
    assert revenue.data["monthly"] == {"AUD": -7900}
    assert "**AUD −79.00**" in revenue.markdown


def test_a_new_price_version_moves_nobody_and_says_so(world: World) -> None:
    """Subscriptions keep the version that they were sold at."""
    version = '  - {id: 2027a, from: 2027-01-01, amount: "85.00", every: month, tax: gst}\n'
    revenue = _section(_preview(world, {PLAN: world.files[PLAN] + version}), "Monthly revenue")
    assert revenue.data["monthly"] == {"AUD": 0}
    assert "3 services keep what they were sold at" in revenue.markdown


def test_no_secret_and_no_ciphertext_is_shown_and_no_key_is_needed(world: World) -> None:
    """A secret that was sealed anew shows by its place alone."""
    path = "network/devices/bng1.yaml"
    again = crypto.seal(world.key, "another-secret", path, "nas.secrets")
    text = re.sub(r'"enc:v1:[^"]*"(?=\], message)', f'"{again}"', world.files[path])
    world.settings.key_file.unlink()
    told = report(_preview(world, {path: text}))
    assert f"<secret:{path}#nas.secrets:sealed-anew>" in told
    assert "enc:v1:" not in told
    assert "another-secret" not in told


def test_a_device_that_can_no_longer_be_rendered_is_an_error(world: World) -> None:
    """What would be quarantined after the merge fails the review."""
    path = "network/devices/core2.yaml"
    found = _preview(world, {path: world.files[path].replace("role: router", "role: dhcp")})
    assert [(one.code, one.path) for one in found.problems if one.severity == "error"] == [
        ("render.failed", path)
    ]
    assert not found.is_good


def test_a_file_with_a_mistake_changes_nothing_in_the_preview(world: World) -> None:
    """It would stay at its last good version: the problem is told, and no device loses a line."""
    found = _preview(world, {LINK: world.files[LINK].replace("type: routed", "type: rooted")})
    assert not found.is_good
    assert found.sections == ()
    assert LINK in report(found)


def test_a_new_device_shows_its_whole_configuration_and_a_removed_one_is_left(world: World) -> None:
    """Deleting a device's file never wipes the device; adding one shows everything."""
    found = _preview(world, {"network/devices/core2.yaml": None, LINK: None})
    fates = {one["device"]: one["fate"] for one in _section(found, "Devices").data["devices"]}
    assert fates == {"core1": "changed", "core2": "removed"}
    back = _preview(world, {path: world.files[path] for path in ("network/devices/core2.yaml", LINK)})
    fates = {one["device"]: one["fate"] for one in _section(back, "Devices").data["devices"]}
    assert fates == {"core1": "changed", "core2": "added"}


def test_the_preview_of_a_change_and_its_revert_are_opposite(world: World) -> None:
    """What a revert gives back is what the change took."""
    one = _preview(world, {hold_path("S-1"): GARDEN})
    other = _preview(world, {hold_path("S-1"): None})
    (there,), (back,) = (_section(found, "Subscribers").data["groups"] for found in (one, other))
    assert (there["before"], there["after"]) == (back["after"], back["before"])


def test_a_base_that_moved_on_counts_from_where_they_parted(world: World) -> None:
    """Trunk's newer commits are no part of a pull request's preview."""
    start = world.one.repo.head()
    head = world.push({LINK: world.files[LINK].replace("ospf: 10", "ospf: 77")})
    git = ["git", "--git-dir", str(world.settings.repository)]
    run([*git, "branch", "topic", head])
    run([*git, "update-ref", "refs/heads/main", str(start)])
    clone = world.settings.home / "clone"
    run(["git", "fetch", "-q"], cwd=clone)
    run(["git", "reset", "-q", "--hard", str(start)], cwd=clone)
    moved_on = world.push({hold_path("S-1"): GARDEN})
    found = compare(world.settings.repository, moved_on, "topic", lambda _done, _all: None)
    assert found.base == start
    assert [one.title for one in found.sections] == ["Devices"]


def test_a_report_always_fits_into_a_comment(world: World) -> None:
    """Long diffs are cut with a count; a part that does not fit is named."""
    path = "network/devices/core1.yaml"
    statics = ", ".join(f"{{prefix: 10.{n // 256}.{n % 256}.0/24, discard: true}}" for n in range(2000))
    text = world.files[path].replace("mesh: []}", "mesh: []}, statics: [" + statics + "]")
    found = _preview(world, {path: text})
    assert found.is_good, [str(one) for one in found.problems[:3]]
    told = report(found)
    assert len(told) < MAX_CHARACTERS
    assert re.search(r"… \d+ more lines", told)


def test_the_command_answers_markdown_json_and_a_status(world: World) -> None:
    """Markdown on stdout for the comment; 1 for an error; JSON by the contract; 3 for what cannot be read."""
    clone = world.settings.home / "clone"
    world.push({LINK: world.files[LINK].replace("ospf: 10", "ospf: 77")})
    done = trunkline("ci", clone)
    assert done.returncode == 0, done.stderr
    assert "Nothing changes" in done.stdout
    (clone / LINK).write_text(world.files[LINK])
    told = trunkline("ci", clone)
    assert told.stdout.startswith("## Trunkline preview")
    assert "the files here" in told.stdout
    plain = json.loads(trunkline("ci", clone, "--head", "HEAD", "--json").stdout)
    assert plain["schema"] == "trunkline.ci/1"
    assert [one["title"] for one in plain["sections"]] == ["Devices"]
    (clone / LINK).write_text("type: rooted\n")
    bad = trunkline("ci", clone)
    assert bad.returncode == 1
    assert f"`{LINK}:1:7`" in bad.stdout
    assert trunkline("ci", clone, "--base", "nowhere").returncode == 3


def test_a_folder_without_git_is_only_validated(world: World, tmp_path: Path) -> None:
    """There is nothing to compare with, and the report says so."""
    bare = tmp_path / "plain"
    bare.mkdir()
    for path, text in world.files.items():
        (bare / path).parent.mkdir(parents=True, exist_ok=True)
        (bare / path).write_text(text)
    done = trunkline("ci", bare)
    assert done.returncode == 0
    assert "no commit to compare with" in done.stdout


def test_a_change_that_would_be_parked_says_by_which_count_it_passes(world: World) -> None:
    """The guard of 50 restrictions; releases are never gated."""
    many = {hold_path(f"S-{number}"): GARDEN for number in range(1, 52)}
    found = _preview(world, many)
    assert found.sections[0].title == "Guards"
    assert "`trunkline release COMMIT --expect 51`" in found.sections[0].markdown
    back = _preview(world, dict.fromkeys(many))
    assert "Guards" not in [one.title for one in back.sections]
