"""What gateways register: their tables. The job that charges is put together where secrets can be opened."""

import billing.gateways.models  # noqa: F401
