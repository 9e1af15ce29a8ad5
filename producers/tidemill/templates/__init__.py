"""Job templates: defaults, options and a schema that many jobs share, published once as immutable versions.

What travels with a job is a reference to a version, and what differs from its defaults.
"""
