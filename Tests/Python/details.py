"""Reads details.csv of `analyze` and `compare`.

Every table is held to one rule: a cell without a value has a reason beside it, no other has one.
"""

import csv

# What may be empty as it is.
OPTIONAL = {"depth", "warning", "base_warning", "tuned_warning", "flags", "reasons", "tuned_longname"}
# A fit that failed leaves −1 in these, as WeightWatcher has it; that is no value.
FIT = {"alpha", "raw_alpha", "xmin", "D", "sigma", "num_pl_spikes"}


def rows(out):
    """The rows of the table in the folder `out`, by longname."""
    found = {}
    with open(out / "details.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert None not in row and None not in row.values(), row
            assert not {"nan", "inf", "-inf"} & {value.lower() for value in row.values()}, row
            missing = {name for name, value in row.items() if value == "" or (name in FIT and float(value) == -1)} - OPTIONAL
            assert missing == explained(row), (missing ^ explained(row), row)
            assert row["longname"] not in found
            found[row["longname"]] = row
    return found


def explained(row):
    """The columns that the row has a reason for."""
    return {column for part in row["reasons"].split("; ") for column in part.split(": ")[0].split()}
