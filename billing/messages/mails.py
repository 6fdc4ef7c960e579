"""A message as an e-mail. Pure."""

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

from billing.messages.texts import Text
from billing.papers.parties import Seller


def identifier(message: str, sender: str) -> str:
    """The same whenever it is sent: who gets it twice can tell."""
    digest = hashlib.sha256(message.encode()).hexdigest()[:32]
    return f"<{digest}@{sender.rpartition('@')[2]}>"


def mail(
    text: Text, seller: Seller, *, sender: str, recipient: str, key: str, moment: datetime
) -> EmailMessage:
    """The message. Raises ValueError, IndexError where an address is none."""
    made = EmailMessage()
    made["From"] = Address(" ".join(seller.name.split()), addr_spec=sender)
    made["To"] = Address(addr_spec=recipient)
    made["Subject"] = text.subject
    made["Date"] = format_datetime(moment)
    made["Message-ID"] = identifier(key, sender)
    made["Auto-Submitted"] = "auto-generated"
    made.set_content("\n\n".join(text.paragraphs) + "\n")
    inner = "".join(f"<p>{escape(one).replace(chr(10), '<br>')}</p>" for one in text.paragraphs)
    made.add_alternative(
        f'<!doctype html><html lang="{seller.language}"><head><meta charset="utf-8">'
        f"<title>{escape(text.subject)}</title></head><body>{inner}</body></html>\n",
        subtype="html",
    )
    return made
