"""What figures are: summaries of measurements, the promises made about them, and what has changed between two runs."""

import dataclasses
import statistics
import typing

NO_TEMPLATE = ", no template"
MANY = "all of {} at once"

# The unit that each is kept in. Of rates and counts more is better, of all else less.
UNITS = {
    "start to hello": "s", "start to first exit": "s",
    "start to hello" + NO_TEMPLATE: "s", "start to first exit" + NO_TEMPLATE: "s",
    "exec": "s", "exec of Debian's true": "s",
    "output": "B/s", "volume write": "B/s", "volume read": "B/s",
    "deploy": "s", "shutdown": "s", "CPU time of a start": "s",
    "idle QEMU with its guest": "%", "idle runtime": "%",
    "QEMU beyond its guest": "B", "QEMU beyond its guest, one of many": "B", "VM": "B", "VM, one of many": "B",
    "VM before it touches 128 MiB": "B", "VM with 128 MiB touched": "B", "VM after that is freed": "B", "freed until returned": "s",
    "VMs of 256 MiB that fit": "VMs", "VMs of 256 MiB that fit, all used": "VMs",
    "conversion": "s", "converted": "B",
}
for _place in ("root", "host volume", "storage volume", "ram volume"):
    UNITS |= {f"{_place}, write": "B/s", f"{_place}, read": "B/s", f"{_place}, 4 KiB written and synced": "s", f"{_place}, 4 KiB read": "s"}
for _card in ("VPN card", "INET card"):
    UNITS |= {f"{_card}, sent": "B/s", f"{_card}, received": "B/s", f"{_card}, round trip": "s", f"{_card}, CPU per GB sent": "s",
              f"{_card}, VM to VM, sent": "B/s", f"{_card}, VM to VM, round trip": "s"}
# What is measured with our QEMU and, as its reference, with the system's.
OF_QEMU = ("start to hello", "start to first exit" + NO_TEMPLATE, "exec of Debian's true", "CPU time of a start", "idle QEMU with its guest",
           "QEMU beyond its guest")


def of_qemu(name):
    return "of QEMU: " + name


SYSTEM_CALLS = "system calls that its filters leave"
UNITS |= {of_qemu(_name): UNITS[_name] for _name in OF_QEMU} | {of_qemu(SYSTEM_CALLS): "calls"}


def unit_of(name):
    return UNITS.get(name, "s")  # those of MANY are times


def more_is_better(name):
    return unit_of(name) in ("B/s", "VMs")


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def summary(values):
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": statistics.median(values), "p25": quartiles[0], "p75": quartiles[2], "p99": percentile(values, 99),
            "min": min(values), "max": max(values), "runs": len(values)}


def shown(unit, value):
    if unit == "s":
        return f"{value * 1e6:,.1f} µs" if value < 1e-3 else f"{value * 1000:,.1f} ms" if value < 1 else f"{value:,.2f} s"
    if unit in ("B", "B/s"):
        return f"{value / 1e6:,.{0 if value >= 1e8 else 1}f} M{unit}"
    return f"{value:,.0f} {unit}" if unit in ("VMs", "calls") else f"{value:.2f} {unit}"


def in_order(figures):
    """As in UNITS, then what is not there."""
    known = list(UNITS)
    return sorted(figures.items(), key=lambda item: known.index(item[0]) if item[0] in UNITS else len(known))


def table(figures):
    """One line per figure: ours, the reference's, and how many times better ours is."""
    lines = [f"{'median':36}{'gvmkit':>14}{'reference':>14}{'times better':>14}"]
    for name, figure in in_order(figures):
        for title, key in [(name, "median")] + ([(name + ", p99", "p99")] if name == "exec" else []):
            values = [(figure[whose] or {}).get(key) for whose in ("gvmkit", "reference")]
            line = f"{title:36}" + "".join(f"{'-' if value is None else shown(figure['unit'], value):>14}" for value in values)
            if None not in values:
                line += f"{values[0] / values[1] if more_is_better(name) else values[1] / values[0]:>14.1f}"
            lines.append(line)
    return lines


@dataclasses.dataclass(frozen=True)
class Promise:
    """A figure of SPECIFICATION.md. `seen` computes it from the medians (key "median" unless told) of one run."""
    what: str
    form: str  # how a value is written
    must: float
    aim: float
    at_least: bool  # else at most
    seen: typing.Callable

    def judge(self, get):
        """`get` is called with a figure's name, whose (ours, theirs) it is, and a key. None where something was not measured."""
        try:
            seen = self.seen(get)
        except KeyError:
            return None
        ratio = seen / self.must if self.at_least else self.must / max(seen, 1e-9)
        return {"what": self.what, "must": ("≥ " if self.at_least else "≤ ") + self.form.format(self.must),
                "aim": self.form.format(self.aim) if self.aim else "", "seen": self.form.format(seen), "ratio": round(ratio, 2),
                "met": ratio >= 1}


def ours(name, key="median"):
    return lambda get: get(name, "gvmkit", key)


def faster(name):
    """How much sooner than the reference's port is open."""
    return lambda get: get("start to hello", "reference") / get(name, "gvmkit")


def scaled(seen, factor):
    return lambda get: seen(get) * factor


def beside_the_systems(name):
    return lambda get: get(of_qemu(name), "gvmkit") / get(of_qemu(name), "reference")


def promises(cores):
    single = ours("start to first exit")
    at_once = MANY.format(16)
    return [
        Promise("start to hello: the reference's port opens so many times later", "{:.1f} ×", 11, 15, True, faster("start to hello")),
        Promise("start to the first exit, likewise", "{:.1f} ×", 7, 10, True, faster("start to first exit")),
        Promise("the same with no template, likewise", "{:.1f} ×", 2, 3, True, faster("start to first exit" + NO_TEMPLATE)),
        Promise("a later static true, median", "{:.1f} ms", 6, 4, False, scaled(ours("exec"), 1000)),
        Promise("a later static true, p99", "{:.1f} ms", 20, None, False, scaled(ours("exec", "p99"), 1000)),
        Promise("output, of raw virtio-serial", "{:.0f} %", 60, 80, True,
                lambda get: 100 * get("output", "gvmkit") / get("output", "reference")),
        Promise("volume, 256 MiB written", "{:,.0f} MB/s", 400, None, True, scaled(ours("volume write"), 1e-6)),
        Promise("volume, 256 MiB read", "{:,.0f} MB/s", 1200, None, True, scaled(ours("volume read"), 1e-6)),
        Promise("idle VM: QEMU with its guest, of a core", "{:.2f} %", 0.3, None, False, ours("idle QEMU with its guest")),
        Promise("QEMU's memory beyond its guest's", "{:.1f} MB", 42, None, False, scaled(ours("QEMU beyond its guest"), 1e-6)),
        *(Promise(f"{name}, beside the system's QEMU", "{:.2f}", 1, None, False, beside_the_systems(name)) for name in OF_QEMU),
        Promise(f"16 at once: time of 16 × the single first exit / {cores} cores", "{:.2f}", 1.3, None, False,
                lambda get: get(at_once, "gvmkit") / (16 * single(get) / cores)),
    ]


def judge(figures, cores):
    """All promises as rows for JSON; what was not measured is left out."""
    def get(name, whose, key="median"):
        return (figures[name][whose] or {})[key]
    return [row for row in (promise.judge(get) for promise in promises(cores)) if row]


def verdicts(rows):
    lines = [f"{'promised':66}{'must':>14}{'aim':>9}{'seen':>12}{'× must':>9}"]
    for row in rows:
        lines.append(f"{row['what']:66}{row['must']:>14}{row['aim']:>9}{row['seen']:>12}{row['ratio']:>9.2f}  "
                     f"{'met' if row['met'] else 'NOT met'}")
    return lines


ENOUGH_RUNS = 5


def beyond_noise(old, new):
    """Whether the middle halves of two summaries, from first to third quartile, lie apart. Of fewer than five runs nothing is known."""
    if min(old["runs"], new["runs"]) < ENOUGH_RUNS or "p25" not in old:
        return False
    return new["p25"] > old["p75"] or new["p75"] < old["p25"]


def compare(old, new):
    """One line per figure that both runs have: medians, their ratio and, where the change is beyond the noise, which way it goes."""
    lines = [f"{'median':36}{'':12}{'old':>14}{'new':>14}{'new / old':>11}"]
    for name, figure in in_order(new):
        for whose in ("gvmkit", "reference"):
            before, after = (run.get(name, {}).get(whose) for run in (old, new))
            if not before or not after or old[name].get("unit") != figure["unit"]:
                continue
            change = after["median"] / before["median"] if before["median"] else float("nan")
            mark = ""
            if beyond_noise(before, after):
                mark = "  better" if (change > 1) == more_is_better(name) else "  WORSE"
            values = (shown(figure["unit"], run["median"]) for run in (before, after))
            lines.append(f"{name:36}{whose:12}" + "".join(f"{value:>14}" for value in values) + f"{change:>11.2f}{mark}")
    lines.append("Marked are changes beyond the noise: first to third quartile of both runs lie apart, with at least "
                 f"{ENOUGH_RUNS} measurements each. Where the reference has changed too, it may be the machine.")
    return lines
