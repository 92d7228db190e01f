"""Register the inspector of plain Django views."""

from pat_tokens.django_views.inspection import inspect_django_view
from pat_tokens.integrations import set_django_inspector

set_django_inspector(inspect_django_view)
