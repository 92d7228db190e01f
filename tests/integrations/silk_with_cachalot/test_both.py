"""The tests for each of the two packages, with both of them."""

import pytest

from tests.integrations.cachalot.test_cachalot import *  # noqa: F403
from tests.integrations.silk.test_silk import *  # noqa: F403

pytestmark = pytest.mark.django_db(transaction=True)
