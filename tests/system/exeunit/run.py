#!/usr/bin/env python3
"""Holds a runtime against the contract with yagna's exe-unit: drives the real program as a supervisor does, and prints what passed and what
failed. The exit code is 0 where all passed. Needs the images that ../images.sh makes, and nothing but Python.

The numbers: C calls and options, D deploy, V volumes, T transfers, P the pipe, F the fields of messages, R the contract's rules 1 to 9,
S start's arguments, N networks, O offer-template, X test.
"""

import argparse
import fnmatch
import shutil
import sys
import time

from bench import CASES, Bench
from supervisor import Failure, Refused

import cases_calls  # noqa: F401  pylint: disable=unused-import
import cases_deploy  # noqa: F401  pylint: disable=unused-import
import cases_fields  # noqa: F401  pylint: disable=unused-import
import cases_network  # noqa: F401  pylint: disable=unused-import
import cases_offer  # noqa: F401  pylint: disable=unused-import
import cases_pipe  # noqa: F401  pylint: disable=unused-import
import cases_rules  # noqa: F401  pylint: disable=unused-import
import cases_start  # noqa: F401  pylint: disable=unused-import


def run_case(bench, function):
    """Why it failed; empty where it passed."""
    reason = ""
    try:
        function(bench)
    except Refused as error:
        reason = f"refused: {error.message}"
    except Failure as error:
        reason = str(error)
    except Exception as error:  # pylint: disable=broad-exception-caught  # whatever a strange runtime makes of the case itself
        reason = f"{type(error).__name__}: {error}"
    violations = "; ".join(bench.end_case())
    return reason or violations


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", required=True, help="the ya-runtime-vm to test")
    parser.add_argument("--images", required=True, help="the folder of the test images")
    parser.add_argument("--runtime-arg", action="append", default=[], metavar="ARG", help="given to each call, as the descriptor's are")
    parser.add_argument("--work", help="where workdirs are made (else in TMPDIR)")
    parser.add_argument("--only", action="append", default=[], metavar="NUMBER", help="these cases alone; * and ? may be used")
    parser.add_argument("--times", action="store_true", help="print how long each case took")
    arguments = parser.parse_args()
    bench = Bench(arguments.runtime, arguments.images, arguments.runtime_arg, arguments.work)
    failed = passed = 0
    try:
        for number, what, function in sorted(CASES, key=lambda entry: "CDVTPFRSNOX".index(entry[0][0])):
            if arguments.only and not any(fnmatch.fnmatch(number, pattern) for pattern in arguments.only):
                continue
            begin = time.monotonic()
            reason = run_case(bench, function)
            took = f" {time.monotonic() - begin:5.1f} s" if arguments.times else ""
            passed, failed = passed + (not reason), failed + bool(reason)
            print(f"{number:6} {'FAILED' if reason else 'passed'}{took}  {what}", flush=True)
            if reason:
                print(f"{'':6}         {reason}", flush=True)
    finally:
        bench.end()
        shutil.rmtree(bench.work, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
