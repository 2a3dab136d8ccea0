"""VMware Site Recovery Manager (Live Site Recovery), REST API v2."""

from migrate_vmware_srm.provider import VmwareSrmProvider, VmwareSrmSettings

__all__ = ["VmwareSrmProvider", "VmwareSrmSettings"]
