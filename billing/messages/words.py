"""What messages say, by language: subject and body; and a shorter one for text messages. Pure."""

from collections.abc import Mapping

from billing.messages.facts import ANNOUNCE, NOTICE, REMINDER

TEXTS: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    "en": {
        REMINDER: (
            "Your invoice {invoices} is due on {due}",
            (
                "a friendly reminder: {amount} of invoice {invoices} is due on {due}. If you have paid "
                "already, thank you, there is nothing to do."
            ),
            "{amount} of invoice {invoices} is due on {due}. Paid already? Thank you, ignore this.",
        ),
        ANNOUNCE: (
            "We collect {amount} on {day}",
            (
                "on {day} we collect {amount} for invoice {invoices} from {by}. Please see that the amount "
                "is there."
            ),
            "we collect {amount} for invoice {invoices} on {day} from {by}.",
        ),
        NOTICE: (
            "{name}: {amount} is overdue",
            (
                "{amount} of invoice {invoices} is overdue since {due}. Please pay now. If you have paid "
                "already, thank you, there is nothing to do."
            ),
            "{amount} of invoice {invoices} is overdue since {due}. Please pay now.",
        ),
    },
    "de": {
        REMINDER: (
            "Ihre Rechnung {invoices} ist am {due} fällig",
            (
                "zur Erinnerung: {amount} der Rechnung {invoices} sind am {due} fällig. Falls Sie schon "
                "bezahlt haben, danken wir Ihnen; es ist nichts zu tun."
            ),
            ("{amount} der Rechnung {invoices} sind am {due} fällig. Schon bezahlt? Danke, nichts zu tun."),
        ),
        ANNOUNCE: (
            "Wir ziehen am {day} {amount} ein",
            (
                "am {day} ziehen wir {amount} für die Rechnung {invoices} ein: {by}. Bitte sorgen Sie für "
                "Deckung."
            ),
            "wir ziehen am {day} {amount} für Rechnung {invoices} ein: {by}.",
        ),
        NOTICE: (
            "{name}: {amount} sind überfällig",
            (
                "{amount} der Rechnung {invoices} sind seit dem {due} überfällig. Bitte zahlen Sie jetzt. "
                "Falls Sie schon bezahlt haben, danken wir Ihnen; es ist nichts zu tun."
            ),
            "{amount} der Rechnung {invoices} sind seit {due} überfällig. Bitte zahlen Sie jetzt.",
        ),
    },
    "fr": {
        REMINDER: (
            "Votre facture {invoices} est à payer le {due}",
            (
                "pour rappel : {amount} de la facture {invoices} sont à payer avant le {due}. Si vous avez "
                "déjà payé, merci, vous n'avez rien à faire."
            ),
            "{amount} de la facture {invoices} sont à payer avant le {due}. Déjà payé ? Merci.",
        ),
        ANNOUNCE: (
            "Nous prélevons {amount} le {day}",
            (
                "le {day} nous prélèverons {amount} pour la facture {invoices} : {by}. Merci de veiller à "
                "la provision."
            ),
            "nous prélèverons {amount} le {day} pour la facture {invoices} : {by}.",
        ),
        NOTICE: (
            "{name} : {amount} en retard",
            (
                "{amount} de la facture {invoices} sont en retard depuis le {due}. Merci de payer "
                "maintenant. Si vous avez déjà payé, vous n'avez rien à faire."
            ),
            "{amount} de la facture {invoices} en retard depuis le {due}. Merci de payer maintenant.",
        ),
    },
    "es": {
        REMINDER: (
            "Su factura {invoices} vence el {due}",
            (
                "le recordamos que {amount} de la factura {invoices} vencen el {due}. Si ya ha pagado, "
                "gracias, no tiene que hacer nada."
            ),
            "{amount} de la factura {invoices} vencen el {due}. ¿Ya pagó? Gracias.",
        ),
        ANNOUNCE: (
            "Cobraremos {amount} el {day}",
            "el {day} cobraremos {amount} de la factura {invoices}: {by}. Procure que haya saldo.",
            "cobraremos {amount} el {day} de la factura {invoices}: {by}.",
        ),
        NOTICE: (
            "{name}: {amount} vencidos",
            (
                "{amount} de la factura {invoices} están vencidos desde el {due}. Pague ahora, por favor. "
                "Si ya ha pagado, no tiene que hacer nada."
            ),
            "{amount} de la factura {invoices} vencidos desde el {due}. Pague ahora, por favor.",
        ),
    },
}
"""Language -> purpose -> subject, body, text message."""
DEAR = {"en": "Dear {buyer},", "de": "Guten Tag {buyer},", "fr": "Bonjour {buyer},", "es": "Hola, {buyer}:"}
REGARDS = {"en": "Kind regards", "de": "Freundliche Grüße", "fr": "Cordialement", "es": "Saludos"}
