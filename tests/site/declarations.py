"""Declarations for views that the site can't edit."""

from pat_tokens.declarations import declare_url, declare_view
from pat_tokens.requirements import Requirement
from tests.site import functions, views


def declare():
    declare_view(functions.legacy, {"GET": Requirement("channels", "read", "channel_id")})
    declare_view("tests.site.functions.legacy_by_path", {"GET": Requirement("channels", "update", "channel_id")})
    declare_url("legacy-by-url", {"GET": Requirement("channels", "delete", "channel_id")})
    declare_view(views.LegacyChannels, {"GET": Requirement("channels", "list")})
    declare_url("sealed", {"PUT": None})
    declare_url("sealed-and-changed", {"DELETE": None})
    declare_url("vendor:tasks", {"GET": Requirement("projects", "read", "pk"), "DELETE": None})
