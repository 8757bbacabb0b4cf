"""One cell's record: everything needed to score it, to trust it and to run it again.

A record is one JSON file, `runs/<scenario>/<strategy>--<key>.json`, written atomically
and never changed. Beside it lie the outcomes of every example. Metrics are not kept in
it: boards compute them from its rows.
"""

from clbench.record.file import (
    NotWritten,
    digest,
    encode,
    read,
    write,
)
from clbench.record.paths import (
    TUNING,
    checkpoint_paths,
    model_path,
    outcomes_path,
    path_of,
    pictures_path,
)
from clbench.record.schema import (
    SCHEMA,
    AssetPart,
    Computed,
    Cost,
    DataCard,
    Entry,
    Environment,
    Name,
    Origin,
    Part,
    Plugin,
    Record,
    ScenarioPart,
    Status,
    StrategyPart,
    Trainable,
    comparable,
    numbers,
)

__all__ = [
    "SCHEMA",
    "TUNING",
    "AssetPart",
    "Computed",
    "Cost",
    "DataCard",
    "Entry",
    "Environment",
    "Name",
    "NotWritten",
    "Origin",
    "Part",
    "Plugin",
    "Record",
    "ScenarioPart",
    "Status",
    "StrategyPart",
    "Trainable",
    "checkpoint_paths",
    "comparable",
    "digest",
    "encode",
    "model_path",
    "numbers",
    "outcomes_path",
    "path_of",
    "pictures_path",
    "read",
    "write",
]
