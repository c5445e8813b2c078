"""A client that speaks HTTP/2, for streams side by side."""

import socket

import h2.config
import h2.connection
import h2.errors
import h2.events

from origin import PATIENCE


class Streams:
    """An HTTP/2 client."""

    def __init__(self, case, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        case.addCleanup(self.socket.close)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.state.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.state.data_to_send())

    def begin(self, token, path="/"):
        stream = self.state.get_next_available_stream_id()
        self.state.send_headers(stream, [
            (":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "localhost"),
            ("authorization", f"Bearer {token}")], end_stream=True)
        self.flush()
        return stream

    def reset(self, stream):
        self.state.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self.flush()

    def events(self):
        """What has come, at least some octets of it."""
        found = self.state.receive_data(self.socket.recv(65536))
        self.flush()
        return found

    def statuses(self, count):
        """Of so many streams, or of these."""
        found = {}
        while len(found) < count if isinstance(count, int) else count - found.keys():
            for event in self.events():
                if isinstance(event, h2.events.ResponseReceived):
                    found[event.stream_id] = dict(event.headers)[":status"]
        return found

    def bodies(self, count):
        """Of so many answers, whole."""
        found, ended = {}, set()
        while len(ended) < count:
            for event in self.events():
                if isinstance(event, h2.events.DataReceived):
                    found[event.stream_id] = found.get(event.stream_id, b"") + event.data
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
        return found
