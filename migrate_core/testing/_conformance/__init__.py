"""The checks of the conformance suite, by theme; `migrate_core.testing.conformance` puts them together."""
