"""A bucket as the storage of a dataset: an object is created by a put with `If-None-Match: *`.

The answer to a put may be lost after the store has carried it out, and the client may then have put again: what is there is read back, and it is ours
if it is what we put, since no two bodies are ever equal.
"""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import DatareeveError, Refused, Unreachable
from datareeve.systems.answers import missing_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.core.estate_lake import ObjectAccess
    from datareeve.core.secrets import Secret

PROBES = "_datareeve/probes"
SECONDS = 30  # that one request may take
RETRIES, RETRY_SECONDS = 3, 20
REFUSING = re.compile(r"status code: 40[13]\b")


class BucketStore:
    """A prefix of a bucket."""

    def __init__(
        self,
        name: str,
        place: str,
        access: ObjectAccess,
        secret: Callable[[str | None], Secret | None],
        *,
        seconds: float = SECONDS,
    ) -> None:
        self.name = name
        self.bucket, _, self._prefix = place.removeprefix("s3://").strip("/").partition("/")
        self._driver = _driver()
        key, hidden = secret(access.key), secret(access.secret)
        given: dict[str, Any] = {"region": access.region}
        if key and hidden:
            given |= {"access_key_id": key.reveal(), "secret_access_key": hidden.reveal()}
        if access.endpoint:
            given |= {"endpoint": access.endpoint, "virtual_hosted_style_request": False}
        self._store = self._driver.store.S3Store(
            self.bucket,
            prefix=self._prefix or None,
            client_options={"allow_http": True, "timeout": timedelta(seconds=seconds), "connect_timeout": timedelta(seconds=min(seconds, 5))},
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
            **given,
        )  # fmt: skip

    def probe(self) -> None:
        """Put one object twice. Errors: `Refused` `pipelines.no-conditional-put` where the store overwrites what is there; those of `create`."""
        name = f"{PROBES}/{secrets.token_hex(8)}"
        self.names(
            PROBES
        )  # some stores make a bucket that is put to, whatever its name: it must be there before
        try:
            first = self.create(name, secrets.token_bytes(16))
            second = self.create(name, secrets.token_bytes(16))
        finally:
            self.remove(name)
        if not first or second:
            raise Refused(
                "pipelines.no-conditional-put",
                f"{self.name}: its store overwrites an object that If-None-Match protects, so two publishers could not be told apart.",
                "Name a bucket of a store that enforces If-None-Match, or a DuckLake.",
            )

    def create(self, name: str, body: bytes) -> bool:
        """See `Store`. Errors: `Refused` `pipelines.store-rights`, `pipelines.no-bucket`, `pipelines.no-conditional-put`; `Unreachable` `pipelines.store-unreachable`."""
        found = self._driver.exceptions
        with self._said():
            try:
                self._driver.put(self._store, name, body, mode="create", use_multipart=False)
            except (found.NotFoundError, found.PermissionDeniedError, found.UnauthenticatedError):
                raise
            except found.BaseError:  # somebody was first, or the answer was lost: what is there says who
                there = self._there(name)
                if there is None:
                    raise
                return there == body
        return True

    def _there(self, name: str) -> bytes | None:
        try:
            return bytes(self._driver.get(self._store, name).bytes())
        except (FileNotFoundError, self._driver.exceptions.NotFoundError):
            return None

    def read(self, name: str) -> bytes:
        """See `Store`. Errors: those of `create`."""
        with self._said():
            found = self._there(name)
        if found is None:
            raise FileNotFoundError(name)
        return found

    def names(self, folder: str) -> list[str]:
        """See `Store`. Errors: those of `create`."""
        with self._said():
            listed = self._driver.list_with_delimiter(self._store, folder)["objects"]
        below = [one["path"].rpartition("/") for one in listed]
        return [name for place, _, name in below if place == folder]  # some stores list the folder itself

    def remove(self, name: str) -> None:
        """See `Store`."""
        with suppress(self._driver.exceptions.BaseError, FileNotFoundError):
            self._driver.delete(self._store, name)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What the store says, as our errors; never its own words, which may hold a key."""
        try:
            yield
        except FileNotFoundError:
            raise self._no_bucket() from None
        except self._driver.exceptions.BaseError as error:
            raise self._ours(error) from None

    def _ours(self, error: Exception) -> DatareeveError:
        found = self._driver.exceptions
        told = str(error)  # of a listing the driver gives no more than the text
        if isinstance(error, found.NotFoundError) or "NoSuchBucket" in told:
            return self._no_bucket()
        if isinstance(error, (found.PermissionDeniedError, found.UnauthenticatedError)) or REFUSING.search(
            told
        ):
            return Refused(
                "pipelines.store-rights",
                f"{self.name}: the store refuses the key for the bucket {self.bucket}.",
                f"Correct systems.{self.name}.key and secret, or give the key the right to list, read, put and delete there.",
            )
        if isinstance(error, found.NotSupportedError):
            return Refused(
                "pipelines.no-conditional-put",
                f"{self.name}: its store does not know If-None-Match, so two publishers could not be told apart.",
                "Name a bucket of a store that enforces it, or a DuckLake.",
            )
        return Unreachable(
            "pipelines.store-unreachable",
            f"{self.name}: the store of the bucket {self.bucket} did not answer as it should.",
            f"Look whether it runs, and at systems.{self.name}.endpoint; the next run goes on where this one stopped.",
        )

    def _no_bucket(self) -> Refused:
        return Refused(
            "pipelines.no-bucket",
            f"{self.name}: there is no bucket {self.bucket}.",
            f"Make it, or correct systems.{self.name}.path in estate.yaml.",
        )


def _driver() -> Any:
    try:
        import obstore  # noqa: PLC0415 - an extra
        import obstore.exceptions  # noqa: PLC0415
        import obstore.store  # noqa: PLC0415
    except ImportError:
        raise missing_driver("pipelines", "Buckets", "obstore") from None
    return obstore
