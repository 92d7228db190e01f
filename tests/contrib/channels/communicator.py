"""A client of ASGI applications. Unlike `channels.testing`, it doesn't need Daphne."""

import json

from asgiref.testing import ApplicationCommunicator

PATIENCE = 10  # seconds


class WebsocketCommunicator(ApplicationCommunicator):
    def __init__(self, application, path, *, headers=(), extensions=(), scheme="ws", subprotocols=(), client=None):
        scope = {
            "type": "websocket",
            "scheme": scheme,
            "path": path,
            "query_string": b"",
            "headers": list(headers),
            "subprotocols": list(subprotocols),
            "client": client,
            "extensions": {name: {} for name in extensions},
        }
        super().__init__(application, scope)

    async def connect(self):
        """Return True, or the code that the handshake was denied with."""
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive()
        self.subprotocol = answer.get("subprotocol")
        self.answer_headers = dict(answer.get("headers", ()))
        return True if answer["type"] == "websocket.accept" else answer["code"]

    async def receive(self):
        return await self.receive_output(PATIENCE)

    async def receive_json(self):
        return json.loads((await self.receive())["text"])

    async def send_json(self, data):
        await self.send_input({"type": "websocket.receive", "text": json.dumps(data)})

    async def disconnect(self):
        """Disconnect, and wait until the application has handled it."""
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(PATIENCE)
