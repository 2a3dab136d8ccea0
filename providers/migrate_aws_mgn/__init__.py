"""AWS Application Migration Service (MGN)."""

from migrate_aws_mgn.provider import AwsMgnProvider, AwsMgnSettings

__all__ = ["AwsMgnProvider", "AwsMgnSettings"]
