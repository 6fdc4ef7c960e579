"""What AAA offers to the others on import: its tables, its check and its preview; nothing subscribes to events here.

Sessions start and stop thousands of times a minute: an event row for each would double the cost of accounting, and
nobody listens yet. Who wants to know reads table `session`; the enforcement lane reads `stale`.
"""

import aaa.checks
import aaa.models
import aaa.preview
import aaa.proxy.preview
import aaa.view.models

__all__ = ["aaa"]
