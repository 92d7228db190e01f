import pytest
from django.template.base import Template


@pytest.fixture
def rendered(monkeypatch):
    """The names of the templates that were rendered, also by other templates."""
    names = []
    render = Template._render
    monkeypatch.setattr(Template, "_render", lambda self, context: names.append(self.name) or render(self, context))
    return names
