"""Tables of prepaid. A wallet is its movements; nothing stores a balance that could differ from them."""

import sqlalchemy as sa

from billing.models import META
from core.db import Json, UtcDateTime


def _key() -> "sa.Column[str]":
    return sa.Column("id", sa.String(64), primary_key=True)


def _account(*, index: bool = True) -> "sa.Column[str]":
    return sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=index)


wallet_movement = sa.Table(
    "wallet_movement",
    META,
    _key(),
    _account(),
    sa.Column("kind", sa.String(8), nullable=False, comment="billing.wallet.balance names them"),
    sa.Column("source", sa.String(160), nullable=False, comment="what it is for; once for each kind"),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="minor units; negative: taken out"),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("moved_on", sa.Date, nullable=False, comment="local date of the account"),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.UniqueConstraint("kind", "source"),
    sa.CheckConstraint("amount <> 0", name="amount"),
    comment="append only: the wallet of an account is the sum",
)

wallet_voucher_batch = sa.Table(
    "wallet_voucher_batch",
    META,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("legal_entity", sa.String(32), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="of one voucher, minor units"),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("expires_on", sa.Date, nullable=False, comment="last day; where the redeeming account lives"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("sold_on", sa.Date),
    sa.Column("sold_for", sa.BigInteger, comment="what came in for the whole batch"),
    sa.Column("voided_at", UtcDateTime),
    sa.Column("voided_by", sa.String(80)),
)

wallet_voucher = sa.Table(
    "wallet_voucher",
    META,
    _key(),
    sa.Column("batch", sa.String(64), sa.ForeignKey("wallet_voucher_batch.name"), nullable=False, index=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True, comment="HMAC-SHA-256 of the code"),
    sa.Column("redeemed_at", UtcDateTime),
    sa.Column("redeemed_by", sa.String(64), sa.ForeignKey("account.id")),
    comment="a code is printed once and kept as a keyed hash only",
)

wallet_voucher_guess = sa.Table(
    "wallet_voucher_guess",
    META,
    _key(),
    _account(index=False),
    sa.Column("guessed_at", UtcDateTime, nullable=False, index=True),
    sa.Index("ix_wallet_voucher_guess_account_id", "account_id", "guessed_at"),
    comment="codes that no voucher has, for the limit of guesses; kept for a day",
)

redemption_try = sa.Table(
    "redemption_try",
    META,
    _key(),
    sa.Column("digest", sa.String(64), nullable=False, comment="keyed hash of an address or an account"),
    sa.Column("tried_at", UtcDateTime, nullable=False, index=True),
    sa.Index("ix_redemption_try_digest", "digest", "tried_at"),
    comment="redemptions over HTTP that failed, for their limits; kept for a day",
)

breakage_rule = sa.Table(
    "breakage_rule",
    META,
    sa.Column("legal_entity", sa.String(32), primary_key=True),
    sa.Column("what", sa.String(8), primary_key=True, comment="voucher | wallet"),
    sa.Column("days", sa.Integer, nullable=False, comment="after the last day, or the last movement"),
    sa.Column("ledger", sa.String(64), nullable=False, comment="the account of the books that gets it"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
)

voucher_breakage = sa.Table(
    "voucher_breakage",
    META,
    sa.Column("batch", sa.String(64), sa.ForeignKey("wallet_voucher_batch.name"), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False, comment="vouchers that nobody redeemed"),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("ledger", sa.String(64), nullable=False),
    sa.Column("booked_on", sa.Date, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    comment="append only: what was left of a batch, once",
)

prepaid_service = sa.Table(
    "prepaid_service",
    META,
    sa.Column("service", sa.String(64), primary_key=True),
    _account(),
    sa.Column(
        "state", sa.String(8), nullable=False, comment="ordered | open | grace | lapsed | owed | ceased"
    ),
    sa.Column("plan_name", sa.Text, nullable=False, comment="as the customer knows it"),
    sa.Column("terms", Json, nullable=False, comment="the pinned price version: what a period costs"),
    sa.Column("exhausted", sa.String(16), nullable=False, comment="what the service gets without credit"),
    sa.Column("grace_days", sa.Integer, nullable=False),
    sa.Column("rhythm_from", sa.Date, comment="periods are counted from this day until they lapse"),
    sa.Column("paid_until", sa.Date, comment="bought up to this day, exclusive"),
    sa.Column("held", sa.Boolean, nullable=False, comment="what billing last asked for or was told"),
    sa.Column("lifted", sa.Boolean, nullable=False, comment="somebody else lifted the hold of this lapse"),
    sa.Column("set_id", sa.String(64), index=True, comment="the change set that asked last"),
    sa.Column("warned_for", sa.Date, comment="the end of the period for which a low balance was told"),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)
