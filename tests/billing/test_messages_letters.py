"""Letters: each in one batch, the address where the window is, on paper of the form; what waits and what is dropped."""

import io
import os
import signal
import zipfile
from datetime import date

import pypdf
import pytest
import sqlalchemy as sa

from billing import payments, policies
from billing.billrun import run_billing
from billing.dunning import run_dunning
from billing.mailing.sending import Hands
from billing.mailing.smtp import Server
from billing.messages import letters, pages, sending
from billing.messages.errors import BatchUnknown, FormUnknown, MessageNotResent
from billing.messages.models import message
from billing.messages.pages import FORMS, Page
from billing.messages.texts import Text
from billing.papers.parties import Party, Seller
from billing.stages import Policy, Step
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage

POINTS = ["billing.before_letters_commit"]
ON = date(2026, 1, 20)
MM = 72 / 25.4
WINDOWS = {
    "din-b": (20, 62.7, 85, 27.3, 297),
    "c56": (20, 52, 90, 45, 297),
    "us10": (22.2, 63.5, 95, 17.1, 279.4),
}
"""What shows through wherever the sheet lies in its envelope: left, top, width, height, length of the paper, in mm."""


@pytest.fixture
def stages(database: Database) -> list[Stage]:
    """Two accounts that were told by letter on the 16th; nobody else's letter waits."""
    with database.write() as conn:
        conn.execute(sa.delete(message))
        policies.store(conn, "paper", Policy((Step("first", 1, channels=("letter",)),)))
    made = []
    for _ in range(2):
        stage = Stage(database, dunning_policy="paper")
        stage.add()
        run_billing(database, stage.reader, START)
        made.append(stage)
    with database.write() as conn:  # letters of other tests' accounts: long ago
        run = date(2026, 1, 16)
    run_dunning(database, made[0].reader, run)
    return made


def hands(*without: str) -> Hands:
    """Everybody lives in Perth, but for some."""

    def found(_conn, account: str) -> Party:
        if account in without:
            return Party(name="Nowhere")
        return Party(
            name=f"Ada of {account}", address=("1 Hay Street",), postcode="6000", city="Perth", country="AU"
        )

    return Hands(None, found, lambda _found: Server(host="", port=0))


def make(stage: Stage, hands_: Hands | None = None, **given) -> letters.Batch | None:
    """A batch of what waits."""
    return letters.make(stage.database, hands_ or hands(), "din-b", ON, actor="anna", **given)


def states(stage: Stage) -> list[tuple[str, str]]:
    """(state, reply) of its letters."""
    with stage.database.read() as conn:
        rows = sending.log(conn, account=stage.account, channel="letter")
    return [(row.state, row.reply) for row in rows]


def test_each_letter_is_in_one_batch_and_a_batch_is_printed_as_often_as_wanted(stages: list[Stage]):
    """Two sheets; the next batch has nothing; the same bytes again; a zip has a PDF for each."""
    stage = stages[0]
    dry = make(stage, dry=True)
    assert dry is not None
    batch = make(stage)
    assert batch is not None
    mine = [one.account for one in stages]
    with stage.database.read() as conn:
        taken = [one["account_id"] for one in letters.of_batch(conn, batch.id)]
        assert letters.batches(conn)[0].id == batch.id
    assert [one for one in taken if one in mine] == mine
    assert (dry.count, batch.count) == (len(taken), len(taken))
    assert make(stage) is None
    printed = letters.printed(stage.database, stage.reader, hands(), batch.id)
    assert printed == letters.printed(stage.database, stage.reader, hands(), batch.id)
    found = pypdf.PdfReader(io.BytesIO(printed))
    texts = [page.extract_text() for page in found.pages if page.extract_text().strip()]
    assert len(texts) == len(taken)
    for one in stages:
        (text,) = [text for text in texts if f"Ada of {one.account}" in text]
        assert "86.90 of invoice" in text
        assert one.invoices()[0].number in text
    made = zipfile.ZipFile(io.BytesIO(letters.zipped(stage.database, stage.reader, hands(), batch.id)))
    assert [name.split("-", 1)[1] for name in made.namelist()] == [f"{one}.pdf" for one in taken]
    assert made.read(made.namelist()[0]).startswith(b"%PDF")
    with stage.database.write() as conn, pytest.raises(MessageNotResent, match="letters fetch ltr_"):
        sending.resend(conn, letters.of_batch(conn, batch.id)[0]["id"], actor="anna")


def test_letters_begin_on_a_sheet_of_their_own(stages: list[Stage]):
    """Printed on both sides: the back of a letter is not the next one's face."""
    batch = make(stages[0])
    assert batch is not None
    printed = letters.printed(stages[0].database, stages[0].reader, hands(), batch.id)
    texts = [page.extract_text().strip() for page in pypdf.PdfReader(io.BytesIO(printed)).pages]
    assert all(texts[::2])
    assert not any(texts[1::2])


def test_who_paid_gets_no_letter_and_who_has_no_address_waits_for_one(stages: list[Stage]):
    """The first is dropped, the second printed once there is an address."""
    paid, away = stages
    with paid.database.write() as conn:
        payments.pay(conn, paid.account, Money(8690, "AUD"), "cash", paid.entity, on=ON)
    first = make(paid, hands(away.account))
    assert first is not None
    assert [one for one in first.dropped if paid.account in one] == [
        f"{paid.account}: nothing of it is owed any more"
    ]
    assert away.account in first.unaddressed
    assert states(paid) == [("dropped", f"{paid.account}: nothing of it is owed any more")]
    assert states(away) == [("waiting", "")]
    assert make(paid) is not None
    assert states(away) == [("printed", "")]


def test_what_is_old_is_not_printed_by_itself(stages: list[Stage]):
    """Whoever begins to print does not print what was told years ago."""
    assert make(stages[0], since=date(2026, 1, 17)) is None
    assert states(stages[0]) == []


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_a_batch_is_written(stages: list[Stage], point: str):
    """Nothing is taken; the next time all are."""
    stage = stages[0]
    child = os.fork()
    if not child:
        stage.database.engine.dispose(close=False)
        os.environ |= {"TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{point}:1:kill"}
        make(stage)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert states(stage) == [("waiting", "")]
    assert make(stage) is not None
    assert states(stage) == [("printed", "")]


def test_what_is_asked_wrongly_is_one_sentence(stages: list[Stage]):
    """A form, a batch."""
    stage = stages[0]
    with pytest.raises(FormUnknown, match="'a5' is no form of a letter; choose din-b, c56, us10"):
        letters.make(stage.database, hands(), "a5", ON, actor="anna")
    with pytest.raises(BatchUnknown, match="no batch of letters 'ltr_0'"):
        letters.printed(stage.database, stage.reader, hands(), "ltr_0")


def a_page(**given) -> Page:
    """A letter abroad."""
    buyer = Party(
        name="Ada Ltd", address=("Attn. Ada", "1 Quai"), postcode="75001", city="Paris", country="FR"
    )
    seller = Seller(name="Op Pty", address=("1 Hay Street",), postcode="6000", city="Perth", country="AU")
    text = Text("About", ("Dear Ada,", "a\nb", "<script>alert(1)</script>"), "short")
    values = {"key": "msg_1", "account": "A-1", "seller": seller, "buyer": buyer, "text": text, "on": ON}
    return Page(**{**values, **given})


@pytest.mark.parametrize("form", FORMS)
def test_the_address_shows_in_the_window_and_nothing_else_does(form: str):
    """Measured in the PDF, in millimetres from the upper left corner; the paper is the form's."""
    left, top, width, height, length = WINDOWS[form]
    page = pypdf.PdfReader(io.BytesIO(pages.printed([a_page()], form, "x", ON))).pages[0]
    assert float(page.mediabox.height) / MM == pytest.approx(length, abs=0.5)
    placed: list[tuple[str, float, float]] = []

    def visit(text: str, user: list[float], matrix: list[float], _font, _size) -> None:
        if text.strip():
            x = matrix[4] * user[0] + matrix[5] * user[2] + user[4]
            y = matrix[4] * user[1] + matrix[5] * user[3] + user[5]
            placed.append((text.strip(), x / MM, length - y / MM))

    page.extract_text(visitor_text=visit)
    inside = {
        text for text, x, y in placed if left <= x <= left + width and top <= y <= top + height
    }  # fmt: skip
    for line in ("Ada Ltd", "Attn. Ada", "1 Quai", "75001 Paris"):
        assert any(line in text for text in inside), (line, placed)
    assert not any(word in text for text in inside for word in ("About", "Dear Ada", "2026"))
    assert all("script" not in text or "alert(1)" in text for text, _, _ in placed)


def test_an_address_has_its_country_abroad_only_and_the_city_first_in_america():
    """As the Universal Postal Union asks."""
    assert a_page().address == ("Ada Ltd", "Attn. Ada", "1 Quai", "75001 Paris", "FR")
    home = Seller(name="Op Inc", country="US", city="Reno")
    buyer = Party(name="Bo", address=("1 Main St",), postcode="89501", city="Reno, NV", country="US")
    page = a_page(seller=home, buyer=buyer)
    assert page.address == ("Bo", "1 Main St", "Reno, NV 89501")
    assert page.sender == "Op Inc · Reno"
    assert not pages.is_addressed(Party(name="Bo"))
