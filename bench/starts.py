"""VM starts, one after another, and where their time goes."""

import json
import re

import figures
import vms

WITH, WITHOUT, REFERENCE = "A VM from a template", "A VM that boots, having no template", "A VM as ya-runtime-vm 0.5 builds it"


def measure_starts(machine, runs, execs):
    """Starts from a template; the last VM runs many commands."""
    machine.warm()
    result = {}
    with machine.vms() as driver:
        seen = []
        for i in range(runs):
            seen += driver.start()
            runtime = seen[-1]["pid"]
            # What many starts at once cannot go below: this, by the number of cores.
            result.setdefault("CPU time of a start", []).append(vms.cpu_seconds(runtime) + vms.cpu_seconds(vms.qemu_of(runtime)))
            if i + 1 == runs:
                result["exec"] = driver.run(execs, vms.STATIC_TRUE)
                result["exec of Debian's true"] = driver.run(max(execs // 5, 1), vms.DYNAMIC_TRUE)
            result.setdefault("shutdown", []).extend(driver.end())
    result["deploy"] = [vm["deploy"] for vm in seen]
    result["start to hello"] = [vm["hello"] for vm in seen]
    result["start to first exit"] = [vm["first exit"] for vm in seen]
    return result


def measure_cold_starts(machine, runs):
    seen = []
    with machine.vms("--template", "off") as driver:
        for _ in range(runs):
            seen += driver.start()
            driver.end()
    return {"start to hello" + figures.NO_TEMPLATE: [vm["hello"] for vm in seen],
            "start to first exit" + figures.NO_TEMPLATE: [vm["first exit"] for vm in seen]}


def parse_timings(text):
    """What `start --timings` has said on stderr, as an object: {"began": CLOCK_MONOTONIC, "steps": [{"what", "at"}], "guest":
    [{"what", "took"}]}."""
    found = re.search(r"timings: (\{.*\})", text)
    if not found:
        raise ValueError("no timings in: " + text)
    return json.loads(found[1])


def steps(vm, timings):
    """The steps of one start, from the spawn to the first exit as its supervisor saw them; each with the time that it took."""
    last = timings["began"] - vm["spawned"]
    result = [{"what": "program started", "took": last}]
    for step in timings["steps"]:
        at = timings["began"] - vm["spawned"] + step["at"]
        result.append({"what": step["what"], "took": at - last})
        last = at
    result.append({"what": "supervisor told", "took": max(vm["first exit"] - last, 0)})
    return result


def total(start):
    return sum(step["took"] for step in start["steps"])


def typical(name, starts):
    """The start of median length, which unlike medians of its steps adds up."""
    start = sorted(starts, key=total)[len(starts) // 2]
    return {"name": name, **start}


def where_time_goes(machine, name, runs, *options):
    """A start with the runtime's own timings, the median one of several."""
    seen = []
    with machine.vms("--timings", *options) as driver:
        for _ in range(runs):
            vm = driver.start()[0]
            driver.end()
            timings = parse_timings(vms.read(vm["folder"] + "/stderr"))
            seen.append({"steps": steps(vm, timings), "guest": timings.get("guest", [])})
    return typical(name, seen)
