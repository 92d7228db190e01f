import os
import socket
from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from demo_project.devices.models import Channel
from demo_project.devices.seeds import ALICE, LOGINS, seed

HOST = "127.0.0.1"
DEFAULT_PORT = 8000
SHUTDOWN_SECONDS = 2  # for open streams when the server stops; otherwise it would wait for them forever


class Command(BaseCommand):
    """Set the demo site up and serve it."""

    help = "Migrate, create example users and entities, print how to log in and use the API, and serve the site (ASGI)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port",
            type=int,
            default=os.environ.get("PORT") or DEFAULT_PORT,
            help=f"Port on {HOST}; PORT in the environment, or {DEFAULT_PORT}, unless given.",
        )
        parser.add_argument("--workers", type=int, default=1, help="Processes; more than one needs REDIS_URL.")
        parser.add_argument("--no-serve", action="store_true", help="Only migrate, seed and print.")

    def handle(self, *, port: int, workers: int, no_serve: bool, verbosity: int, **options: Any) -> None:
        if not 0 < port < 65536:
            raise CommandError(f"{port} is not a port: use a number from 1 to 65535.")
        if workers < 1:
            raise CommandError("--workers must be 1 or more.")
        if workers > 1 and not settings.REDIS_URL:
            raise CommandError(
                "Several processes need Redis to carry messages between them. Set REDIS_URL, for instance "
                "REDIS_URL=redis://127.0.0.1:6379/0, or leave --workers out."
            )
        if not no_serve:
            self.refuse_taken(port)
        call_command("migrate", interactive=False, verbosity=max(verbosity - 1, 0))
        seed()
        self.stdout.write(self.introduction(f"http://{HOST}:{port}"))
        if no_serve:
            return
        self.stdout.flush()
        connections.close_all()  # this thread needs none while the server runs
        uvicorn.run(
            settings.ASGI_APPLICATION.replace(".application", ":application"),
            host=HOST,
            port=port,
            workers=workers,
            lifespan="off",
            # Otherwise, uvicorn takes the client's address from X-Forwarded-For, which any client here can write.
            proxy_headers=False,
            log_level="info" if verbosity > 1 else "warning",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )

    def refuse_taken(self, port: int) -> None:
        """Fail early if `port` is in use, before printing the introduction."""
        try:
            socket.create_server((HOST, port)).close()
        except OSError as error:
            raise CommandError(
                f"Can't listen on {HOST}:{port} ({error.strerror}). Stop the other server, or use another port: "
                f"make demo PORT={port % 65535 + 1}"
            ) from error

    def introduction(self, address: str) -> str:
        """Return the introduction: the address, the logins and commands to paste."""
        logins = "\n".join(
            f"    {login.username:<8}{login.password:<14}{'(staff)' if login.is_staff else ''}".rstrip()
            for login in LOGINS
        )
        channel = Channel.objects.filter(owner__username=ALICE.username).first()
        channel_id = channel.pk if channel else "<channel id>"
        name = f" ({channel.name!r}, of {ALICE.username})" if channel else ""
        return f"""
The demo is at {address}/

Log in as
{logins}

Create a token with two scopes, channels / publish and channels / subscribe: avatar menu at the top right,
Personal Access Tokens, + Create PAT. Then, with the secret that is shown once, subscribe to a channel{name}:

    SECRET='<the secret>'
    curl -N -H "Authorization: Bearer $SECRET" {address}/api/channels/{channel_id}/subscribe/

and publish to it from another terminal:

    SECRET='<the secret>'
    curl -X POST -H "Authorization: Bearer $SECRET" -H 'Content-Type: application/json' \\
      -d '{{"payload": {{"temperature": 21.5}}}}' {address}/api/channels/{channel_id}/publish/

The API is documented at {address}/api/docs/. Press Ctrl+C to stop the site.
"""
