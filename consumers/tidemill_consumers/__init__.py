"""The worker runtime: reads tickets, runs jobs on executors, settles what came of them, and keeps its lease."""
