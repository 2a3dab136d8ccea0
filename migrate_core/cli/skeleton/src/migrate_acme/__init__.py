"""Acme's migration service, REST API v1."""

from migrate_acme.provider import AcmeProvider, AcmeSettings

__all__ = ["AcmeProvider", "AcmeSettings"]
