"""``python -m migrate_core.cli`` is ``migratectl``."""

from migrate_core.cli import main

main()
