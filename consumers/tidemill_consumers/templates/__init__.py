"""Job templates in a worker: which version a job runs with, and how it comes here.

| module | what |
| --- | --- |
| `templates` | what the worker has of all this |
| `wanted`, `resolver` | which version a job wants, and whether it is held |
| `waiting`, `loading` | the runs whose version is not held, and the thread that loads it |
| `versions` | what is held, and how it comes from the server |
| `building`, `version`, `copying` | a content becomes a version, and a version arguments |
| `pointers` | which versions are current |
| `usage`, `warming` | what is used how often, and what is loaded before it is wanted |
"""
