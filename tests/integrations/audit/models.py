"""Models that record changes of channels with each of the packages."""

import reversion
from auditlog.registry import auditlog
from simple_history import register

from tests.models import Channel

auditlog.register(Channel)
reversion.register(Channel)
register(Channel, app=__package__)
