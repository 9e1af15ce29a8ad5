"""The clockwork: promotes due jobs, recovers those of dead workers, makes recurring ones, and sweeps up."""
