"""Runs nginx with its Lua module, and LuaJIT itself, for the tests of keyturn.lua."""

import os
import shutil
import subprocess
from pathlib import Path

from haproxy import lua, of
from host import AS_ROOT, ROOT, Case, Gateway, install
from nginx import Nginx
from origin import PATIENCE

SOURCE = Path(os.environ.get("KEYTURN_LUAJIT_SCRIPT", ROOT / "examples/luajit/keyturn.lua"))
MODULES = "/usr/lib/nginx/modules"

TEMPLATE = """
{user}
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
worker_processes {workers};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
worker_shutdown_timeout 20s;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    lua_package_path '{library}/?.lua;;';
    init_by_lua_block {{ require "gate" }}
    init_worker_by_lua_block {{ require("gate"):start() }}
    server {{ listen unix:{folder}/nginx.sock; root {folder}/html; {server} }}
}}
"""
PROTECTED = 'location / { access_by_lua_block { require("gate").policies.orders:access() } }'


class OfLuaJIT(Case):
    def setUp(self):
        super().setUp()
        (self.folder / "html").mkdir()
        (self.folder / "html" / "index.html").write_text("welcome")

    def nginx(self, *arguments, **options):
        return LuaNginx(self, *arguments, **options)

    def host(self, issuer, source=None, policy=None, store=True):
        """As cases.py has it."""
        policies = {"orders": {"audiences": "orders"} | (policy or {})}
        return self.nginx({"issuers": [of(issuer, source)], "policies": policies}, store=store)

    def places(self, policies, *issuers):
        """As cases.py has it."""
        return self.nginx({"issuers": [of(issuer) for issuer in issuers], "policies": policies}, "".join(
            f'location /{name} {{ content_by_lua_block {{ require("gate").policies.{name}:access() ngx.say("welcome") }} }}'
            for name in policies))

    def run_luajit(self, program, *arguments):
        """LuaJIT itself, with keyturn.lua: what it prints."""
        library = install(self.folder)
        shutil.copy(SOURCE, library)
        program = f'package.path = "{library}/?.lua;" .. package.path\nlocal keyturn = require "keyturn"\n{program}'
        (self.folder / "program.lua").write_text(program)
        done = subprocess.run(
            ["luajit", self.folder / "program.lua", *map(str, arguments)], env=os.environ | {"LD_LIBRARY_PATH": str(library)},
            capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout


class LuaNginx(Nginx):
    """nginx whose workers verify in Lua, with a store of theirs."""

    def __init__(self, case, options, server=PROTECTED, *, workers=2, store=True, start=True):
        Gateway.__init__(self, case)
        self.socket, self.log = self.folder / "nginx.sock", self.folder / "error.log"
        self.library = install(self.folder)
        shutil.copy(SOURCE, self.library)
        self.workers, self.alone, self.daemon = workers, False, False
        self.store = self.make_store() if store else "off"
        self.give(options)
        self.configuration = self.folder / "nginx.conf"
        self.configuration.write_text(TEMPLATE.format(
            user="user www-data;" if AS_ROOT else "", modules=MODULES, workers=workers, folder=self.folder, library=self.library,
            server=server))
        if start:
            self.start()

    def make_store(self):
        store = self.folder / "keyturn"
        store.mkdir(mode=0o700)
        if AS_ROOT:
            shutil.chown(store, "www-data", "www-data")
        return store

    def give(self, options):
        store = {"store": self.store} if self.store != "off" else {}
        (self.library / "gate.lua").write_text(f'return require("keyturn").gate {lua(store | options)}\n')
