"""Huawei Cloud Server Migration Service (SMS), API v3."""

from migrate_huawei_sms.provider import HuaweiSmsProvider, HuaweiSmsSettings

__all__ = ["HuaweiSmsProvider", "HuaweiSmsSettings"]
