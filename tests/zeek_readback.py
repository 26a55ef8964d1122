#!/usr/bin/env python3
"""Has zat (pip install zat) read Zeek logs back: every row, every type, and as a data frame.

    python3 tests/zeek_readback.py [DIR ...]      default: tests/golden/zeek-tsv

CI runs this on the golden logs and on those of a replay. It exits with 1 at the first log that zat cannot read, or
whose rows it does not find again.
"""
import datetime
import pathlib
import sys

from zat.log_to_dataframe import LogToDataFrame
from zat.zeek_log_reader import ZeekLogReader

KINDS = {
    "time": (datetime.datetime, float),
    "interval": (datetime.timedelta, float),
    "count": (int,),
    "port": (int,),
    "bool": (bool, str),
    "double": (float,),
}


def check(path):
    lines = path.read_text(encoding="ascii").splitlines()
    fields, types = (next(l for l in lines if l.startswith(x)).split("\t")[1:] for x in ("#fields", "#types"))
    raw = [l.split("\t") for l in lines if not l.startswith("#")]
    rows = list(ZeekLogReader(str(path)).readrows())
    assert len(rows) == len(raw), f"{path}: {len(raw)} lines, zat read {len(rows)}"
    for cells, row in zip(raw, rows):
        for name, kind, cell in zip(fields, types, cells):
            if cell == "-" or kind not in KINDS:
                continue
            assert isinstance(row[name], KINDS[kind]), f"{path}: {name} ({kind}) {cell!r} became {row[name]!r}"
    frame = LogToDataFrame().create_dataframe(str(path))
    assert len(frame) == len(raw), f"{path}: {len(raw)} lines, data frame of {len(frame)}"
    return len(raw)


def main():
    folders = sys.argv[1:] or [pathlib.Path(__file__).parent / "golden" / "zeek-tsv"]
    logs = [p for folder in folders for p in sorted(pathlib.Path(folder).glob("*.log"))]
    assert logs, "no *.log in " + ", ".join(map(str, folders))
    for path in logs:
        print(f"{path.name}: {check(path)} rows read back")


if __name__ == "__main__":
    main()
