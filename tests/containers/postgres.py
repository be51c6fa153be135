"""A PostgreSQL of Debian's, made as the official image makes one when its volume is new."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_DEBIANS = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
INITDB = shutil.which("initdb") or shutil.which("initdb", path=os.pathsep.join(_DEBIANS))


@contextmanager
def postgres(port: str, environment: Mapping[str, str], scripts: list[Path]) -> Iterator[None]:
    """A server on loopback whose superuser and password are those of the image's variables; `scripts` are run once.

    It refuses to run as root: then it is Debian's user `postgres`.
    """
    assert INITDB
    tools = Path(INITDB).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # not pytest's, which only its owner may enter
    user = "postgres" if os.geteuid() == 0 else None
    try:
        if user:
            shutil.chown(folder, user)
        data, password = folder / "data", folder / "password"
        password.write_text(Path(environment["POSTGRES_PASSWORD_FILE"]).read_text())
        role = environment["POSTGRES_USER"]

        def run(*words: object, **variables: str) -> None:
            command = [str(word) for word in words]
            log = folder / "log"
            with log.open("ab") as output:
                done = subprocess.run(
                    command, user=user, env=os.environ | variables, cwd="/", stdout=output, stderr=output, check=False
                )
            assert done.returncode == 0, f"{command}: {log.read_text()[-2000:]}"

        run(tools / "initdb", "-D", data, "-U", role, "--pwfile", password, "--auth=scram-sha-256", "--no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run(tools / "pg_ctl", "-D", data, "-o", options, "-l", data / "server.log", "-w", "start")
        try:
            for script in scripts:
                (folder / script.name).write_text(script.read_text())
                psql = (tools / "psql", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", port, "-U", role)
                run(*psql, "-d", "postgres", "-f", folder / script.name, PGPASSWORD=password.read_text().strip())
            yield
        finally:
            run(tools / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)
