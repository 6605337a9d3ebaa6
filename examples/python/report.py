"""Adds up the numbers in every CSV file of /golem/input, by name, and writes a table to /golem/output."""

import collections
import csv
import pathlib

import tabulate

sums = collections.Counter()
for path in sorted(pathlib.Path("/golem/input").glob("*.csv")):
    for name, value in csv.reader(path.read_text().splitlines()):
        sums[name] += int(value)

table = tabulate.tabulate(sorted(sums.items()), headers=["name", "sum"])
pathlib.Path("/golem/output/report.txt").write_text(table + "\n")
print(table)
