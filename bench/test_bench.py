#!/usr/bin/env python3
"""Tests of what the bench does with its measurements."""

import json
import os
import re
import struct
import subprocess
import sys
import unittest
from xml.etree import ElementTree

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import cards  # noqa: E402
import disks  # noqa: E402
import figures  # noqa: E402
import plot  # noqa: E402
import seat  # noqa: E402
import seccomp  # noqa: E402
import starts  # noqa: E402
import vms  # noqa: E402


def run_of(unit="s", **values):
    return {name.replace("_", " "): {"unit": unit, "gvmkit": figures.summary(v), "reference": None} for name, v in values.items()}


class Summaries(unittest.TestCase):
    def test_summary(self):
        seen = figures.summary([5, 1, 2, 4, 3])
        self.assertEqual(seen, {"median": 3, "p25": 2, "p75": 4, "p99": 5, "min": 1, "max": 5, "runs": 5})
        self.assertEqual(figures.summary([7])["p75"], 7)

    def test_shown(self):
        self.assertEqual(figures.shown("s", 0.0123), "12.3 ms")
        self.assertEqual(figures.shown("s", 4.321), "4.32 s")
        self.assertEqual(figures.shown("s", 0.0001234), "123.4 µs")
        self.assertEqual(figures.shown("B/s", 1_234_567_890), "1,235 MB/s")
        self.assertEqual(figures.shown("%", 0.123), "0.12 %")


class Seccomp(unittest.TestCase):
    # Number 1 is allowed; of the others those above 9 whose first argument has the bit 4; on another architecture none.
    PROGRAM = [(0x20, 0, 0, 4), (0x15, 0, 6, seccomp.AUDIT_ARCH_X86_64), (0x20, 0, 0, 0), (0x15, 5, 0, 1), (0x25, 0, 3, 9), (0x20, 0, 0, 16),
               (0x54, 0, 0, 4), (0x15, 1, 0, 4), (0x06, 0, 0, 0), (0x06, 0, 0, seccomp.ALLOW)]

    def answer(self, number, argument=0, architecture=seccomp.AUDIT_ARCH_X86_64):
        return seccomp.run(self.PROGRAM, struct.pack("<iIQ6Q", number, architecture, 0, argument, 0, 0, 0, 0, 0))

    def test_run(self):
        self.assertEqual([self.answer(1), self.answer(10, 6)], [seccomp.ALLOW] * 2)
        self.assertEqual([self.answer(2), self.answer(9, 6), self.answer(10, 3), self.answer(1, 0, 3)], [0] * 4)


class Parts(unittest.TestCase):
    def test_dev_can_start_each(self):
        here = os.path.dirname(os.path.abspath(__file__))
        with open(here + "/../dev", encoding="utf-8") as file:
            names = re.search(r"in ([a-z_ |]+)\) what=\$1", file.read())[1].split(" | ")
        self.assertIn("images", names)
        for name in ["run", *names]:
            done = subprocess.run([f"{here}/{name}.py", "--help"], capture_output=True, text=True, timeout=60, check=True)
            self.assertIn("usage: " + name, done.stdout)


class Seat(unittest.TestCase):
    def test_peak_bytes(self):
        self.assertEqual(seat.peak_bytes("Name:\tx\nVmHWM:\t   12 kB\nVmRSS:\t    8 kB\n"), 12 << 10)
        self.assertEqual(seat.peak_bytes("Name:\tx\nState:\tZ (zombie)\n"), 0)


class Promises(unittest.TestCase):
    def rows(self, start, last_of_16):
        one = figures.summary([start])
        run = {"start to hello": {"gvmkit": one, "reference": figures.summary([2.2])},
               figures.MANY.format(16): {"gvmkit": figures.summary([last_of_16]), "reference": None},
               "start to first exit": {"gvmkit": one, "reference": None}}
        return {row["what"].split(":")[0]: row for row in figures.judge(run, 2)}

    def test_at_least(self):
        self.assertTrue(self.rows(0.2, 1)["start to hello"]["met"])
        row = self.rows(0.22, 1)["start to hello"]
        self.assertEqual((row["seen"], row["ratio"], row["met"]), ("10.0 ×", 0.91, False))

    def test_at_most(self):
        self.assertTrue(self.rows(0.2, 2.0)["16 at once"]["met"])
        row = self.rows(0.2, 3.2)["16 at once"]
        self.assertEqual((row["seen"], row["ratio"], row["met"]), ("2.00", 0.65, False))

    def test_what_was_not_measured_is_left_out(self):
        self.assertEqual(set(self.rows(0.2, 1)), {"start to hello", "start to the first exit, likewise", "16 at once"})

    def test_verdicts(self):
        text = "\n".join(figures.verdicts(list(self.rows(0.22, 1).values())))
        self.assertIn("NOT met", text)


class Comparison(unittest.TestCase):
    def lines(self, old, new, unit="s"):
        return figures.compare(run_of(unit, x=old), run_of(unit, x=new))[1:-1]

    def test_change_beyond_the_noise(self):
        old, lower = [10, 11, 12, 11, 10], [5, 6, 5, 6, 5]
        self.assertTrue(self.lines(old, lower)[0].endswith("0.45  better"))
        self.assertTrue(self.lines(lower, old)[0].endswith("2.20  WORSE"))

    def test_of_rates_more_is_better(self):
        old, lower = [10, 11, 12, 11, 10], [5, 6, 5, 6, 5]
        compared = figures.compare(run_of("B/s", output=old), run_of("B/s", output=lower))
        self.assertTrue(compared[1].endswith("WORSE"))

    def test_overlap_is_noise(self):
        self.assertTrue(self.lines([10, 11, 12, 13, 14], [9, 10, 11, 12, 12])[0].endswith("0.92"))

    def test_few_measurements_say_nothing(self):
        self.assertTrue(self.lines([10, 10], [5, 5])[0].endswith("0.50"))

    def test_only_what_both_have_in_the_same_unit(self):
        self.assertEqual(figures.compare(run_of(x=[1]), run_of(y=[1]))[1:-1], [])
        self.assertEqual(figures.compare(run_of("s", x=[1]), run_of("B/s", x=[1]))[1:-1], [])


class Timings(unittest.TestCase):
    SAID = '[info] ya-runtime-vm: timings: {"began": 100.01, "steps": [{"what": "a", "at": 0.02}, {"what": "b", "at": 0.05}], "guest": []}\n'

    def test_steps_add_up(self):
        vm = {"spawned": 100.0, "first exit": 0.07}
        steps = starts.steps(vm, starts.parse_timings("noise\n" + self.SAID))
        self.assertEqual([step["what"] for step in steps], ["program started", "a", "b", "supervisor told"])
        for step, took in zip(steps, (0.01, 0.02, 0.03, 0.01)):
            self.assertAlmostEqual(step["took"], took)

    def test_none(self):
        with self.assertRaises(ValueError):
            starts.parse_timings("ya-runtime-vm: the VM boots\n")

    def test_typical_is_one_that_was_seen(self):
        seen = [{"steps": [{"what": "a", "took": took}]} for took in (5, 1, 3)]
        self.assertEqual(starts.typical("x", seen), {"name": "x", "steps": [{"what": "a", "took": 3}]})


class Cards(unittest.TestCase):
    def test_round_trip_is_the_median(self):
        lines = [f"64 bytes from 10.9.0.1: icmp_seq={i} ttl=64 time={time} ms\n" for i, time in enumerate(("0.300", "9", "0.200"))]
        self.assertAlmostEqual(cards.round_trip("".join(lines) + "rtt min/avg/max/mdev = 0.2/3.1/9/1 ms\n"), 0.0003)

    def test_what_the_receiver_saw(self):
        self.assertEqual(cards.received('{"end": {"sum_sent": {"bytes": 9, "seconds": 1}, "sum_received": {"bytes": 6, "seconds": 2}}}'), (6, 2))
        self.assertIsNone(cards.received('{"end": {}, "error": "unable to connect to server: Connection refused"}'))
        with self.assertRaises(RuntimeError):
            cards.received('{"end": {}, "error": "control socket has closed unexpectedly"}')

    def test_a_server_that_comes_late_is_waited_for(self):
        answers = iter(['{"end": {}, "error": "unable to connect to server"}', '{"end": {"sum_received": {"bytes": 6, "seconds": 2}}}'])
        self.assertEqual(cards.transfer(lambda _: next(answers), 1), 3)


class Disks(unittest.TestCase):
    def test_rates_and_times(self):
        def ask(command):
            half = "write" if any(word.endswith("write") for word in command) else "read"
            return json.dumps({"jobs": [{half: {"bw_bytes": 7, "iops": 4}}]})
        seen = disks.measure(ask, {"root": "/var"}, 2, 1)
        self.assertEqual(seen, {"root, write": [7, 7], "root, read": [7, 7], "root, 4 KiB written and synced": [0.25, 0.25],
                                "root, 4 KiB read": [0.25, 0.25]})
        self.assertEqual([figures.unit_of(name) for name in seen], ["B/s", "B/s", "s", "s"])


class Plot(unittest.TestCase):
    @staticmethod
    def start(name, **took):
        return {"name": name, "steps": [{"what": what.replace("_", " "), "took": seconds} for what, seconds in took.items()]}

    def boxes(self, svg):
        root = ElementTree.fromstring(svg)
        return [(box[0].text, float(box.get("width"))) for box in root.iter("{http://www.w3.org/2000/svg}rect")]

    def test_to_scale(self):
        boxes = self.boxes(plot.draw([self.start("short <&>", x=0.1, y=0.3), self.start("long", z=4.0)]))
        room = plot.WIDTH - 2 * plot.MARGIN
        self.assertIn(("z: 4,000 ms", room), boxes)
        self.assertIn(("x: 100 ms", room / 40), boxes)  # beside the long one
        self.assertIn(("x: 100 ms", room / 4), boxes)   # enlarged

    def test_guest_is_drawn_within_its_step(self):
        start = self.start("one", x=1, set_up=1)
        start["guest"] = [{"what": "mount", "took": 0.5}]
        self.assertIn(("mount: 500 ms", (plot.WIDTH - 2 * plot.MARGIN) / 4), self.boxes(plot.draw([start])))

    def test_nothing_leaves_the_page(self):
        many = self.start("many", **{f"a_step_with_quite_a_long_name_{i}": 0.1 for i in range(12)})
        root = ElementTree.fromstring(plot.draw([many]))
        width, height = int(root.get("width")), int(root.get("height"))
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            self.assertLess(float(text.get("x")) + 5 * len(text.text), width)
            self.assertLess(float(text.get("y")), height)


class Memory(unittest.TestCase):
    SMAPS = """7f0000000000-7f0010000000 rw-s 00000000 00:01 1234                       /memfd:vm-memory (deleted)
Rss:               30000 kB
Pss:               20000 kB
Pss_Dirty:         20000 kB
7f0010000000-7f0010001000 rw-p 00000000 00:00 0                          [heap]
Pss:                   4 kB
"""

    def test_pss_of_a_mapping(self):
        self.assertEqual(vms.parse_pss(self.SMAPS, "memfd:vm-memory"), 20000 << 10)
        self.assertEqual(vms.parse_pss(self.SMAPS, "[heap]"), 4 << 10)

    def test_of_ourselves(self):
        self.assertGreater(vms.pss(os.getpid()), 1 << 20)
        self.assertGreater(vms.cpu_seconds(os.getpid()), 0)
        before = vms.memfd_bytes(os.getpid())
        fd = os.memfd_create("bench")
        os.write(fd, bytes(1 << 20))
        self.assertEqual(vms.memfd_bytes(os.getpid()) - before, 1 << 20)
        os.close(fd)


if __name__ == "__main__":
    unittest.main()
