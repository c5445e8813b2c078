"""What the tool says of itself: help, completions, and docs/cli.md."""

import re
import subprocess

from tool import KEYTURN, PATIENCE, ROOT, Case


class Help(Case):
    def commands(self):
        listed = self.keyturn("--help").split("SUBCOMMANDS:")[1]
        return [name for name in re.findall(r"^  (\S+)", listed, re.M) if name not in ("See", "help")]

    def test_each_command_has_examples_and_its_exit_statuses(self):
        page = (ROOT / "docs/cli.md").read_text()
        documented = set(re.findall(r"^\| (\d+) \|", page, re.M))
        self.assertEqual(documented, {"0", "1", "2", "3", "64"})
        commands = self.commands()
        self.assertGreaterEqual(len(commands), 12)
        for command in commands:
            with self.subTest(command=command):
                said = self.keyturn("help", command)
                told = re.sub(r"\s+", " ", said.split("Exit status:")[1].split("USAGE")[0])
                self.assertLessEqual(set(re.findall(r"(?:^|[ ,])(\d+) [a-z]", told)), documented)
                self.assertIn("64 for a wrong command line", told)
                self.assertIn(f"keyturn {command} " if command != "agent" else '{ "issuers"', said)
                self.assertIn(f"`{command}`", page)

    def test_a_wrong_command_line_is_64_and_says_so_on_standard_error(self):
        for arguments in (["verfy"], ["verify", "--nonsense"], ["plan"], ["revoke"]):
            done = subprocess.run([KEYTURN, *arguments], capture_output=True, timeout=PATIENCE, check=False)
            self.assertEqual((done.returncode, done.stdout), (64, b""), arguments)
            self.assertIn(b"Error: ", done.stderr)

    def test_completions_are_sound(self):
        script = self.file("keyturn.bash", self.completions("bash"))
        subprocess.run(["bash", "-n", script], check=True, timeout=PATIENCE)
        for shell in ("bash", "zsh", "fish"):
            for command in self.commands():
                self.assertIn(command, self.completions(shell))

    @staticmethod
    def completions(shell):
        return subprocess.run([KEYTURN, "--generate-completion-script", shell], capture_output=True, text=True,
                              timeout=PATIENCE, check=True).stdout

    def test_colours_are_for_terminals(self):
        """With `script`, which gives the tool a terminal; and without."""
        keys = self.file("keys.json", {"keys": []})
        command = f"{KEYTURN} lint --file {keys}"
        seen = {}
        for name, environment in (("plain", "NO_COLOR=1"), ("coloured", "TERM=xterm NO_COLOR=")):
            done = subprocess.run(["script", "-qec", f"env {environment} {command}", "/dev/null"], stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=PATIENCE, check=False)
            seen[name] = re.search(rb"\x1b\[\d+m", done.stdout) is not None
        self.assertEqual(seen, {"plain": False, "coloured": True})
        self.assertIn("no-key-set", self.keyturn("lint", "--file", keys, status=2))  # which finds no escape
