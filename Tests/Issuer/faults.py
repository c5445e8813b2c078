#!/usr/bin/env python3
"""An issuer's web server with every fault that a fetcher must bear, over HTTP and HTTPS, on 127.0.0.1.

usage: faults.py                  prints NAME=VALUE lines and an empty one once it listens; ends with standard input
       faults.py [--anywhere] -- COMMAND...    runs the command with these in its environment, and ends with its status

FAULTS_HTTP, FAULTS_HTTPS         URLs of the two; the certificate is for 127.0.0.1 and localhost
FAULTS_H2                         the same certificate, and nothing but HTTP/2
FAULTS_WRONG_HOST, FAULTS_EXPIRED, FAULTS_SELF_SIGNED, FAULTS_OLD_TLS    bad HTTPS
FAULTS_DEAF                       a port where no connection is accepted
FAULTS_ANYWHERE                   the port of one at every address, for a network of the test's own: with --anywhere
FAULTS_CA, FAULTS_CERTIFICATE, FAULTS_KEY    PEM files: the authority, and a client's certificate

A path is one behaviour; see the methods of Behaviours. What stands after '?' is its argument. A stage has any of them
in turn, as it is told:

/play/NAME?ACTS    from now on the stage NAME plays these: "BEHAVIOUR ARGUMENT", with record separators between them
/on/NAME           the next of them, and after the last the first again
/release/NAME      what it holds back goes on
/asked/NAME        how often it was asked: a line each, with the time in milliseconds and If-None-Match

What is answered there is the connection's last, so that each fetch makes its own, and one request.
"""

import collections
import datetime
import gzip
import ipaddress
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import h2.config
import h2.connection
import h2.events
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEYS = b'{"keys":[]}'


class Gone(Exception):
    """The connection is to be closed."""


class Connection:
    """One connection, with how many requests came before on it."""

    def __init__(self, stream):
        self.stream, self.file, self.served, self.stage = stream, stream.makefile("rb"), 0, None

    def head(self):
        lines = []
        while line := self.file.readline(1 << 20):
            if line == b"\r\n":
                return b"".join(lines)
            lines.append(line)
        raise Gone

    def send(self, octets):
        self.stream.sendall(octets)

    def reply(self, body=KEYS, status="200 OK", fields=()):
        closing = ["Connection: close"] if self.stage else []
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, *closing]
        self.send("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        if closing:
            raise Gone

    def chunk(self, octets):
        self.send(b"%x\r\n%s\r\n" % (len(octets), octets))

    def reset(self):
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def until_closed(self):
        self.stream.recv(1)
        raise Gone

    def client(self):
        """The common name of the client's certificate, or ''."""
        certificate = isinstance(self.stream, ssl.SSLSocket) and self.stream.getpeercert()
        return dict(part[0] for part in certificate["subject"])["commonName"] if certificate else ""


class Stage:
    """What a name plays, and who has asked it."""

    def __init__(self):
        self.acts, self.turn, self.asked, self.released = ["status 404"], 0, [], threading.Event()

    def play(self, acts):
        self.acts, self.turn, self.released = acts, 0, threading.Event()

    def next(self, head):
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if b": " in line)
        self.asked.append(f"{time.monotonic_ns() // 1_000_000} {fields.get(b'if-none-match', b'').decode()}\n")
        act = self.acts[self.turn % len(self.acts)]
        self.turn += 1
        return act


class Behaviours:
    """What a path does. `at` is the connection, `head` the request's, `argument` what stands after '?'."""

    lock = threading.Lock()
    at_once = most_at_once = 0
    stages = collections.defaultdict(Stage)

    def play(self, at, head, argument):
        with self.lock:
            self.stages[at.stage].play(argument.split("\x1e"))
        at.reply(b"")

    def on(self, at, head, argument):
        with self.lock:
            behaviour, _, argument = self.stages[at.stage].next(head).partition(" ")
        getattr(self, behaviour)(at, head, argument)

    def asked(self, at, head, argument):
        with self.lock:
            told = "".join(self.stages[at.stage].asked)
        at.reply(told.encode())

    def release(self, at, head, argument):
        with self.lock:
            self.stages[at.stage].released.set()
        at.reply(b"")

    def held(self, at, head, argument):
        """Another behaviour, once the stage is released."""
        with self.lock:
            released = self.stages[at.stage].released
        released.wait()
        behaviour, _, argument = argument.partition(" ")
        getattr(self, behaviour)(at, head, argument)

    def answer(self, at, head, argument):
        """Status, a line for each field, an empty one, body; not modified for who has the ETag."""
        top, _, body = argument.partition("\n\n")
        status, *fields = top.split("\n")
        etags = [field[6:].encode() for field in fields if field.startswith("ETag: ")]
        if etags and b"If-None-Match: " + etags[0] in head:
            status, body = "304 Not Modified", ""
        at.reply(body.encode(), status, fields)

    def ok(self, at, head, argument):
        at.reply(fields=[
            "Cache-Control: public", "cache-control:  max-age=60 ", "Age: 5", 'ETag: "one"', "Retry-After: 7",
            "Date: Fri, 20 Nov 2026 10:00:00 GMT", "Expires: Fri, 20 Nov 2026 10:05:00 GMT",
            "Last-Modified: Thu, 19 Nov 2026 10:00:00 GMT"])

    def early(self, at, head, argument):
        at.send(b'HTTP/1.1 103 Early Hints\r\nETag: "early"\r\nAge: 9\r\n\r\n')
        at.reply(fields=['ETag: "one"'])

    def not_modified(self, at, head, argument):
        at.send(b'HTTP/1.1 304 Not Modified\r\nETag: "one"\r\nCache-Control: max-age=60\r\n\r\n')

    def status(self, at, head, argument):
        at.reply(b"trouble", argument + " Trouble", ["Retry-After: 7"])

    def html(self, at, head, argument):
        at.reply(b"<html>Log in first</html>", fields=["Content-Type: text/html"])

    def echo(self, at, head, argument):
        """The request, how many came before on the connection, and who the client is."""
        at.reply(head + f"Served: {at.served}\r\nClient: {at.client()}\r\n".encode())

    def redirect(self, at, head, argument):
        at.reply(b"", "302 Found", ["Location: " + argument])

    def loop(self, at, head, argument):
        self.redirect(at, head, "/loop")

    def hang(self, at, head, argument):
        at.until_closed()

    def slow(self, at, head, argument):
        """Answers after so many milliseconds; `most` tells how many were served at once."""
        with self.lock:
            Behaviours.at_once += 1
            Behaviours.most_at_once = max(self.at_once, self.most_at_once)
        time.sleep(int(argument) / 1000)
        with self.lock:
            Behaviours.at_once -= 1
        at.reply()

    def most(self, at, head, argument):
        at.reply(str(self.most_at_once).encode())

    def reset(self, at, head, argument):
        at.reset()

    def close(self, at, head, argument):
        raise Gone

    def garbage(self, at, head, argument):
        at.send(b"SSH-2.0-OpenSSH_9.2\r\n")
        raise Gone

    def truncated(self, at, head, argument):
        at.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + KEYS)
        raise Gone

    def drip(self, at, head, argument):
        at.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            at.chunk(b" ")
            time.sleep(0.02)

    def sized(self, at, head, argument):
        at.reply(b"x" * int(argument))

    def chunked(self, at, head, argument):
        at.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        left = int(argument)
        while left > 0:
            at.chunk(b"x" * min(left, 1000))
            left -= 1000
        at.send(b"0\r\n\r\n")

    def claimed(self, at, head, argument):
        """So long by its header, of which nothing comes."""
        at.send(f"HTTP/1.1 200 OK\r\nContent-Length: {argument}\r\n\r\n".encode())
        at.until_closed()

    def zipped(self, at, head, argument):
        """So many octets of zeros, by gzip."""
        at.reply(gzip.compress(b"0" * int(argument)), fields=["Content-Encoding: gzip"])

    def hollow(self, at, head, argument):
        """Gzip that goes on and on and holds nothing."""
        at.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
        at.chunk(gzip.compress(b"")[:10])
        while True:
            at.chunk(b"\0\0\0\xff\xff" * 1000)

    def unzippable(self, at, head, argument):
        at.reply(b"not gzip at all", fields=["Content-Encoding: gzip"])

    def fields(self, at, head, argument):
        """Header fields of 1,000 octets each, so many."""
        at.reply(fields=["X: " + "x" * 995] * int(argument))

    def long_field(self, at, head, argument):
        """Validators of so many octets."""
        length = int(argument)
        at.reply(fields=["ETag: " + "e" * length, "Last-Modified: " + "a" * (length // 2),
                         "Last-Modified: " + "b" * (length // 2), "Age: 1"])

    def dies(self, at, head, argument):
        """The second request on a connection gets none."""
        if at.served:
            raise Gone
        at.reply()

    def idles_out(self, at, head, argument):
        """The connection ends after the answer, which did not say so."""
        at.reply()
        raise Gone


def serve(stream, context):
    try:
        if context:
            stream = context.wrap_socket(stream, server_side=True)
        with stream:
            connection = Connection(stream)
            if context and stream.selected_alpn_protocol() == "h2":
                return serve_h2(connection)
            while True:
                serve_one(connection)
    except (Gone, OSError):
        stream.close()


def serve_one(connection):
    head = connection.head()
    url = urlsplit(head.split(b" ", 2)[1].decode())
    name, _, connection.stage = url.path.strip("/").partition("/")
    behaviour = getattr(Behaviours(), name)
    behaviour(connection, head, unquote(url.query))
    connection.served += 1


def serve_h2(connection):
    """Answers everything with the fields of the request."""
    protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    protocol.initiate_connection()
    connection.send(protocol.data_to_send())
    while octets := connection.stream.recv(65536):
        for event in protocol.receive_data(octets):
            if isinstance(event, h2.events.RequestReceived):
                told = b"".join(b"%s: %s\r\n" % field for field in event.headers)
                protocol.send_headers(event.stream_id, [(":status", "200"), ("etag", '"two"')])
                protocol.send_data(event.stream_id, told, end_stream=True)
        connection.send(protocol.data_to_send())


def listen(context=None, address="127.0.0.1"):
    """The port of a server in threads of its own."""
    listener = socket.create_server((address, 0), backlog=256)

    def accept():
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=serve, args=(stream, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def deaf():
    """A port whose queue is full, so that the next to connect gets no answer; and what fills it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    filling = [socket.socket() for _ in range(4)]
    for one in filling:
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
    time.sleep(0.1)
    return listener.getsockname()[1], (listener, filling)


class Authority:
    """Signs certificates, and writes them into the folder."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name("Keyturn test authority")
        self.ca = self.write("ca", self.sign(self.name, self.key, ca=True))

    def issue(self, file, hosts=(), days=1, self_signed=False):
        """Paths of certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = name(file)
        signed = self.sign(subject, key, hosts, days, signer=(subject, key) if self_signed else None)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
        path = self.folder / f"{file}.key"
        path.write_bytes(pem)
        return self.write(file, signed), str(path)

    def sign(self, subject, key, hosts=(), days=1, ca=False, signer=None):
        issuer, signing = signer or (self.name, self.key)
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder(
            issuer_name=issuer, subject_name=subject, public_key=key.public_key(),
            serial_number=x509.random_serial_number(), not_valid_before=now - datetime.timedelta(days=30),
            not_valid_after=now + datetime.timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([host(one) for one in hosts]), critical=False)
        return builder.sign(signing, hashes.SHA256())

    def write(self, file, certificate):
        path = self.folder / f"{file}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def host(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def server_context(authority, certificate, alpn="http/1.1", old=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols([alpn])
    if old:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def start(folder):
    """Everything, as NAME: VALUE; and what must stay alive for it."""
    authority = Authority(folder)
    here = ("127.0.0.1", "localhost")
    good = authority.issue("good", here)
    client = authority.issue("client")

    def https(certificate, **options):
        return f"https://127.0.0.1:{listen(server_context(authority, certificate, **options))}"

    port, kept = deaf()
    return {
        "FAULTS_HTTP": f"http://127.0.0.1:{listen()}",
        "FAULTS_HTTPS": https(good),
        "FAULTS_H2": https(good, alpn="h2"),
        "FAULTS_WRONG_HOST": https(authority.issue("wrong", ("elsewhere.example",))),
        "FAULTS_EXPIRED": https(authority.issue("expired", here, days=-1)),
        "FAULTS_SELF_SIGNED": https(authority.issue("self", here, self_signed=True)),
        "FAULTS_OLD_TLS": https(good, old=True),
        "FAULTS_DEAF": f"http://127.0.0.1:{port}",
        "FAULTS_CA": authority.ca,
        "FAULTS_CERTIFICATE": client[0],
        "FAULTS_KEY": client[1],
    }, kept


def main():
    with tempfile.TemporaryDirectory() as folder:
        told, kept = start(Path(folder))
        if sys.argv[1:2] == ["--anywhere"]:
            told["FAULTS_ANYWHERE"] = str(listen(address=""))
            del sys.argv[1]
        if sys.argv[1:2] == ["--"]:
            sys.exit(subprocess.run(sys.argv[2:], env=os.environ | told, close_fds=False).returncode)
        print("".join(f"{key}={value}\n" for key, value in told.items()), flush=True)
        while os.read(0, 4096):
            pass


if __name__ == "__main__":
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is meant
    main()
