"""What was found, as an object for machines and as tables for people."""
import datetime
import os
import platform
import re
import statistics

from side_by_side import measure


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"(?m)^model name\s*: (.*)$", file.read())
    with open("/etc/os-release", encoding="utf-8") as file:
        system = re.search(r'(?m)^PRETTY_NAME="?([^"\n]*)', file.read())
    return {"processors": measure.CORES, "model": model[1].strip() if model else platform.machine(),
            "system": system[1] if system else platform.platform(), "date": datetime.date.today().isoformat(),
            "load_before": round(os.getloadavg()[0], 2)}


def ceiling(looks):
    """Of the whole comparison: what both operations took, and how many certificates a second that allows."""
    verify_us, sign_us = (statistics.median(values) for values in zip(*looks))
    return {"verify_us": round(verify_us, 1), "sign_us": round(sign_us, 1),
            "rate": round(measure.CORES * 1e6 / (verify_us + sign_us), 1)}


def row(run, count, ceilings):
    """One run's figures; ceilings: those right before and right after it."""
    verify_us, sign_us = (statistics.mean(values) for values in zip(*ceilings))
    bare_us, cpu_us = verify_us + sign_us, 1e6 * run.cpu_s / count
    possible = measure.CORES * 1e6 / bare_us
    return {"rate": round(count / run.wall_s, 1), "cpu_us": round(cpu_us, 1),
            "kernel_us": round(1e6 * run.kernel_s / count, 1), "client_us": round(1e6 * run.client_s / count, 1),
            "memory_mb": round(run.memory_kb / 1024, 1) if run.memory_kb else None, "ceiling": round(possible, 1),
            "bare_us": round(bare_us, 1), "of_ceiling": round(count / run.wall_s / possible, 4),
            "times_bare": round(cpu_us / bare_us, 2)}


def middles(runs):
    """The median of each figure over the rounds."""
    found = {}
    for name in runs[0]:
        values = [run[name] for run in runs if run[name] is not None]
        found[name] = statistics.median(values) if values else None
    return found


def describe(peer):
    return {"name": peer.name, "does": peer.does, "command": peer.command, "checks": peer.checks, "keeps": peer.keeps}


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def spread(runs, name, form):
    values = sorted(run[name] for run in runs)
    return form.format(statistics.median(values)) + " (" + form.format(values[0]) + " to " + form.format(values[-1]) + ")"


def say_memory(peer):
    return "-" if peer["memory_mb"] is None else f"{peer['memory_mb']:.0f} MB"


def rates(measured):
    return table(["peer", "certificates", "certificates/s", "of the ceiling", "CPU each", "of it in the kernel",
                  "times bare verify + sign", "memory", "client's CPU each"], [
        [f"`{peer['name']}`", f"{peer['count']:,}", spread(peer["runs"], "rate", "{:,.0f}"), f"{100 * peer['of_ceiling']:.1f} %",
         spread(peer["runs"], "cpu_us", "{:,.0f}") + " us", f"{peer['kernel_us']:,.0f} us", f"{peer['times_bare']:.1f}",
         say_memory(peer), f"{peer['client_us']:.0f} us"] for peer in measured])


def singles(measured):
    rows = [[f"`{label}`, from the command line", "-", f"{took['ms']:.1f} ms", f"{took['cpu_ms']:.1f} ms"]
            for peer in measured for label, took in peer.get("cold", {}).items()]
    rows += [[f"`{peer['name']}`, serving", f"{peer['start_ms']:.0f} ms", f"{peer['single_ms']:.1f} ms", "-"]
             for peer in measured if "start_ms" in peer]
    return table(["one certificate by itself", "start", "takes", "processor time"], rows)


def guarantees(measured):
    return table(["peer", "what runs", "proof of possession", "decides and checks besides", "keeps"], [
        [f"`{peer['name']}`, {peer['version']}", peer["does"], "checked" if peer["checks_possession"] else "NOT checked",
         peer["checks"], peer["keeps"]] for peer in measured])


def text(found):
    measured = [peer for peer in found["peers"] if peer["status"] == "measured"]
    where, bare = found["machine"], found["ceiling"]
    lines = [f"{where['processors']} processors, {where['model']}, {where['system']}, {found['openssl']}, {where['date']}, load "
             f"before {where['load_before']}; {found['devices']:,} requests, {found['rounds']} round(s).",
             f"Bare P-256: verify {bare['verify_us']:.0f} us, sign {bare['sign_us']:.0f} us, so {bare['rate']:,.0f} "
             "certificates/s at most."]
    for peer in found["peers"]:
        if peer["status"] != "measured":
            lines.append(f"{'SKIP' if peer['status'] == 'skipped' else 'FAIL'} {peer['name']}: {peer['reason']}")
    if measured:
        lines += ["", rates(measured), "", singles(measured), "", guarantees(measured)]
    return "\n".join(lines)
