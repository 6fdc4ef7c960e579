"""Every fault point that a room declares is killed by some test: a point without a kill is a promise nobody tried."""

import re
from pathlib import Path

from core.discovery import ROOMS
from tests.aaa.test_accounting_kills import AT_RESTART, WITH_DATABASE, WITHOUT_DATABASE
from tests.aaa.test_overrides import KILLED_POINTS as LIMITS
from tests.aaa.test_pools import POINTS as POOLS
from tests.aaa.test_spool import POINTS as SPOOL
from tests.aaa.test_view import KILLED_POINTS as VIEW
from tests.billing.test_bank_collect import POINTS as COLLECTING
from tests.billing.test_bank_import import POINTS as STATEMENTS
from tests.billing.test_calls import POINTS as CALLS
from tests.billing.test_closing import POINTS as CLOSING
from tests.billing.test_gateway_faults import POINTS as GIVEBACKS
from tests.billing.test_gateways import POINTS as GATEWAYS
from tests.billing.test_kill import POINTS as BILLING
from tests.billing.test_mailing import POINTS as MAILING
from tests.billing.test_messages_letters import POINTS as LETTERS
from tests.billing.test_messages_reminders import POINTS as REMINDERS
from tests.billing.test_messages_sending import POINTS as MESSAGES
from tests.billing.test_prices import POINTS as PRICES
from tests.billing.test_rating import POINTS as RATING
from tests.billing.test_rating_days import POINTS as CUTTING
from tests.billing.test_recognition import POINTS as RECOGNITION
from tests.billing.test_refunding import POINTS as REFUNDING
from tests.billing.test_taxing import POINTS as TAXING
from tests.billing.test_undoing import POINTS as UNDOING
from tests.billing.test_wallet_kill import POINTS as WALLET
from tests.billing.test_wallet_returning import POINTS as RETURNED
from tests.billing.test_writeoffs import POINTS as WRITE_OFFS
from tests.crm.test_orders import KILLED_POINTS as CRM
from tests.crm.test_promotions import POINTS as PROMOTIONS
from tests.intents.test_kills import POINTS as INTENTS
from tests.reconciler.test_kill_matrix import POINTS as RECONCILER

ROOT = Path(__file__).parent.parent


def test_every_declared_point_has_its_kill() -> None:
    """What the sources declare equals what the kill tests are parametrised with, room by room."""
    sources = "\n".join(
        file.read_text()
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        if "testdata" not in file.parts
    )
    declared = set(re.findall(r'faults\.declare\(\s*"([^"]+)"', sources))
    killed = {
        *WITH_DATABASE,
        *WITHOUT_DATABASE,
        *AT_RESTART,
        *LIMITS,
        *SPOOL,
        *VIEW,
        *POOLS,
        *BILLING,
        *COLLECTING,
        *STATEMENTS,
        *REFUNDING,
        *RATING,
        *CUTTING,
        *GATEWAYS,
        *GIVEBACKS,
        *CALLS,
        *MAILING,
        *LETTERS,
        *REMINDERS,
        *MESSAGES,
        *TAXING,
        *UNDOING,
        *PRICES,
        *WALLET,
        *RETURNED,
        *CLOSING,
        *RECOGNITION,
        *WRITE_OFFS,
        *CRM,
        *PROMOTIONS,
        *INTENTS,
        *RECONCILER,
    }
    assert declared - killed == set(), "declared, but no test kills the process there"
    assert killed - declared == set(), "killed, but no room declares it any more"
    assert len(declared) >= 40
