"""The memory of a process: what stands in it, and how much there is."""

CHUNK, OVERLAP = 1 << 24, 256
SHADOW_SIZE = 1 << 30  # a sanitizer's; nothing of ours is as large


def chunks(memory, begin, end):
    """What can be read of it, with an overlap, so that nothing is cut in two."""
    for at in range(begin, end, CHUNK):
        try:
            memory.seek(at)
            yield memory.read(min(CHUNK + OVERLAP, end - at))
        except (OSError, ValueError, OverflowError):  # pages that nobody may read
            return


def holds(pid, needles):
    """Which of the byte strings stand in the memory of the process."""
    found = set()
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            place, rights = line.split()[:2]
            begin, end = (int(word, 16) for word in place.split("-"))
            if rights.startswith("rw") and end - begin < SHADOW_SIZE:
                for content in chunks(memory, begin, end):
                    found |= {needle for needle in needles if needle in content}
    return found


def peak_kb(pid):
    """The most that the process ever had in memory."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


def is_sanitized(pid):
    """Freed memory of such a process stays, and what it has says nothing of what it needs."""
    with open(f"/proc/{pid}/exe", "rb") as file:
        content = file.read()
    return b"__asan_init" in content or b"__tsan_init" in content
