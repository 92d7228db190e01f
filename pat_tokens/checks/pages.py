"""Checks of what the pages need (templates, static files, a login page): E080 to E089, W080 to W089, I080 to I089."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from django.apps import AppConfig, apps
from django.conf import global_settings, settings
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.template import Template, TemplateDoesNotExist, TemplateSyntaxError, engines
from django.template.backends.django import DjangoTemplates
from django.template.base import Node, NodeList, VariableNode
from django.template.loader_tags import BlockNode, ExtendsNode
from django.urls import LocalePrefixPattern, is_valid_path

from pat_tokens.conf import conf
from pat_tokens.setting_values import has_url, is_class

BLOCKS = ("title", "head", "content")
STATIC_FILES = ("pat_tokens/pat_tokens.css", "pat_tokens/pat_tokens.js")
_PAGE = "pat_tokens/page.html"
_N = TypeVar("_N", bound=Node)


def check_template_engine(**kwargs: Any) -> Iterator[CheckMessage]:
    if _pages_are_mounted() and _find_template(_PAGE) is None:
        yield Error(
            "The token pages are in your URLs, but no engine in TEMPLATES finds their templates.",
            hint="Add an engine with the BACKEND 'django.template.backends.django.DjangoTemplates' and 'APP_DIRS': "
            "True to TEMPLATES. You can keep other engines, such as Jinja2.",
            id="pat_tokens.E080",
        )


def check_base_template(**kwargs: Any) -> Iterator[CheckMessage]:
    if not hasattr(settings, "PAT_TOKENS_BASE_TEMPLATE"):
        return
    name: Any = conf.base_template
    try:
        template = _find_template(name) if isinstance(name, str) else None
        missing = [block for block in BLOCKS if block not in reachable_blocks(template)] if template else []
        problem = "" if template else "which is not the name of a Django template"
    except (TemplateDoesNotExist, TemplateSyntaxError, OSError) as error:  # OSError: the name of a folder
        problem = f"which cannot be compiled ({type(error).__name__}: {error})"
    if problem:
        yield Error(
            f"PAT_TOKENS_BASE_TEMPLATE is {name!r}, {problem}.",
            hint="Use a template that a Django template engine in TEMPLATES finds, such as 'base.html', or remove the "
            "setting to use the package's own template.",
            id="pat_tokens.E017",
        )
    elif missing:
        tags = " ".join(f"{{% block {block} %}}{{% endblock %}}" for block in missing)
        yield Error(
            f"The base template {name!r} lacks the blocks that the token pages fill: {', '.join(missing)}.",
            hint=f"Add {tags}: 'title' inside <title>, 'head' inside <head>, 'content' where the page belongs. Or set "
            "PAT_TOKENS_BASE_TEMPLATE to a template of your own that extends this one and has these blocks.",
            id="pat_tokens.E081",
        )


def check_template_order(**kwargs: Any) -> Iterator[CheckMessage]:
    """Django uses the template of the first app that has it."""
    configs = list(apps.get_app_configs())
    ours = apps.get_app_config("pat_tokens")
    own_names = _template_names(ours)
    for config in configs[configs.index(ours) + 1 :]:
        if own_names & _template_names(config):
            yield checks.Warning(
                f"The templates of {config.name!r} in pat_tokens/ have no effect, because Django finds those of the "
                "package first.",
                hint=f"List {config.name!r} before 'pat_tokens' in INSTALLED_APPS.",
                id="pat_tokens.W081",
            )


def _template_names(config: AppConfig) -> set[str]:
    folder = Path(config.path) / "templates"
    return {str(path.relative_to(folder)) for path in folder.glob("pat_tokens/**/*.html")}


def check_static_files(**kwargs: Any) -> Iterator[CheckMessage]:
    """Storages with a manifest raise an error for files that `collectstatic` hasn't collected."""
    if settings.DEBUG or not _pages_are_mounted():
        return
    try:
        storage: object = staticfiles_storage
        if not isinstance(storage, ManifestFilesMixin):
            return
        for name in STATIC_FILES:
            staticfiles_storage.url(name)
    except ValueError as error:
        yield checks.Warning(
            f"The token pages would fail: {error}",
            hint="Add 'django.contrib.staticfiles' to INSTALLED_APPS and run collectstatic before the site starts.",
            id="pat_tokens.W080",
        )
    except (ImproperlyConfigured, OSError):
        return  # not our concern: the site's storage doesn't work at all


def check_login_url(**kwargs: Any) -> Iterator[CheckMessage]:
    """Only Django's default: a site that sets LOGIN_URL can have its login page outside of Django."""
    default = global_settings.LOGIN_URL
    if not _pages_are_mounted() or default != settings.LOGIN_URL or _has_login_without_page():
        return
    path = default.removeprefix("/")
    # LocaleMiddleware adds the language.
    if not any(is_valid_path(f"/{prefix}{path}") for prefix in ("", LocalePrefixPattern().language_prefix)):
        yield checks.Info(  # not a warning, because a check can't know whether users log in without a page
            f"The token pages redirect anonymous users to {default}, which doesn't exist.",
            hint="Set LOGIN_URL to a login page that all your users can use, not only staff. If there is none, include "
            "django.contrib.auth.urls at 'accounts/' and add a template registration/login.html.",
            id="pat_tokens.I082",
        )


def _has_login_without_page() -> bool:
    from django.contrib.auth.middleware import RemoteUserMiddleware  # noqa: PLC0415 -- needs an app that the pages need

    return any(is_class(path, RemoteUserMiddleware) for path in settings.MIDDLEWARE)


def reachable_blocks(template: Template) -> set[str]:
    """Return the blocks of `template` that a template extending it can fill.

    A block counts only if it is rendered: a block in a child template counts if its parent has it too, or if it is
    inside another block that counts.
    """
    definitions: dict[str, list[BlockNode]] = {}
    reached: set[str] = set()

    def walk(nodes: Any) -> None:
        for node in nodes:
            if isinstance(node, BlockNode):
                reached.add(node.name)
                walk_block(definitions[node.name])
            elif isinstance(node, Node):
                for attribute in node.child_nodelists:
                    walk(getattr(node, attribute, ()))

    def walk_block(nodes: list[BlockNode]) -> None:
        # The definition that is rendered, and those that it includes with block.super.
        for node in nodes:
            walk(node.nodelist)
            if not any(
                "block.super" in found.filter_expression.token for found in _find_nodes(node.nodelist, VariableNode)
            ):
                break

    root, seen = template, [template.origin]
    while True:
        for block in _find_nodes(root.nodelist, BlockNode):
            definitions.setdefault(block.name, []).append(block)
        extends = next(_find_nodes(root.nodelist, ExtendsNode), None)
        if extends is None:
            walk(root.nodelist)
            return reached
        parent: Any = extends.parent_name
        # Our own pages extend the base template, so it can't extend them.
        name = conf.base_template if str(parent) == "base_template" else parent.var
        if parent.filters or not isinstance(name, str):
            return set(BLOCKS)  # the parent is chosen at each request
        # A template can extend one of the same name in another folder or app, like in Django's own search.
        root, origin = template.engine.find_template(name, skip=seen)
        seen.append(origin)


def _find_nodes(nodes: NodeList, kind: type[_N]) -> Iterator[_N]:
    return (node for node in nodes.get_nodes_by_type(kind) if isinstance(node, kind))


def _find_template(name: str) -> Template | None:
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates):
            try:
                return engine.get_template(name).template
            except TemplateDoesNotExist as error:
                if error.chain or str(error) != name:
                    raise
    return None


def _pages_are_mounted() -> bool:
    return has_url("pat_tokens:token_list")
