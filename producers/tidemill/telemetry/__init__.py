"""The single door for spans, metrics and log events: nothing is emitted that is not named here.

Names are those of OpenTelemetry's messaging conventions 1.44.0. `messaging.system` is `tidemill`, not redis:
what is sent, processed and settled is a Tidemill job, which no other reader of that server would understand;
the commands below it are redis-py's to trace, as calls of a database.

In these tables `messaging.` is left out before an attribute, `~` is `messaging.tidemill.` (our own), and
`server` is server.address and server.port, where the caller knows them.

Span             Kind      Attributes beside system, operation.name, operation.type, destination.name, server
send <queue>     PRODUCER  message.id or batch.message_count, message.body.size, error.type, ~task
process <queue>  CONSUMER  message.id, client.id, error.type, ~task, ~attempt, ~outcome
settle <queue>   CLIENT    message.id or batch.message_count, error.type, ~outcome

Metric                               Unit       Attributes beside destination.name
messaging.client.sent.messages       {message}  system, operation.name, server, error.type
messaging.client.consumed.messages   {message}  system, operation.name, server, consumer.group.name
messaging.client.operation.duration  s          system, operation.name, server, error.type, operation.type,
                                                and consumer.group.name when it settles
messaging.process.duration           s          system, operation.name, server, error.type,
                                                consumer.group.name, ~task, ~outcome
tidemill.job.start_latency           s          none
tidemill.job.lateness                s          none
tidemill.jobs.settled                {job}      ~outcome
tidemill.jobs.retried                {job}      none
tidemill.jobs.recovered              {job}      none
tidemill.jobs.parked                 {job}      ~reason
tidemill.jobs.refused                {job}      ~reason: unsigned, malformed, key, mac or expired
tidemill.jobs.pressed                {job}      ~reason: jobs, bytes, age or deadline
tidemill.jobs.turned_away            {job}      ~reason, as above
tidemill.jobs.shed                   {job}      ~reason, as above
tidemill.breaker.state               1          ~breaker, and no destination.name: 0 closed, 1 half-open, 2 open
tidemill.breaker.calls               {call}     ~breaker, ~outcome: succeeded, failed, slow or nothing
tidemill.breaker.refused             {call}     ~breaker
tidemill.template.cache.requests     {request}  ~outcome: hit or miss, and no destination.name
tidemill.template.cache.evictions    {version}  none, and no destination.name
tidemill.template.cache.entries      {version}  none, and no destination.name
tidemill.template.cache.bytes        By         none, and no destination.name
tidemill.template.load.duration      s          ~outcome: loaded, unknown or refused, and no destination.name
tidemill.doctor.repairs              {repair}   ~kind, and no destination.name
tidemill.queue.depth                 {job}      ~place: wheel, ready, running or dead
tidemill.queue.oldest_age            s          none
tidemill.worker.concurrency_limit    {job}      ~limiter, and no destination.name; only where the limit adapts

Log events: `Event` is their table, with the level and the fields of each.

`error.type` is there if and only if the operation failed. Ids are on spans and in logs, never on metrics.
Arguments, results and texts of exceptions are on none of them (a log event may carry a traceback). The trace
context travels in the job's record, as a W3C traceparent without tracestate or baggage.
"""

from tidemill.telemetry.breakers import breaker_called, breaker_refused, breaker_source
from tidemill.telemetry.events import Event, EventFields, event
from tidemill.telemetry.metrics import (
    ParkReason,
    QueueSample,
    RefuseReason,
    gauge_source,
    is_measured,
    job_refused,
    job_started,
    jobs_parked,
    jobs_pressed,
    jobs_recovered,
    jobs_retried,
    jobs_settled,
    jobs_shed,
    jobs_turned_away,
    limit_source,
    repaired,
)
from tidemill.telemetry.spans import (
    JobLabels,
    Operation,
    Processing,
    Server,
    current,
    inject,
    process,
    received,
    send,
    settle,
)
from tidemill.telemetry.templates import CacheFigures, LoadOutcome, template_cache_source, template_loaded

__all__ = [  # noqa: RUF022  grouped by subject
    # Spans, and the messaging.* metrics that go with them.
    "JobLabels",
    "Operation",
    "Processing",
    "Server",
    "current",
    "inject",
    "process",
    "received",
    "send",
    "settle",
    # Measures of jobs and queues.
    "ParkReason",
    "QueueSample",
    "RefuseReason",
    "gauge_source",
    "is_measured",
    "job_refused",
    "job_started",
    "jobs_parked",
    "jobs_pressed",
    "jobs_recovered",
    "jobs_retried",
    "jobs_settled",
    "jobs_shed",
    "jobs_turned_away",
    "limit_source",
    "repaired",
    # Breakers.
    "breaker_called",
    "breaker_refused",
    "breaker_source",
    # Templates.
    "CacheFigures",
    "LoadOutcome",
    "template_cache_source",
    "template_loaded",
    # Log events.
    "Event",
    "EventFields",
    "event",
]
