"""Writes measurements into a data base, from several processes at once."""

import multiprocessing
import sqlite3

FILE = "/golem/output/data.sqlite"


def measure(sensor):
    with sqlite3.connect(FILE, timeout=60) as db:
        db.executemany("INSERT INTO measured VALUES (?, ?)", [(sensor, value) for value in range(100)])


if __name__ == "__main__":
    with sqlite3.connect(FILE) as db:
        db.execute("CREATE TABLE measured (sensor INTEGER, value INTEGER)")
    with multiprocessing.Pool(4) as pool:
        pool.map(measure, range(4))
    print(*sqlite3.connect(FILE).execute("SELECT count(*), sum(value) FROM measured").fetchone())
