"""Find the context variables that a template reads, except those that it sets itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.template import engines
from django.template.base import FilterExpression, Node, Variable
from django.template.defaulttags import WithNode
from django.template.smartif import TokenBase
from django.templatetags.i18n import BlockTranslateNode

# Attributes of nodes with names of variables that they set.
_SETS = ("asvar", "target_var", "variable", "loopvars", "countervar")
_ALWAYS = {"block", "forloop", "True", "False", "None"}


def variables_of(name: str) -> set[str]:
    """Return the first part of each variable that the template reads."""
    template = engines["django"].engine.get_template(name)  # type: ignore[attr-defined]
    read: set[str] = set()
    made: set[str] = set(_ALWAYS)
    for part in _parts(list(template.nodelist)):
        if isinstance(part, Variable) and part.lookups:
            read.add(part.lookups[0])
        elif isinstance(part, Node):
            made |= _made_by(part)
    return read - made


def _made_by(node: Node) -> set[str]:
    made: set[str] = set(node.extra_context) if isinstance(node, (BlockTranslateNode, WithNode)) else set()
    for attribute in _SETS:
        value = getattr(node, attribute, None)
        made |= {value} if isinstance(value, str) else set(value) if isinstance(value, list) else set()
    return made


def _parts(thing: Any) -> Iterator[Any]:
    """Yield the node and all nodes, expressions and variables in it."""
    yield thing
    inner: list[Any] = []
    if isinstance(thing, FilterExpression):
        inner = [thing.var, [argument for _filter, arguments in thing.filters for _is_var, argument in arguments]]
    elif isinstance(thing, BlockTranslateNode):
        words = [token.contents for token in [*thing.singular, *thing.plural] if token.token_type.name == "VAR"]
        inner = [list(map(Variable, words)), thing.extra_context, thing.counter]
    elif isinstance(thing, (Node, TokenBase)):
        inner = list(vars(thing).values())
    elif isinstance(thing, (list, tuple)):
        inner = list(thing)
    elif isinstance(thing, dict):
        inner = list(thing.values())
    for part in inner:
        if isinstance(part, (Node, FilterExpression, Variable, TokenBase, list, tuple, dict)):
            yield from _parts(part)
