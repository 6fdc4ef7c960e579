"""Bank files: statements in (camt.053, CSV), direct debits out (pain.008), and what each line is for."""
