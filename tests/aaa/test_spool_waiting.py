"""A record that its home server does not take holds up its session alone, and no longer than it has to."""

import itertools
import threading
from collections import Counter

import pytest

from aaa.proxy import drain, tries
from aaa.proxy.spool import read_segment, rewrite
from aaa.proxy.target import Patience
from aaa.view.overlay import frame
from tests.aaa.taker import INTERIM, ON, START, STOP, Rig, Said, Taker, delivering, entry
from tests.support import eventually

PAUSE, LONGEST = 0.02, 0.2


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"_PAUSE": PAUSE, "_LONGEST": LONGEST, "_MOMENT": 0.1}.items():
        monkeypatch.setattr(drain, name, seconds)


def left(rig: Rig) -> list[bytes]:
    """The packets that the spool holds."""
    return [one.packet for path in sorted(rig.folder.glob("*.spool")) for one in read_segment(path)]


def set_aside(rig: Rig) -> list[bytes]:
    """The packets that a person is to look at."""
    path = rig.folder / "refused.log"
    return [one.packet for one in read_segment(path)] if path.exists() else []


def test_a_record_that_is_never_taken_holds_up_nobody_else_and_is_set_aside(tmp_path):
    """Others go on past it, those before and behind it and those that come later; its session goes on without it."""
    poison = entry("poison")
    taker = Taker(lambda said: said != ("poison", START))
    with delivering(tmp_path, taker) as rig:
        rig.before([entry("before"), poison, entry("behind"), entry("poison", STOP)])
        rig.start()
        eventually(lambda: {("before", START), ("behind", START)} <= set(taker.taken), cap=10)
        later = [(f"later-{number}", START) for number in range(12)]
        for session, kind in later:
            rig.add(entry(session, kind))
        eventually(lambda: set(later) <= set(taker.taken), cap=10)
        eventually(lambda: set_aside(rig) == [poison.packet], cap=30, says=lambda: taker.asked)
        eventually(lambda: ("poison", STOP) in taker.taken and rig.segments == 0, cap=10)
    assert taker.asked.count(("poison", START)) >= tries._HOPELESS
    assert set(Counter(taker.taken).values()) == {1}
    assert not list(rig.folder.glob("*.spool"))


def test_what_is_delivered_leaves_the_disk_while_others_of_its_segment_wait(tmp_path):
    """A crash sends nothing again that was written down as delivered; what waits stays, in order, mode 0600."""
    waits = [entry("waits", kind) for kind in (START, INTERIM, STOP)]
    taker = Taker(lambda said: said[0] != "waits")
    with delivering(tmp_path, taker) as rig:
        rig.before([waits[0], entry("a"), waits[1], entry("b"), waits[2]])
        rig.start()
        eventually(lambda: left(rig) == [one.packet for one in waits], cap=10)
        (path,) = rig.folder.glob("*.spool")
        assert path.stat().st_mode & 0o777 == 0o600
        assert not list(rig.folder.glob("*.left"))
    after = Taker()
    with delivering(tmp_path, after) as rig:
        rig.start()
        eventually(lambda: rig.segments == 0, cap=10)
    assert after.taken == [("waits", START), ("waits", INTERIM), ("waits", STOP)]


def test_a_session_keeps_its_order_across_segments(tmp_path):
    """Its first record is taken late: the others of the session wait for it, other sessions do not."""
    taken = threading.Event()
    taker = Taker(lambda said: said != ("s", START) or taken.is_set())
    with delivering(tmp_path, taker) as rig:
        rig.before(
            [entry("s"), entry("t")],
            [entry("s", INTERIM), entry("t", INTERIM)],
            [entry("s", STOP), entry("t", STOP)],
        )
        rig.start()
        rig.add(entry("u"))
        eventually(lambda: {("t", STOP), ("u", START)} <= set(taker.taken), cap=10)
        eventually(lambda: taker.asked.count(("s", START)) > 3, cap=10)
        assert {said for said in taker.asked if said[0] == "s"} == {("s", START)}
        taken.set()
        eventually(lambda: rig.segments == 0, cap=10)
    for session in "st":
        assert [kind for name, kind in taker.taken if name == session] == [START, INTERIM, STOP]


def test_a_restart_of_a_nas_waits_for_its_sessions_alone_and_they_for_it(tmp_path):
    """Nothing of the NAS goes past its Accounting-On, which goes past nothing of it; another NAS does not notice."""
    free: set[Said] = set()
    taker = Taker(lambda said: said not in {("old-1", START), ("bng1", ON)} or said in free)
    with delivering(tmp_path, taker) as rig:
        rig.before(
            [entry("old-1"), entry("old-2"), entry("", ON), entry("new-1")],
            [entry("other-1", nas="bng2"), entry("", ON, nas="bng2"), entry("other-2", nas="bng2")],
            [entry("new-2"), entry("old-2", STOP)],
        )
        rig.start()
        others = [("other-1", START), ("bng2", ON), ("other-2", START)]
        eventually(lambda: {*others, ("old-2", START)} <= set(taker.taken), cap=10)
        eventually(lambda: taker.asked.count(("old-1", START)) > 2, cap=10)
        assert [said for said in taker.taken if said in others] == others
        assert set(taker.asked) == {*others, ("old-1", START), ("old-2", START)}
        free.add(("old-1", START))
        eventually(lambda: taker.asked.count(("bng1", ON)) > 2, cap=10)
        assert not {("new-1", START), ("new-2", START), ("old-2", STOP)} & set(taker.asked)
        free.add(("bng1", ON))
        eventually(lambda: rig.segments == 0, cap=10)
    mine = [said for said in taker.taken if said not in others]
    assert mine[:3] == [("old-2", START), ("old-1", START), ("bng1", ON)]
    assert sorted(mine[3:]) == [("new-1", START), ("new-2", START), ("old-2", STOP)]


def test_a_server_that_is_away_is_asked_for_few_and_gets_all_in_order_when_it_is_back(tmp_path):
    """A thousand sessions wait: some tens are asked for, again and again; then everything comes, once, in order."""
    back, sessions = threading.Event(), [f"s-{number}" for number in range(1000)]
    taker = Taker(lambda _said: back.is_set())
    with delivering(tmp_path, taker, Patience(timeout=0.4, tries=2, give_up=2.0, probe=0.3)) as rig:
        rig.before(*([entry(one, kind) for one in sessions] for kind in (START, STOP)))
        rig.start()
        eventually(
            lambda: len(taker.asked) > len(set(taker.asked)) + 30, cap=20, says=lambda: len(taker.asked)
        )
        asked = set(taker.asked)
        assert drain._AT_ONCE <= len(asked) < 400
        assert {kind for _session, kind in asked} == {START}
        back.set()
        eventually(lambda: rig.segments == 0, cap=30, says=lambda: len(taker.taken))
        assert set_aside(rig) == []
    assert sorted(set(taker.taken)) == sorted((one, kind) for one in sessions for kind in (START, STOP))
    first = {said: place for place, said in reversed(list(enumerate(taker.taken)))}
    assert all(first[one, START] < first[one, STOP] for one in sessions)
    assert (
        len(taker.taken) <= len(first) + drain._AT_ONCE
    )  # what it took while it was given up may come again


def test_as_many_that_are_never_taken_as_a_server_away_would_leave_hold_up_nobody(tmp_path, monkeypatch):
    """The server looks away, since all that is asked first is refused; some others are tried all the same."""
    monkeypatch.setattr(drain, "_AT_ONCE", 16)
    taker = Taker(lambda said: not said[0].startswith("poison"))
    with delivering(tmp_path, taker) as rig:
        rig.before([entry(f"poison-{number}") for number in range(60)], [entry("good"), entry("good", STOP)])
        rig.start()
        eventually(lambda: taker.taken == [("good", START), ("good", STOP)], cap=30, says=lambda: taker.taken)


def test_a_realm_that_is_gone_from_the_intents_waits_and_is_asked_for_nothing(tmp_path):
    """It may come back."""
    taker = Taker()
    with delivering(tmp_path, taker) as rig:
        rig.routed = False
        rig.before([entry("a")])
        rig.start()
        rig.add(entry("b"))
        eventually(lambda: rig.segments == 2, cap=10)
        assert taker.asked == []
        rig.routed = True
        eventually(lambda: rig.segments == 0, cap=10)
    assert taker.taken == [("a", START), ("b", START)]


def test_what_nobody_took_for_too_long_is_set_aside_without_being_asked_for(tmp_path):
    """However much there is of it."""
    old = [[entry(f"old-{part}-{number}", received=1000.0) for number in range(20)] for part in range(3)]
    taker = Taker()
    with delivering(tmp_path, taker) as rig:
        rig.routed = False
        new = entry("new")
        rig.before(*old, [new])
        rig.start()
        eventually(lambda: left(rig) == [new.packet], cap=10)
        assert sorted(set_aside(rig)) == sorted(one.packet for part in old for one in part)
    assert taker.asked == []


def test_what_was_delivered_is_not_sent_again_when_its_segment_cannot_be_written_anew(tmp_path, monkeypatch):
    """The disk is full: pass after pass goes by, and it is remembered until there is room."""
    full, refused = threading.Event(), list[int]()
    full.set()

    def write(path, entries):
        if full.is_set():
            refused.append(len(entries))
            raise OSError(28, "No space left on device")
        rewrite(path, entries)

    monkeypatch.setattr(drain, "rewrite", write)
    late: set[str] = set()
    taker = Taker(lambda said: not said[0].startswith("late") or said[0] in late)
    with delivering(tmp_path, taker) as rig:
        first = entry("late-1")
        rig.before([first, entry("late-2"), *(entry(f"s-{number}") for number in range(5))])
        rig.start()
        eventually(lambda: len(refused) == 1, cap=10)
        late.add("late-2")
        eventually(lambda: len(refused) == 2, cap=10)
        assert set(Counter(taker.taken).values()) == {1}
        full.clear()
        rig.add(entry("late-3"))
        late.add("late-3")
        late.add("late-1")
        eventually(lambda: rig.segments == 0, cap=10)
    assert set(Counter(taker.taken).values()) == {1}


def test_a_segment_that_cannot_be_read_waits_for_a_person_who_takes_it_away(tmp_path):
    """What its sessions are nobody knows; it is looked at again and again."""
    taker = Taker()
    with delivering(tmp_path, taker) as rig:
        rig.before([entry("a")], [entry("b")])
        strange, _other = sorted(rig.folder.glob("*.spool"))
        strange.write_bytes(frame(b"\xc0"))
        rig.start()
        rig.add(entry("c"))
        eventually(lambda: rig.segments == 3, cap=10)
        assert taker.asked == []
        strange.unlink()
        eventually(lambda: rig.segments == 0, cap=10)
    assert taker.taken == [("b", START), ("c", START)]


def test_what_cannot_be_set_aside_stays(tmp_path, monkeypatch):
    """Until the disk takes it; it is not lost, and others are delivered."""
    full = threading.Event()
    full.set()
    taker = Taker(lambda said: said[0] != "poison")
    monkeypatch.setattr(tries, "_HOPELESS", 2)
    with delivering(tmp_path, taker) as rig:
        poison, keep = entry("poison"), rig._delivery._spool("guest.example")
        put = keep.set_aside

        def refuse(one):
            if full.is_set():
                raise OSError(28, "No space left on device")
            put(one)

        monkeypatch.setattr(keep, "set_aside", refuse)
        rig.before([poison])
        rig.start()
        eventually(lambda: taker.asked, cap=10)
        rig.add(entry("a"), entry("b"), entry("c"))
        eventually(lambda: taker.asked.count(("poison", START)) > 5, cap=10)
        assert left(rig) == [poison.packet]
        full.clear()
        eventually(lambda: set_aside(rig) == [poison.packet] and rig.segments == 0, cap=10)


def test_accounting_needs_no_message_authenticator(tmp_path):
    """RFC 2866 knows none: a server that has to sign its answers to logins acknowledges records without."""
    taker = Taker(signs=False)
    with delivering(tmp_path, taker, require_ma=True) as rig:
        rig.before([entry("a")])
        rig.start()
        eventually(lambda: rig.segments == 0, cap=10)
    assert taker.asked == [("a", START)]


def test_a_server_without_status_server_is_asked_in_earnest_again(tmp_path):
    """It missed once, and says nothing of its status: after a while it is the first to be asked again, and answers."""
    first, second = Taker(lambda _said: False), Taker()
    patience = Patience(timeout=0.1, tries=2, give_up=1.0, probe=0.05, misses=2, revive=0.2)
    with delivering(tmp_path, first, patience, second) as rig:
        rig.before([entry("a")])
        rig.start()
        eventually(lambda: second.taken == [("a", START)], cap=10)
        first.takes = lambda _said: True
        more = itertools.count()

        def asked() -> bool:
            rig.add(entry(f"b-{next(more)}"))
            return bool(first.taken)

        eventually(asked, cap=20)
