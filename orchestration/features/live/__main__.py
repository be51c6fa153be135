"""`python -m orchestration.features.live`: the supervised updater of the online store."""

import os
import sys

# Its frames are small: handing them to other threads costs more than the work. Read when polars is imported.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

if __name__ == "__main__":
    from orchestration.features.live.process import main

    sys.exit(main())
