"""The agenda has tables; its jobs are performed by CRM, which knows the files of services."""

import billing.agenda.models  # noqa: F401
