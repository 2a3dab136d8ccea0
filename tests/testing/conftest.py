"""The provider that ``migratectl provider new`` writes, as it is before it has another name."""

import sys

from support import ROOT

sys.path.append(str(ROOT / "migrate_core" / "cli" / "skeleton" / "src"))
