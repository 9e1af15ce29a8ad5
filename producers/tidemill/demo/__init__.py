"""`tidemill demo`: an index of the standard library, made by a real fleet; `app.py` is the example application.

| module | what |
| --- | --- |
| `app.py` | the tasks: what an application of yours looks like |
| `source.py` | what is measured of a Python file |
| `files.py` | which files there are |
| `catalog.py` | a service that is late, so that retries are seen |
| `fleet.py` | the scheduler and the workers, as processes |
| `run.py` | enqueues, waits, and collects |
| `unfinished.py` | what lets a demo that was killed be gone on with |
| `following.py` | looks after the fleet while it works |
| `progress.py` | one line while it works |
| `verification.py` | the same files, without a queue |
| `report.py` | what is printed at the end, and whether it adds up |
"""
