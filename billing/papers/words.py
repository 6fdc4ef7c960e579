"""What stands on an invoice, by language (ISO 639-1)."""

STATEMENT: dict[str, dict[str, str]] = {
    "en": {"statement": "Statement", "opening": "Opening balance", "closing": "Closing balance", "date": "Date",
           "balance": "Balance", "owed": "A balance below zero is the customer's credit."},
    "de": {"statement": "Kontoauszug", "opening": "Anfangssaldo", "closing": "Endsaldo", "date": "Datum",
           "balance": "Saldo", "owed": "Ein Saldo unter null ist Guthaben des Kunden."},
    "fr": {"statement": "Relevé de compte", "opening": "Solde initial", "closing": "Solde final", "date": "Date",
           "balance": "Solde", "owed": "Un solde négatif est un crédit du client."},
    "es": {"statement": "Extracto de cuenta", "opening": "Saldo inicial", "closing": "Saldo final", "date": "Fecha",
           "balance": "Saldo", "owed": "Un saldo negativo es crédito del cliente."},
}  # fmt: skip
"""What stands on a statement."""

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "invoice": "Invoice", "credit_note": "Credit note", "issued": "Issued", "due": "Due", "period": "For",
        "account": "Account", "credits": "Credits", "what": "Description", "days": "Days", "tax": "Tax",
        "amount": "Amount", "amount_with": "Amount with tax", "net": "Net", "of": "of", "total": "Total",
        "credited": "Credited", "pay_by": "Please pay by", "bank": "Bank", "reference": "Reference",
        "credited_to": "The amount is credited to your account and pays what is open.", "vat": "VAT no.",
        "page": "page",
    },
    "de": {
        "invoice": "Rechnung", "credit_note": "Rechnungskorrektur", "issued": "Ausgestellt", "due": "Fällig",
        "period": "Zeitraum", "account": "Kundenkonto", "credits": "Zu Rechnung", "what": "Leistung",
        "days": "Zeitraum", "tax": "Steuer", "amount": "Betrag", "amount_with": "Betrag mit Steuer",
        "net": "Netto", "of": "von", "total": "Gesamtbetrag", "credited": "Gutgeschrieben",
        "pay_by": "Bitte zahlen bis", "bank": "Bank", "reference": "Verwendungszweck",
        "credited_to": "Der Betrag wird Ihrem Kundenkonto gutgeschrieben und mit offenen Beträgen verrechnet.",
        "vat": "USt-IdNr.", "page": "Seite",
    },
    "fr": {
        "invoice": "Facture", "credit_note": "Avoir", "issued": "Émise le", "due": "Échéance",
        "period": "Période", "account": "Compte", "credits": "Facture concernée", "what": "Désignation",
        "days": "Période", "tax": "TVA", "amount": "Montant", "amount_with": "Montant TTC", "net": "Total HT",
        "of": "de", "total": "Total TTC", "credited": "Montant crédité", "pay_by": "À payer avant le",
        "bank": "Banque", "reference": "Référence",
        "credited_to": "Ce montant est porté au crédit de votre compte et règle les sommes dues.",
        "vat": "N° TVA", "page": "page",
    },
    "es": {
        "invoice": "Factura", "credit_note": "Factura rectificativa", "issued": "Fecha", "due": "Vencimiento",
        "period": "Periodo", "account": "Cuenta", "credits": "Factura rectificada", "what": "Concepto",
        "days": "Periodo", "tax": "Impuesto", "amount": "Importe", "amount_with": "Importe con impuestos",
        "net": "Base imponible", "of": "de", "total": "Total", "credited": "Abonado", "pay_by": "Pague antes del",
        "bank": "Banco", "reference": "Referencia",
        "credited_to": "El importe se abona en su cuenta y salda lo pendiente.", "vat": "NIF-IVA",
        "page": "página",
    },
}  # fmt: skip
