"""Runs `keyturn agent` for the tests of gateways that only read its store; it ends with the test."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from host import AS_ROOT, ROOT, end, install

KEYTURN = Path(os.environ.get("KEYTURN", ROOT / "build/swift/debug/keyturn"))
USER = "www-data"  # neither root nor the gateway


class Agent:
    """An agent of its own user, with a store of its own, for these issuers: options as the configuration has them."""

    def __init__(self, case, issuers):
        self.case, self.folder, self.log = case, case.folder, case.folder / "agent.log"
        self.store = self.folder / "store"
        self.store.mkdir(mode=0o755)
        if AS_ROOT:
            shutil.chown(self.store, USER, USER)
        self.library = install(self.folder)
        self.tool = shutil.copy(KEYTURN, self.library)  # where that user may run it
        self.configuration = self.folder / "agent.json"
        self.configuration.write_text(json.dumps({"issuers": issuers}))
        self.start()
        case.addCleanup(self.stop)

    def start(self):
        lines = self.said().count(" started ")
        command = [self.tool, "agent", "--store", self.store, "--config", self.configuration]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stderr=log, user=USER if AS_ROOT else None)
        self.case.wait_for(lambda: self.said().count(" started ") > lines, self.said)

    def stop(self):
        end(self.process)

    def said(self):
        return self.log.read_text() if self.log.exists() else ""
