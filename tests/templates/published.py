"""Publishes versions of templates as applications do, but for the code that declares them."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill import Tidemill
from tidemill.options import Choices, Options
from tidemill.templates.content import Content, digest_of, encode_defaults
from tidemill.wire.scripts import Published
from tidemill.wire.signing import Signable


def publish(
    mill: Tidemill,
    name: str,
    defaults: Mapping[str, object],
    choices: Choices | None = None,
    schema: object | None = None,
    task: str = "a.task",
) -> Published:
    """A version with these defaults; signed if the application has keys."""
    options = Options().using(choices or {})
    content = Content(
        task=task,
        defaults=encode_defaults(mill.codec, defaults),
        queue=options.queue,
        priority=options.priority,
        expires_ms=options.expires_ms,
        result_ttl_ms=options.result_ttl_ms,
        carried=options.carried,
        schema=schema,
    )
    packed = data = content.pack()
    if mill.client.signing is not None:
        data = mill.client.signing.sign(Signable("", task, f"template:{name}", b""), packed)
    return mill.client.link.run(mill.client.scripts.publish_template(name, task, digest_of(packed), data))
