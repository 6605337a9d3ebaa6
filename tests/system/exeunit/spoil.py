#!/usr/bin/env python3
"""Stands in for a runtime and spoils what the real one does: SPOIL says how, SPOIL_RUNTIME names the real one. For self_check.py."""

import os
import subprocess
import sys
import threading

import messages

HOW = os.environ["SPOIL"]
REAL = [os.environ["SPOIL_RUNTIME"], *sys.argv[1:]]


def spoil_status(response, held):
    """The responses that become of one with a status; `held` keeps what is sent later."""
    status = response["status"]
    final = not status.get("running", False)
    if HOW == "swapped events" and not final:
        held.append(response)
        return [held.pop(), held.pop()] if len(held) == 2 else []
    if HOW == "lost events" and not final:
        held[:], before = [response], held[:]
        return before
    if HOW == "large events" and not final:
        held.append(response)
        return []
    if final and HOW == "signals as codes":
        status["return_code"] = status.get("return_code", 0) % 128
    before, held[:] = held[:], []
    if HOW == "large events" and before:
        joined = b"".join(part["status"].get("stdout", b"") for part in before)
        before = [{"event": True, "status": {"pid": status.get("pid", 0), "running": True, "stdout": joined}}]
    if HOW == "lost events":
        before = []
    return [*before, response, response] if HOW == "two ends" and final else [*before, response]


def spoil(response, held):
    if HOW == "other ids" and not response.get("event"):
        response["id"] = response.get("id", 0) + 1
    if HOW == "answers as events":
        response["event"] = True
    if HOW == "no events":
        response["event"] = False
    if HOW == "all internal" and "error" in response:
        response["error"]["code"] = messages.INTERNAL
    if HOW == "bad text" and "error" in response:
        response["error"]["message"] = b"\xff not UTF-8"
    if HOW == "no version" and "hello" in response:
        response["hello"] = {}
    return spoil_status(response, held) if "status" in response else [response]


def pass_input(sink):
    while data := os.read(0, 1 << 16):
        sink.write(data)
        sink.flush()
    sink.close()


def start():
    program = subprocess.Popen(REAL, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=HOW == "own session")
    threading.Thread(target=pass_input, args=(program.stdin,), daemon=True).start()
    if HOW == "text on stdout":
        os.write(1, b"starting\n")
    frames, held = messages.Frames(), []
    while data := os.read(program.stdout.fileno(), 1 << 16):
        for payload in frames.feed(data):
            for response in spoil(messages.decode(messages.RESPONSE, payload), held):
                os.write(1, messages.frame(messages.encode(messages.RESPONSE, response)))
    return program.wait() + (HOW == "exit code")


if "start" in sys.argv:
    sys.exit(start())
if HOW == "text on stdout":
    print("working", flush=True)
os.execv(REAL[0], REAL)
