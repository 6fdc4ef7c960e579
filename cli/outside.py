"""Jobs that talk to the world outside: what they need of an installation is put into their hands here."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from billing.gateways import asking as charging
from billing.gateways import autopay, givebacks, polling, protocol, recording
from billing.gateways.protocol import Gateway
from billing.mailing import sending
from billing.mailing.smtp import Server
from billing.messages import queueing
from billing.messages import sending as messages
from billing.messages.sms import Gateway as SmsGateway
from billing.papers import parties
from billing.rating import cutting
from billing.taxing import asking
from core import clock, jobs
from core.db import Database
from core.jobs import Job
from crm.buyers import buyer
from intents.config.schema import Mail, Sms
from intents.reader import Reader

if TYPE_CHECKING:
    from cli.installation import Installation

_WHERE, _NAME = "trunkline.yaml", "mail.password"


def register(here: "Installation") -> None:
    """Let this process ask tax engines and payment gateways, and send mail."""

    def place(database: Database, account: str) -> dict[str, str]:
        with database.read() as conn:
            known = parties.contact_at(conn, here.key, account, clock.now())
        if known is None:
            return {}
        return {"country": known.country, "postcode": known.postcode, "city": known.city}

    asking.register(
        place, lambda sealed, profile: here.open_secret(sealed, asking.place_of(profile), asking.TOKEN)
    )

    @jobs.handles(charging.CHARGE)
    def charge(database: Database, job: Job) -> None:
        with here.reader() as reader:
            autopay.perform(database, job, lambda name: gateway_of(here, reader, name))

    @jobs.handles(givebacks.REFUND)
    def give_back(database: Database, job: Job) -> None:
        with here.reader() as reader:
            givebacks.perform(database, job, lambda name: gateway_of(here, reader, name))

    @jobs.handles(polling.POLL)
    def poll(database: Database, job: Job) -> None:
        with here.reader() as reader:
            polling.perform(database, job, lambda name: gateway_of(here, reader, name))

    @jobs.handles(recording.LOOK)
    def look(database: Database, job: Job) -> None:
        with here.reader() as reader:
            givebacks.look(database, job, lambda name: gateway_of(here, reader, name))

    @jobs.handles(sending.SWEEP)
    @jobs.handles(sending.SEND)
    def post(database: Database, job: Job) -> None:
        with here.reader() as reader:
            sending.perform(database, job, reader, hands(here))

    @jobs.handles(cutting.CUT)
    def cut(database: Database, _job: Job) -> None:
        with here.reader() as reader:
            cutting.perform(database, reader)

    @jobs.handles(queueing.SWEEP)
    @jobs.handles(queueing.SEND)
    def tell(database: Database, job: Job) -> None:
        with here.reader() as reader:
            messages.perform(database, job, reader, messages.Hands(hands(here), gateway(here)))


def gateway_of(here: "Installation", reader: Reader, name: str) -> Gateway:
    """A gateway of trunkline.yaml, its secrets opened. Raises GatewayUnknown."""
    return protocol.connect(reader, name, lambda sealed, field: here.open_secret(sealed, _WHERE, field))


def hands(here: "Installation") -> sending.Hands:
    """What sending mail needs of an installation."""

    def server(found: Mail) -> Server:
        password = here.open_secret(str(found.password), _WHERE, _NAME) if found.password else ""
        return Server(
            host=found.server, port=int(found.port), security=found.security, user=found.user or "",
            password=password, timeout=found.timeout,
        )  # fmt: skip

    return sending.Hands(here.key, buyer(here.key), server)


def gateway(here: "Installation") -> Callable[[Sms], SmsGateway]:
    """The gateway of text messages of trunkline.yaml, its secrets opened."""

    def opened(found: Sms) -> SmsGateway:
        token = here.open_secret(str(found.token), _WHERE, "sms.token") if found.token else ""
        signing = here.open_secret(str(found.signing), _WHERE, "sms.signing") if found.signing else ""
        return SmsGateway.of(found, token, signing)

    return opened
