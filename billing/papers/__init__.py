"""Papers: an invoice as PDF and as Factur-X, made when somebody first wants to see it, and then kept."""
